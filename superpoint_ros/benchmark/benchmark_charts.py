# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Charts of the speed benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
import numpy as np

from superpoint_ros.benchmark.benchmark_tables import case_name, execution_name, MB, recipe_name
from superpoint_ros.benchmark.candidates import FRAME_STAGES
from superpoint_ros.visualization import write_figure


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
    write_figure(path, figure, 100)


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
    write_figure(path, figure, 100)


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
    write_figure(path, figure, 100)


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
    write_figure(path, figure, 100)


def _labelled(name: str, exponent: float | None) -> str:
    return name if exponent is None else f'{name}: power {exponent:.2f}'


def plot_training(result: Mapping, path: Path) -> None:
    """Draw the rates of data and network."""
    stages = result['stages']
    figure = Figure(figsize=(7, 4.2), layout='constrained')
    rates = figure.subplots()
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
    write_figure(path, figure, 100)


def plot_start_up(results: Sequence[Mapping], path: Path) -> None:
    """Draw the times of each program."""
    figure = Figure(figsize=(8, 2.4), layout='constrained')
    axes = figure.subplots()
    rows = np.arange(len(results))
    for offset, key in enumerate(('elapsed', 'processor')):
        seconds = [np.median(each[key]) for each in results]
        axes.barh(rows + 0.35 * offset, seconds, 0.32, label=key)
    axes.set_yticks(rows + 0.17, [each['name'] for each in results])
    axes.invert_yaxis()
    axes.set_xlabel('seconds to the first features')
    axes.grid(axis='x', alpha=0.3)
    axes.legend()
    write_figure(path, figure, 100)
