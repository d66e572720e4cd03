# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurements of visual odometry as JSON, tables and a plot of the trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from superpoint_ros.evaluation.reports import markdown_table, write_json

_ERRORS = {
    'auc_5': 'AUC 5°',
    'auc_10': 'AUC 10°',
    'auc_20': 'AUC 20°',
    'rotation_median': 'rotation °',
    'direction_median': 'direction °',
}
_COLORS = ('#2f8f2f', '#d9822b', '#2b6cd9', '#a04fb0', '#777777')


def write_odometry_report(
    result: Mapping, trajectories: Mapping[str, Mapping[str, np.ndarray]], out: Path
) -> list[Path]:
    """Return the files written to the folder `out`: JSON, tables, and a plot."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / name for name in ('odometry.json', 'odometry.md', 'trajectories.png')]
    write_json(files[0], result)
    files[1].write_text(odometry_markdown(result), encoding='utf-8')
    plot_trajectories(trajectories, files[2])
    return files


def odometry_markdown(result: Mapping) -> str:
    """Return the tables over all sequences, and those of each where there are several."""
    parts = ['# Visual odometry\n', result['protocol'] + '\n']
    parts.append(f'At most {result["keypoints"]} keypoints of a frame.\n')
    whole = {'All sequences': result['all']} if len(result['sequences']) > 1 else {}
    for title, by_method in {**whole, **result['sequences']}.items():
        frames = next(iter(by_method.values()))['frames']
        parts += [f'## {title}, {frames} frames\n', odometry_table(by_method)]
        for gap in result['gaps']:
            parts += [f'Pairs {gap} frames apart:\n', pairs_table(by_method, gap)]
    return '\n'.join(parts)


def odometry_table(by_method: Mapping) -> str:
    """Return the table of the trajectories: a line for each method."""
    header = ['method', 'position m', '% of way', 'frames with pose']
    header += ['inliers', 'track length', 'keypoints']
    rows = [
        [
            name,
            numbers['position_rmse'],
            numbers['position_percent'],
            numbers['frames_with_pose'],
            round(numbers['odometry_inliers']),
            f'{numbers["track_length"]:.1f}',
            round(numbers['keypoints']),
        ]
        for name, numbers in by_method.items()
    ]
    return markdown_table(header, rows)


def pairs_table(by_method: Mapping, gap: int) -> str:
    """Return the table of the pairs so many frames apart: two lines for each method."""
    rows = []
    for kind, label in (('two_views', 'two views'), ('odometry', 'odometry')):
        for name, numbers in by_method.items():
            errors = numbers[kind][str(gap)]
            row = [f'{name}, {label}', *(errors[key] for key in _ERRORS), errors['pairs']]
            rows.append(row)
    return markdown_table(['method', *_ERRORS.values(), 'pairs'], rows)


def plot_trajectories(trajectories: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Write a picture of the trajectories, each sequence in the plane in which it is widest."""
    import matplotlib.figure

    columns = min(len(trajectories), 3)
    rows = -(-len(trajectories) // columns)
    figure = matplotlib.figure.Figure(
        figsize=(5 * columns, 4.6 * rows), dpi=110, layout='constrained'
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(trajectories) :]:
        axes.set_axis_off()
    for axes, (name, lines) in zip(grid.flat, trajectories.items(), strict=False):
        truth = lines['truth']
        first, second = sorted(np.argsort(-np.ptp(truth, axis=0), kind='stable')[:2])
        axes.plot(truth[:, first], truth[:, second], color='black', linewidth=2.5, label='truth')
        others = {label: line for label, line in lines.items() if label != 'truth'}
        for index, (label, line) in enumerate(others.items()):
            color = _COLORS[index % len(_COLORS)]
            axes.plot(line[:, first], line[:, second], color=color, linewidth=1.2, label=label)
        axes.plot(*truth[0, [first, second]], 'o', color='black', markersize=5)
        axes.set(title=name, xlabel=f'{"xyz"[first]} in m', ylabel=f'{"xyz"[second]} in m')
        axes.set_aspect('equal', adjustable='datalim')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path)
