# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Report of the speed benchmark: JSON, Markdown tables, charts, and sections of a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
import shutil
import textwrap
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from superpoint_ros.benchmark.candidates import BASELINE, FRAME_STAGES
from superpoint_ros.benchmark.start_up import plot_start_up, start_up_markdown
from superpoint_ros.evaluation.reports import markdown_table, write_json

MB = 1e6


def frames_markdown(result: Mapping) -> str:
    """Return the tables of whole frames."""
    parts = [frames_table(result)]
    parts += [methods_table(result)] if result['methods'] else []
    parts += [stages_table(result), roofline_table(result)]
    parts += [_peaks_line(result['peaks']), _bandwidth_line(result['bandwidths'])]
    parts += [f'Not run: {name}: {why}\n' for name, why in result['skipped'].items()]
    return '\n'.join(parts)


def methods_table(result: Mapping) -> str:
    """Return a row for each case and each other method, the fastest of a size first."""
    named = [(case_name(case), case) for case in result['cases']]
    for case in result['methods']:
        named.append((f'{case["method"]} ({case["library"]}) {_size_name(case)}', case))
    named.sort(key=lambda each: (each[1]['size'], each[1]['frame']['p50']))
    rows = [
        [
            name,
            _ms(case['frame']['p50']),
            _ms(case['frame']['p99']),
            None if case['orb_ratio'] is None else f'{case["orb_ratio"]:.2f}',
            f'{case["keypoints"]:.0f}',
        ]
        for name, case in named
    ]
    return markdown_table(['case', 'p50 ms', 'p99 ms', 'time / ORB', 'keypoints'], rows)


def frames_table(result: Mapping) -> str:
    """Return a row for each case: time, ratio, rate, memory."""
    header = ['case', 'p50 ms', 'p99 ms', 'x baseline', 'x paper baseline', 'decoding']
    header += ['GMAC', 'GMAC/s', 'of peak', 'keypoints', 'process MB', 'frames MB']
    rows = []
    for case in result['cases']:
        memory = case.get('memory')
        rows.append(
            [
                case_name(case),
                _ms(case['frame']['p50']),
                _ms(case['frame']['p99']),
                f'{case["ratio"]:.2f}',
                f'{case["ratio_to_paper"]:.2f}' if case['ratio_to_paper'] else None,
                _share_of_frame(case, ('hessian', 'keypoints')),
                f'{case["multiply_adds"] * 1e-9:.2f}',
                f'{case["rate"] * 1e-9:.0f}' if case['rate'] else None,
                _percent(case['roofline'], 'share_of_peak'),
                f'{case["keypoints"]:.0f}',
                f'{memory["process"] / MB:.0f}' if memory else None,
                f'{memory["frame"] / MB:.0f}' if memory else None,
            ]
        )
    return markdown_table(header, rows)


def roofline_table(result: Mapping) -> str:
    """Return a row for each case with the share of the machine's limits that its network uses."""
    header = ['case', 'network ms', 'GMAC', 'of peak', 'MB moved', 'of bandwidth']
    header += ['least ms', 'bound by']
    rows = [
        [
            case_name(case),
            _ms(case['stages']['network']['p50']),
            f'{case["multiply_adds"] * 1e-9:.2f}',
            _percent(case['roofline'], 'share_of_peak'),
            f'{case["traffic"] / MB:.0f}',
            _percent(case['roofline'], 'share_of_bandwidth'),
            _ms(case['roofline']['limit']),
            case['roofline']['bound'],
        ]
        for case in result['cases']
        if case['roofline']
    ]
    return markdown_table(header, rows)


def _percent(values: Mapping | None, name: str) -> str | None:
    """Return a share in per cent, None if it is unknown."""
    return f'{values[name]:.0%}' if values and values[name] else None


def _share_of_frame(case: Mapping, stages: Sequence[str]) -> str | None:
    """Return the share of stages in the median of a frame; None if none was measured."""
    times = [case['stages'][stage]['p50'] for stage in stages if stage in case['stages']]
    return f'{sum(times) / case["frame"]["p50"]:.0%}' if times else None


