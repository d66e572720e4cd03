# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Report of the odometry benchmark: tables, plots, and trajectories in the TUM format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
import re

from matplotlib.figure import Figure
import numpy as np

from superpoint_ros.common.file_reading import numbered_names
from superpoint_ros.common.wording import counted
from superpoint_ros.evaluation.odometry_benchmark import Trajectories
from superpoint_ros.evaluation.reports import markdown_table, write_result
from superpoint_ros.evaluation.trajectories import write_trajectory
from superpoint_ros.visualization import write_figure

GROUND_TRUTH = 'ground_truth'

_ERRORS = {
    'auc_5': 'AUC 5°',
    'auc_10': 'AUC 10°',
    'auc_20': 'AUC 20°',
    'rotation_median': 'rotation °',
    'direction_median': 'direction °',
}
_COLORS = ('#2f8f2f', '#d9822b', '#2b6cd9', '#a04fb0', '#c23b3b', '#777777')


def write_odometry_report(
    result: Mapping, trajectories: Mapping[str, Trajectories], out: Path
) -> list[Path]:
    """
    Write the report to the folder `out`; return the files.

    `odometry.json` and `odometry.md` have the numbers, `trajectories.png` the plots. Folder
    `trajectories` has, for each sequence, the ground truth and what each method estimated, neither
    aligned nor scaled.
    """
    plot, written = out / 'trajectories.png', {}
    folders = distinct_file_names(trajectories)
    for folder, lines in zip(folders, trajectories.values(), strict=True):
        names = distinct_file_names([GROUND_TRUTH, *lines.estimated])
        for name, poses in zip(names, [lines.truth, *lines.estimated.values()], strict=True):
            written[out / 'trajectories' / folder / f'{name}.txt'] = lines.stamps, poses
    text = odometry_markdown(result)
    files = write_result(out, 'odometry', result, text, [plot, *written])
    plot_trajectories(trajectories, plot)
    for path, trajectory in written.items():
        write_trajectory(path, *trajectory)
    return files


def distinct_file_names(names: Iterable[str]) -> list[str]:
    """Return a name for files of each sequence or method: letters, digits and ._- alone."""
    return numbered_names(re.sub(r'[^\w.-]+', '_', name).strip('_') or 'unnamed' for name in names)


def odometry_markdown(result: Mapping) -> str:
    """Return the tables over all sequences and, if there are several, of each sequence."""
    parts = ['# Visual odometry\n', result['protocol'] + '\n']
    scale = {'none': 'One camera: no scale.'}.get(result['scale'], f'Scale: {result["scale"]}.')
    parts.append(f'At most {counted(result["keypoints"], "keypoint")} per frame. {scale}\n')
    parts += [f'Left out: {reason}\n' for reason in result['skipped'].values()]
    whole = {'All sequences': result['all']} if len(result['sequences']) > 1 else {}
    for title, by_method in {**whole, **result['sequences']}.items():
        frames = next(iter(by_method.values()))['frames']
        parts += [f'## {title}, {counted(frames, "frame")}\n', odometry_table(by_method)]
        for gap in result['gaps']:
            parts += [f'Pairs {counted(gap, "frame")} apart:\n', pairs_table(by_method, gap)]
    return '\n'.join(parts)


def odometry_table(by_method: Mapping) -> str:
    """Return the table of the trajectories: a row for each method."""
    header = ['method', 'position m', '% of path', 'drift %', 'drift °/m', 'frames with pose']
    header += ['restarts', 'inliers', 'track length', 'keypoints']
    rows = [
        [
            name,
            numbers['position_rmse'],
            numbers['position_percent'],
            numbers['translation_drift'],
            numbers['rotation_drift'],
            numbers['frames_with_pose'],
            numbers['restarts'],
            round(numbers['odometry_inliers']),
            f'{numbers["track_length"]:.1f}',
            round(numbers['keypoints']),
        ]
        for name, numbers in by_method.items()
    ]
    return markdown_table(header, rows)


def pairs_table(by_method: Mapping, gap: int) -> str:
    """Return the table of the pairs with a gap: two rows for each method."""
    rows = []
    for kind, label in (('two_views', 'two views'), ('odometry', 'odometry')):
        for name, numbers in by_method.items():
            errors = numbers[kind][str(gap)]
            row = [f'{name}, {label}', *(errors[key] for key in _ERRORS), errors['pairs']]
            rows.append(row)
    return markdown_table(['method', *_ERRORS.values(), 'pairs'], rows)


def plot_trajectories(trajectories: Mapping[str, Trajectories], path: Path) -> None:
    """Draw the trajectories of each sequence in the plane in which they extend most."""
    columns = min(len(trajectories), 3)
    rows = -(-len(trajectories) // columns)
    figure = Figure(figsize=(5 * columns, 4.6 * rows), dpi=110, layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(trajectories) :]:
        axes.set_axis_off()
    for axes, (name, lines) in zip(grid.flat, trajectories.items(), strict=False):
        truth = lines.true_positions
        first, second = sorted(np.argsort(-np.ptp(truth, axis=0), kind='stable')[:2])
        axes.plot(
            truth[:, first], truth[:, second], color='black', linewidth=2.5, label='ground truth'
        )
        for index, (label, line) in enumerate(lines.aligned.items()):
            color = _COLORS[index % len(_COLORS)]
            axes.plot(line[:, first], line[:, second], color=color, linewidth=1.2, label=label)
        axes.plot(*truth[0, [first, second]], 'o', color='black', markersize=5)
        axes.set(title=name, xlabel=f'{"xyz"[first]} in m', ylabel=f'{"xyz"[second]} in m')
        axes.set_aspect('equal', adjustable='datalim')
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    write_figure(path, figure)
