# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What was measured as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from superpoint_ros.evaluation.reports import markdown_table

MB = 1e6


def frames_markdown(result: Mapping) -> str:
    """Return the tables of whole frames."""
    parts = [frames_table(result), stages_table(result), _peaks_line(result['peaks'])]
    parts += [f'Not run: {name}: {why}\n' for name, why in result['skipped'].items()]
    return '\n'.join(parts)


def frames_table(result: Mapping) -> str:
    """Return a line for each case: time, ratio, rate, memory."""
    header = ['case', 'p50 ms', 'p99 ms', 'x peer', 'x paper peer', 'decoding']
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
                _share_of_frame(case, ('blobs', 'decoding')),
                f'{case["multiply_adds"] * 1e-9:.2f}',
                f'{case["rate"] * 1e-9:.0f}' if case['rate'] else None,
                f'{case["share_of_peak"]:.0%}' if case['share_of_peak'] else None,
                f'{case["keypoints"]:.0f}',
                f'{memory["process"] / MB:.0f}' if memory else None,
                f'{memory["frame"] / MB:.0f}' if memory else None,
            ]
        )
    return markdown_table(header, rows)


def _share_of_frame(case: Mapping, stages: Sequence[str]) -> str | None:
    """Return the part of some stages in the frame's median, None where none was measured."""
    times = [case['stages'][stage]['p50'] for stage in stages if stage in case['stages']]
    return f'{sum(times) / case["frame"]["p50"]:.0%}' if times else None


def stages_table(result: Mapping) -> str:
    """Return a line for each case with its stages' p50 and p99 in milliseconds."""
    cases = [case for case in result['cases'] if case['stages']]
    names = list(dict.fromkeys(name for case in cases for name in case['stages']))
    rows = [
        [case_name(case), *(_both(case['stages'].get(name)) for name in names)] for case in cases
    ]
    return markdown_table(['p50 / p99 ms', *names], rows)


def case_name(case: Mapping) -> str:
    """Return what was run, and at which size."""
    width, height = case['size']
    return f'{case["network"]} {width}x{height}, {execution_name(case)}'


def execution_name(case: Mapping) -> str:
    """Return how it was run."""
    if case['engine'] == 'peer':
        return 'peer'
    where = '' if case['device'] == 'cpu' else f' on {case["device"]}'
    return f'{case["engine"]} {case["precision"]}{where}'


def _peaks_line(peaks: Mapping[str, float | None]) -> str:
    """Return the peaks in a line."""
    known = (f'{name} {rate * 1e-9:.0f}' for name, rate in peaks.items() if rate)
    return f'Peak in GMAC/s: {", ".join(known)}.\n'


def node_markdown(results: Sequence[Mapping]) -> str:
    """Return the table of the way through the node."""
    header = ['p50 / p99 ms', 'camera to subscriber', 'Detector alone', 'added']
    header += ['inference in the node', 'all but that', 'frames', 'lost']
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
    """Return the median that the node tells of its inference, and the rest of the latency."""
    inside = result['node_stages'].get('inference')
    if inside is None:
        return None, None
    return _ms(inside), _ms(result['latency']['p50'] - inside)


def scaling_markdown(results: Sequence[Mapping]) -> str:
    """Return the tables of time and memory against area and number of keypoints."""
    parts = []
    for result in results:
        name = f'{result["network"]}, {execution_name(result)}'
        header = ['size', 'p50 ms', 'network ms', 'other ms', 'ns a pixel', 'frames MB']
        header.append('bytes a pixel')
        rows = [_area_row(each) for each in result['areas']]
        parts.append(f'{name}, against the image:\n')
        parts.append(markdown_table(header, rows))
        parts.append(_area_line(result))
        rows = [
            [f'{each["keypoints"]:.0f}', _ms(each['frame']['p50']), _ms(each['after']['p50'])]
            for each in result['keypoints']
        ]
        width, height = result['keypoints_size']
        parts.append(f'{name}, against the number of keypoints, at {width}x{height}:\n')
        header = ['keypoints', 'p50 ms', 'blobs, decoding, sampling, message ms']
        parts.append(markdown_table(header, rows))
        power = _power(result['keypoints_exponent'])
        parts.append(
            f'The time after the network grows with {power} of the number of keypoints.\n'
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
            text += (
                f', as {line["constant"] / MB:.0f} MB and {line["per_pixel"]:.0f} bytes a pixel'
            )
        text += f'; the largest image takes {result["largest_bytes_per_pixel"]:.0f} bytes a pixel'
    return text + '.\n'


def _power(exponent: float | None) -> str:
    """Return the exponent as words; linear growth is the power 1."""
    return 'an unknown power' if exponent is None else f'the power {exponent:.2f}'


def training_markdown(result: Mapping) -> str:
    """Return the tables of the training's data and of homographic adaptation."""
    header = ['images a second', 'data alone', 'network alone', 'data / network', 'both together']
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
        f'Homographic adaptation: {adaptation["view_rate"]:.1f} views a second '
        f'({adaptation["views"]} of an image), the network alone '
        f'{adaptation["network_rate"]:.1f}.\n',
    ]
    for each in (*result['stages'], adaptation):
        parts.append(f'Parts of {recipe_name(each)}:\n')
        shares = [[name, f'{share:.0%}'] for name, share in each['parts'].items()]
        parts.append(markdown_table(['part', 'share of the time'], shares))
    return '\n'.join(parts)


def recipe_name(stage: Mapping) -> str:
    """Return what is measured of the training, in words."""
    return f'{stage["stage"]}, recipe {stage["recipe"]}'


def _both(times: Mapping[str, float] | None) -> str | None:
    """Return p50 and p99 of a time in milliseconds."""
    return f'{_ms(times["p50"])} / {_ms(times["p99"])}' if times else None


def _ms(milliseconds: float) -> str:
    """Return a time with about three digits."""
    places = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2
    return f'{milliseconds:.{places}f}'