def stages_table(result: Mapping) -> str:
    """Return a row for each case with p50 and p99 of its stages in milliseconds."""
    cases = [case for case in result['cases'] if case['stages']]
    names = list(dict.fromkeys(name for case in cases for name in case['stages']))
    rows = [
        [case_name(case), *(_both(case['stages'].get(name)) for name in names)] for case in cases
    ]
    return markdown_table(['p50 / p99 ms', *names], rows)


def case_name(case: Mapping) -> str:
    """Return the network, the size and the execution of a case."""
    return f'{case["network"]} {_size_name(case)}, {execution_name(case)}'


def _size_name(case: Mapping) -> str:
    width, height = case['size']
    return f'{width}x{height}'


def execution_name(case: Mapping) -> str:
    """Return the engine, the precision and, unless it is the CPU, the device of a case."""
    if case['engine'] == BASELINE:
        return BASELINE
    device = '' if case['device'] == 'cpu' else f' on {case["device"]}'
    return f'{case["engine"]} {case["precision"]}{device}'


def _peaks_line(peaks: Mapping[str, float | None]) -> str:
    """Return the peak rates in one line."""
    known = (f'{name} {rate * 1e-9:.0f}' for name, rate in peaks.items() if rate)
    return f'Peak in GMAC/s: {", ".join(known)}.\n'


def _bandwidth_line(bandwidths: Mapping[str, float]) -> str:
    """Return the memory bandwidths in one line."""
    known = (f'{name} {rate * 1e-9:.0f}' for name, rate in bandwidths.items())
    return f'Memory bandwidth in GB/s: {", ".join(known)}.\n'


def node_markdown(results: Sequence[Mapping]) -> str:
    """Return the table of latencies through the node."""
    header = ['p50 / p99 ms', 'camera to subscriber', 'Detector alone', 'added']
    header += ['inference in the node', 'rest', 'frames', 'lost']
    rows = [
        [
            case_name(result),
            *(_both(result[name]) for name in ('latency', 'detector', 'added')),
            *_inside_and_outside(result),
            result['rounds'],
            result['lost'],
        ]
        for result in results
    ]
    return markdown_table(header, rows)


def _inside_and_outside(result: Mapping) -> tuple[str | None, str | None]:
    """Return the median inference time that the node reports, and the rest of the latency."""
    inside = result['node_stages'].get('inference')
    if inside is None:
        return None, None
    return _ms(inside), _ms(result['latency']['p50'] - inside)


def tracking_markdown(result: Mapping) -> str:
    """Return the table of the times of tracker and odometry."""
    header = ['one thread', 'processor time, p50 / p99 ms', 'relative to KLT']
    rows = [
        [case['name'], _both(case['time']), f'{case["ratio"]:.2f}'] for case in result['cases']
    ]
    return (
        f'{result["frames"]} frames of the simulated room, up to {result["keypoints"]} keypoints, '
        f'{result["tracks"]:.0f} tracks on average.\n\n{markdown_table(header, rows)}'
    )


def scaling_markdown(results: Sequence[Mapping]) -> str:
    """Return the tables of time and memory against area and number of keypoints."""
    parts = []
    for result in results:
        name = f'{result["network"]}, {execution_name(result)}'
        header = ['size', 'p50 ms', 'network ms', 'other ms', 'ns per pixel', 'frames MB']
        header.append('bytes per pixel')
        rows = [_area_row(each) for each in result['areas']]
        parts.append(f'{name}, by image size:\n')
        parts.append(markdown_table(header, rows))
        parts.append(_area_line(result))
        rows = [
            [f'{each["keypoints"]:.0f}', _ms(each['frame']['p50']), _ms(each['after']['p50'])]
            for each in result['keypoints']
        ]
        width, height = result['keypoints_size']
        parts.append(f'{name}, by number of keypoints, at {width}x{height}:\n')
        header = ['keypoints', 'p50 ms', 'all but the network ms']
        parts.append(markdown_table(header, rows))
        power = _power(result['keypoints_exponent'])
        parts.append(
            f'The time outside the network grows with {power} of the number of keypoints.\n'
        )
    return '\n'.join(parts)


