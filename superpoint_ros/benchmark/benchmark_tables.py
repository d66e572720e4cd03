# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Markdown tables of the speed benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import textwrap

import numpy as np

from superpoint_ros.benchmark.candidates import BASELINE
from superpoint_ros.evaluation.reports import markdown_table

MB = 1e6


def frames_markdown(result: Mapping) -> str:
    """Return the tables of whole frames."""
    parts = [frames_table(result)]
    parts += [methods_table(result)] if result['methods'] else []
    parts += [stages_table(result), roofline_table(result)]
    parts.append(_rates_line('Peak in GMAC/s', result['peaks']))
    parts.append(_rates_line('Memory bandwidth in GB/s', result['bandwidths']))
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


def _rates_line(title: str, rates: Mapping[str, float | None]) -> str:
    """Return the known rates, divided by a billion, in one line."""
    known = (f'{name} {rate * 1e-9:.0f}' for name, rate in rates.items() if rate)
    return f'{title}: {", ".join(known)}.\n'


def node_markdown(results: Sequence[Mapping]) -> str:
    """Return the table of latencies through the node."""
    header = ['p50 / p99 ms', 'camera to subscriber', 'Detector alone', 'added']
    header += ['by the middleware', 'inference in the node', 'rest', 'frames', 'lost']
    rows = [
        [
            case_name(result),
            *(_both(result[name]) for name in ('latency', 'detector', 'added', 'relay')),
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
    return textwrap.fill(f'{text}.', 100) + '\n'


def _power(exponent: float | None) -> str:
    """Return the exponent in words; linear growth is the power 1."""
    return 'an unknown power' if exponent is None else f'the power {exponent:.2f}'


def training_markdown(result: Mapping) -> str:
    """Return the tables of training and of homographic adaptation."""
    header = ['images per second', 'data alone', 'network alone', 'data / network']
    header += ['both together', 'waiting for data']
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
    return (
        f'{markdown_table(header, rows)}\n'
        f'Homographic adaptation: {adaptation["view_rate"]:.1f} views per second '
        f'({adaptation["views"]} per image), the network alone '
        f'{adaptation["network_rate"]:.1f}.\n'
    )


def start_up_markdown(results: Sequence[Mapping]) -> str:
    """Return a row for each program."""
    rows = [
        [
            each['name'],
            f'{np.median(each["elapsed"]):.2f}',
            f'{np.median(each["processor"]):.2f}',
            len(each['elapsed']),
        ]
        for each in results
    ]
    return markdown_table(['p50 of seconds', 'elapsed', 'processor time', 'runs'], rows)


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
