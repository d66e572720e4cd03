# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What was measured as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from superpoint_ros.benchmark.candidates import STAGES
from superpoint_ros.benchmark.tables import case_name, execution_name, MB, recipe_name


def plot_frames(result: Mapping, path: Path) -> None:
    """Draw a bar for each case, made of its stages, with its ratio to the peer's time."""
    cases = result['cases']
    figure = Figure(figsize=(10, 1.2 + 0.42 * len(cases)), layout='constrained')
    axes = figure.subplots()
    rows = range(len(cases))
    left = [0.0] * len(cases)
    for number, stage in enumerate(STAGES):
        widths = [case['stages'].get(stage, {}).get('p50', 0.0) for case in cases]
        axes.barh(rows, widths, left=left, label=stage, color=f'C{number}')
        left = [start + width for start, width in zip(left, widths, strict=True)]
    whole = [0.0 if case['stages'] else case['frame']['p50'] for case in cases]
    axes.barh(rows, whole, label='peer, whole', color='0.6')
    for row, case in enumerate(cases):
        end = max(left[row], whole[row])
        axes.annotate(f' {case["ratio"]:.1f}x', (end, row), va='center', fontsize=8)
    axes.set_yticks(rows, [case_name(case) for case in cases], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel('ms, median; beside it how many times as fast as the peer')
    axes.legend(fontsize=8)
    axes.grid(axis='x', alpha=0.3)
    figure.savefig(path, dpi=100)


def plot_node(results: Sequence[Mapping], path: Path) -> None:
    """Draw the share of the frames whose added latency is below a time."""
    figure = Figure(figsize=(8, 4), layout='constrained')
    axes = figure.subplots()
    for result in results:
        values = sorted(result['added_ms'])
        shares = [(place + 1) / len(values) for place in range(len(values))]
        axes.step(values, shares, where='post', label=case_name(result))
    axes.set_xlabel('ms that node and middleware add to the Detector')
    axes.set_ylabel('share of the frames')
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


def plot_scaling(results: Sequence[Mapping], path: Path) -> None:
    """Draw time and memory against area, and time against the number of keypoints."""
    figure = Figure(figsize=(13, 4.2), layout='constrained')
    time, memory, keypoints = figure.subplots(1, 3)
    for number, result in enumerate(results):
        name, color = f'{result["network"]}, {execution_name(result)}', f'C{number}'
        areas = [each['size'][0] * each['size'][1] * 1e-6 for each in result['areas']]
        times = [each['frame']['p50'] for each in result['areas']]
        label = _labelled(name, result['area_exponent'])
        time.loglog(areas, times, 'o-', color=color, label=label)
        if result['largest_bytes_per_pixel'] is not None:
            label = _labelled(name, result['memory_exponent'])
            needed = [each['memory']['frame'] / MB for each in result['areas']]
            memory.loglog(areas, needed, 'o-', color=color, label=label)
        counts = [each['keypoints'] for each in result['keypoints']]
        after = [each['after']['p50'] for each in result['keypoints']]
        label = _labelled(name, result['keypoints_exponent'])
        keypoints.loglog(counts, after, 'o-', color=color, label=label)
    time.set(xlabel='megapixels', ylabel='ms a frame')
    memory.set(xlabel='megapixels', ylabel='MB that frames take')
    keypoints.set(xlabel='keypoints', ylabel='ms of blobs, decoding, sampling, message')
    for axes in (time, memory, keypoints):
        axes.grid(alpha=0.3, which='both')
        if not axes.lines:  # memory was not measured
            continue
        axes.legend(fontsize=7)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter('{x:g}')
            axis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=100)


def _labelled(name: str, exponent: float | None) -> str:
    return name if exponent is None else f'{name}: power {exponent:.2f}'


def plot_training(result: Mapping, path: Path) -> None:
    """Draw images a second of data and network beside each other, and the shares of the parts."""
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
    rates.set_ylabel('images a second')
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
    parts.set_xlabel('share of the time')
    figure.savefig(path, dpi=100)