def _area_row(each: Mapping) -> list:
    width, height = each['size']
    frame, network = each['frame']['p50'], each['stages']['network']['p50']
    memory, per_pixel = each['memory'], each['bytes_per_pixel']
    return [
        f'{width}x{height}',
        _ms(frame),
        _ms(network),
        _ms(frame - network),
        f'{frame * 1e6 / (width * height):.0f}',
        f'{memory["frame"] / MB:.0f}' if memory else None,
        f'{per_pixel:.0f}' if per_pixel else None,
    ]


def _area_line(result: Mapping) -> str:
    text = f'Time grows with {_power(result["area_exponent"])} of the area'
    if result['largest_bytes_per_pixel'] is not None:
        text += f', memory with {_power(result["memory_exponent"])}'
        line = result['memory_line']
        if line:
            text += f': {line["constant"] / MB:.0f} MB and {line["per_pixel"]:.0f} bytes per pixel'
        text += (
            f'; the largest image takes {result["largest_bytes_per_pixel"]:.0f} bytes per pixel'
        )
    return text + '.\n'


def _power(exponent: float | None) -> str:
    """Return the exponent in words; linear growth is the power 1."""
    return 'an unknown power' if exponent is None else f'the power {exponent:.2f}'


def training_markdown(result: Mapping) -> str:
    """Return the tables of training and of homographic adaptation."""
    header = [
        'images per second',
        'data alone',
        'network alone',
        'data / network',
        'both together',
    ]
    header.append('waiting for data')
    rows = [
        [
            recipe_name(stage),
            f'{stage["data_rate"]:.1f}',
            f'{stage["network_rate"]:.1f}',
            f'{stage["data_rate"] / stage["network_rate"]:.2f}',
            f'{stage["together_rate"]:.1f}',
            f'{stage["waiting"]:.0%}',
        ]
        for stage in result['stages']
    ]
    adaptation = result['adaptation']
    parts = [
        markdown_table(header, rows),
        f'Homographic adaptation: {adaptation["view_rate"]:.1f} views per second '
        f'({adaptation["views"]} per image), the network alone '
        f'{adaptation["network_rate"]:.1f}.\n',
    ]
    for each in (*result['stages'], adaptation):
        parts.append(f'Parts of {recipe_name(each)}:\n')
        shares = [[name, f'{share:.0%}'] for name, share in each['parts'].items()]
        parts.append(markdown_table(['part', 'share of the time'], shares))
    return '\n'.join(parts)


def recipe_name(stage: Mapping) -> str:
    """Return the stage and its recipe."""
    return f'{stage["stage"]}, recipe {stage["recipe"]}'


def _both(times: Mapping[str, float] | None) -> str | None:
    """Return p50 and p99 of a time in milliseconds."""
    return f'{_ms(times["p50"])} / {_ms(times["p99"])}' if times else None


def _ms(milliseconds: float) -> str:
    """Return a time with about three significant digits."""
    places = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2
    return f'{milliseconds:.{places}f}'


def plot_frames(result: Mapping, path: Path) -> None:
    """Draw a bar of stages for each case, with the ratio of the baseline's time to it."""
    cases = result['cases']
    figure = Figure(figsize=(10, 1.2 + 0.42 * len(cases)), layout='constrained')
    axes = figure.subplots()
    rows = range(len(cases))
    left = [0.0] * len(cases)
    for number, stage in enumerate(FRAME_STAGES):
        widths = [case['stages'].get(stage, {}).get('p50', 0.0) for case in cases]
        axes.barh(rows, widths, left=left, label=stage, color=f'C{number}')
        left = [start + width for start, width in zip(left, widths, strict=True)]
    whole = [0.0 if case['stages'] else case['frame']['p50'] for case in cases]
    axes.barh(rows, whole, label='baseline, whole', color='0.6')
    for row, case in enumerate(cases):
        end = max(left[row], whole[row])
        axes.annotate(f' {case["ratio"]:.1f}x', (end, row), va='center', fontsize=8)
    axes.set_yticks(rows, [case_name(case) for case in cases], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel('median in ms, and speed-up over the baseline')
    axes.legend(fontsize=8)
    axes.grid(axis='x', alpha=0.3)
    figure.savefig(path, dpi=100)


def plot_node(results: Sequence[Mapping], path: Path) -> None:
    """Draw the cumulative distribution of the added latency."""
    figure = Figure(figsize=(8, 4), layout='constrained')
    axes = figure.subplots()
    for result in results:
        axes.ecdf(result['added_ms'], label=case_name(result))
    axes.set_xlabel('latency added by node and middleware in ms')
    axes.set_ylabel('share of frames')
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


def plot_tracking(result: Mapping, path: Path) -> None:
    """Draw the median and the 99th percentile of each candidate."""
    cases = result['cases']
    figure = Figure(figsize=(7, 0.6 * len(cases) + 1), layout='constrained')
    axes = figure.subplots()
    for row, case in enumerate(cases):
        axes.barh(row, case['time']['p50'], color='#2b6cd9')
        axes.plot([case['time']['p99']], [row], '|', color='black', markersize=12)
    axes.set_yticks(range(len(cases)), [case['name'] for case in cases])
    axes.invert_yaxis()
    axes.set_xlabel('processor time per frame in ms: p50 (bar), p99 (line)')
    axes.grid(axis='x', alpha=0.3)
    figure.savefig(path, dpi=100)


def plot_scaling(results: Sequence[Mapping], path: Path) -> None:
    """Draw time and memory over the area, and time over the number of keypoints."""
    figure = Figure(figsize=(13, 4.2), layout='constrained')
    has_memory = any(result['largest_bytes_per_pixel'] is not None for result in results)
    time, *memory, keypoints = figure.subplots(1, 2 + has_memory)
    for number, result in enumerate(results):
        name, color = f'{result["network"]}, {execution_name(result)}', f'C{number}'
        areas = [each['size'][0] * each['size'][1] * 1e-6 for each in result['areas']]
        times = [each['frame']['p50'] for each in result['areas']]
        label = _labelled(name, result['area_exponent'])
        time.loglog(areas, times, 'o-', color=color, label=label)
        if result['largest_bytes_per_pixel'] is not None:
            label = _labelled(name, result['memory_exponent'])
            needed = [each['memory']['frame'] / MB for each in result['areas']]
            memory[0].loglog(areas, needed, 'o-', color=color, label=label)
        counts = [each['keypoints'] for each in result['keypoints']]
        after = [each['after']['p50'] for each in result['keypoints']]
        label = _labelled(name, result['keypoints_exponent'])
        keypoints.loglog(counts, after, 'o-', color=color, label=label)
    time.set(xlabel='megapixels', ylabel='ms per frame')
    if memory:
        memory[0].set(xlabel='megapixels', ylabel='MB added by a frame')
    keypoints.set(xlabel='keypoints', ylabel='ms outside the network')
    for axes in (time, *memory, keypoints):
        axes.grid(alpha=0.3, which='both')
        axes.legend(fontsize=7)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter('{x:g}')
            axis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=100)


def _labelled(name: str, exponent: float | None) -> str:
    return name if exponent is None else f'{name}: power {exponent:.2f}'


def plot_training(result: Mapping, path: Path) -> None:
    """Draw the rates of data and network, and the time shares of their parts."""
    stages, adaptation = result['stages'], result['adaptation']
    figure = Figure(figsize=(12, 4.2), layout='constrained')
    rates, parts = figure.subplots(1, 2)
    kinds = {'data_rate': 'data alone', 'network_rate': 'network alone'}
    kinds['together_rate'] = 'both together'
    for offset, (key, label) in enumerate(kinds.items()):
        places = [row + 0.27 * (offset - 1) for row in range(len(stages))]
        rates.bar(places, [stage[key] for stage in stages], 0.25, label=label)
    names = [recipe_name(stage).replace(', ', '\n') for stage in stages]
    rates.set_xticks(range(len(stages)), names)
    rates.set_ylabel('images per second')
    rates.grid(axis='y', alpha=0.3)
    rates.legend()
    measured = [*stages, adaptation]
    for row, each in enumerate(measured):
        left = 0.0
        for name, share in each['parts'].items():
            parts.barh(row, share, left=left, edgecolor='white')
            if share > 0.08:
                parts.annotate(name, (left + share / 2, row), ha='center', va='center', fontsize=7)
            left += share
    parts.set_yticks(range(len(measured)), [recipe_name(each) for each in measured])
    parts.set_xlabel('share of time')
    figure.savefig(path, dpi=100)


class Part(NamedTuple):
    """One kind of measurement: its title, its tables and its chart."""

    title: str
    markdown: Callable[[Mapping], str]
    plot: Callable[[Mapping, Path], None]


PARTS = {
    'frames': Part('Whole frames', frames_markdown, plot_frames),
    'node': Part('From camera to subscriber', node_markdown, plot_node),
    'tracking': Part('Tracker and odometry', tracking_markdown, plot_tracking),
    'scaling': Part('Scaling', scaling_markdown, plot_scaling),
    'training': Part('Training', training_markdown, plot_training),
    'start': Part('Start', start_up_markdown, plot_start_up),
}


def write_report(machine: Mapping, results: Mapping, out: Path) -> list[Path]:
    """
    Write benchmark.json, benchmark.md and a chart of each part to `out`; return the files.

    `results` maps the names of parts to their measurements.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = [out / 'benchmark.json', out / 'benchmark.md']
    write_json(files[0], {'machine': machine, **results})
    text = [f'# Benchmark\n\n{machine_line(machine)}\n']
    for name, result in results.items():
        part = PARTS[name]
        picture = out / f'{name}.png'
        part.plot(result, picture)
        files.append(picture)
        text.append(f'## {part.title}\n\n{part.markdown(result)}\n![]({picture.name})\n')
    files[1].write_text('\n'.join(text), encoding='utf-8')
    return files


def machine_line(machine: Mapping) -> str:
    """Return a sentence on the machine and its load."""
    versions = ', '.join(f'{name} {version}' for name, version in machine['versions'].items())
    text = (
        f'Measured on {machine["processor"]} ({machine["instructions"]}), {machine["cores"]} '
        f'cores, {machine["threads"]} threads, load average at the start {machine["load"]:.1f}; '
        f'{versions}.'
    )
    return textwrap.fill(text, 100)


def update_document(document: Path, machine: Mapping, results: Mapping, out: Path) -> None:
    """
    Write the measurements into a document, and the charts into `images/` next to it.

    A section lies between the lines `<!-- benchmark: NAME -->` and `<!-- end -->`. Raises
    FileNotFoundError if there is no document, ValueError if it lacks a section.
    """
    text = document.read_text(encoding='utf-8')
    images = document.parent / 'images'
    for name, result in results.items():
        picture = images / f'benchmark_{name}.png'
        content = (
            f'{machine_line(machine)}\n\n{PARTS[name].markdown(result)}\n'
            f'![{PARTS[name].title}](images/{picture.name})\n'
        )
        text = _replace_section(text, name, content, document)
        images.mkdir(exist_ok=True)
        shutil.copyfile(out / f'{name}.png', picture)
    document.write_text(text, encoding='utf-8')


def _replace_section(text: str, name: str, content: str, document: Path) -> str:
    begin, end = f'<!-- benchmark: {name} -->\n', '<!-- end -->'
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f'{document} lacks the lines {begin.strip()} and {end} after it')
    return f'{before}{begin}{content}{end}{after}'
