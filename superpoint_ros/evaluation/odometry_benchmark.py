# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Odometry benchmark: features in visual odometry on sequences with ground-truth poses.

The best N keypoints of each frame count; all methods use the same tracker and odometry. Two views:
mutual nearest neighbours between frames with a given gap, essential matrix by RANSAC at 1 px; the
error is the larger of the angles of rotation and translation direction, and AUC is the area under
the share of pairs below 5, 10 and 20 degrees. Odometry: errors of its relative poses over the same
pairs, a frame without a pose having the largest error; and the root mean square distance of the
estimated positions from the ground truth after alignment by a similarity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from evo.core import metrics as evo_metrics
from evo.core.geometry import GeometryException
from evo.core.trajectory import PosePath3D
from matplotlib.figure import Figure
import numpy as np

from superpoint_ros.data.sequences.sequence import Frame, FrameSequence, Intrinsics
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.relative_pose import (
    estimate_pose,
    NO_POSE,
    pose_error,
    PoseError,
    summarise_errors,
)
from superpoint_ros.evaluation.reports import markdown_table, write_json
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.odometry.odometry_settings import OdometrySettings, TrackerSettings
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.odometry.visual_odometry import VisualOdometry
from superpoint_ros.settings_table import check_settings, setting

LEAST_MOTION = 0.005
"""Least distance in metres between the frames of a pair; below, the direction is undefined."""

FEWEST_POSES = 3
"""Number of poses that an alignment needs."""

_ERRORS = {
    'auc_5': 'AUC 5°',
    'auc_10': 'AUC 10°',
    'auc_20': 'AUC 20°',
    'rotation_median': 'rotation °',
    'direction_median': 'direction °',
}
_COLORS = ('#2f8f2f', '#d9822b', '#2b6cd9', '#a04fb0', '#777777')


@dataclass(frozen=True)
class OdometryPlan:
    """
    Settings of the odometry benchmark, checked when they are made.

    The similarity threshold of the tracker is off by default: the similarities of different
    descriptors have different scales.
    """

    keypoints: int = setting(
        500, 'Number of keypoints per frame that count, highest scores first.', range=(1, None)
    )
    gaps: tuple[int, ...] = setting(
        (2, 5), 'Distances, in frames, between the two images of a pair.', range=(1, None)
    )
    frames: int | None = setting(
        None, 'Number of frames of each sequence; all by default.', range=(1, None)
    )
    tracker: TrackerSettings = field(default_factory=lambda: TrackerSettings(min_similarity=-1.0))
    odometry: OdometrySettings = field(default_factory=OdometrySettings)

    def __post_init__(self):
        check_settings(self)
        if not self.gaps:
            raise ValueError('gaps must have at least one value')
        if self.frames is not None and self.frames <= max(self.gaps):
            raise ValueError(
                f'frames must be greater than the largest gap, {max(self.gaps)}; got {self.frames}'
            )


def evaluate_odometry(
    methods: Sequence[Method],
    sequences: Iterable[tuple[str, FrameSequence]],
    plan: OdometryPlan,
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """
    Return the measurements for JSON, and the trajectories by sequence and method.

    `sequences` are (name, sequence); frames without a ground-truth pose are skipped. Trajectories
    are positions (N, 3), aligned to the ground truth, which has the name 'truth'. `on_frame` is
    called after each frame. Raises ValueError for a sequence without calibration or without pairs
    of frames with ground-truth poses.
    """
    results: dict[str, Any] = {}
    trajectories: dict[str, dict[str, np.ndarray]] = {}
    all_runs: dict[str, list[_Run]] = {method.name: [] for method in methods}
    for name, sequence in sequences:
        if sequence.camera is None:
            raise ValueError(f'{name} has no calibration: give a calibration file')
        runs = [_Run(method, sequence.camera, plan) for method in methods]
        frames = (frame for frame in sequence if frame.pose is not None)
        for frame in islice(frames, plan.frames):
            for run in runs:
                run.add(frame)
            on_frame()
        results[name], trajectories[name] = {}, {}
        for run in runs:
            if not all(run.two_views[gap] for gap in plan.gaps):
                raise ValueError(
                    f'{name} has no two frames with true poses, {max(plan.gaps)} frames apart, '
                    'between which the camera moved'
                )
            results[name][run.name], aligned = run.result()
            if aligned is not None:
                trajectories[name][run.name] = aligned
            all_runs[run.name].append(run)
        trajectories[name]['truth'] = np.array([pose[:3, 3] for pose in runs[0].truth])
    if not results:
        raise ValueError('no sequences to evaluate')
    return {
        'protocol': ' '.join(__doc__.split()),
        'keypoints': plan.keypoints,
        'gaps': list(plan.gaps),
        'sequences': results,
        'all': {
            name: _merge(runs, [numbers[name] for numbers in results.values()], plan)
            for name, runs in all_runs.items()
        },
    }, trajectories


class _Run:
    """Evaluation of one method on one sequence, frame by frame."""

    def __init__(self, method: Method, camera: Intrinsics, plan: OdometryPlan):
        self.name, self._find, self._plan = method.name, method.find, plan
        self._camera = CameraModel(camera.model, camera.matrix, camera.distortion, camera.size)
        self._focal = (camera.matrix[0, 0] + camera.matrix[1, 1]) / 2
        self._tracker = Tracker(plan.tracker)
        self._odometry = VisualOdometry(self._camera, plan.odometry)
        self._last: deque[tuple[Features, np.ndarray]] = deque(maxlen=max(plan.gaps) + 1)
        self.truth: list[np.ndarray] = []
        self.estimated: list[np.ndarray | None] = []
        self.two_views: dict[int, list[PoseError]] = {gap: [] for gap in plan.gaps}
        self.relative: dict[int, list[PoseError]] = {gap: [] for gap in plan.gaps}
        self.matches: list[int] = []
        self.two_view_inliers: list[int] = []
        self.odometry_inliers: list[int] = []
        self.keypoints: list[int] = []
        self.lengths: dict[int, int] = {}

    def add(self, frame: Frame) -> None:
        """Process the next frame and measure the pairs that end with it."""
        features = self._find(frame.image).best(self._plan.keypoints)
        size = frame.image.shape[1::-1]
        tracks = self._tracker.update(features, frame.stamp, size, frame.image)
        for number, age in zip(tracks.ids.tolist(), tracks.ages.tolist(), strict=True):
            self.lengths[number] = age
        self.estimated.append(self._odometry.update(tracks, frame.stamp))
        self.truth.append(frame.pose)
        if self.estimated[-1] is not None:
            self.odometry_inliers.append(self._odometry.inliers)
        self.keypoints.append(len(features))
        self._last.append((features, self._camera.normalize(features.keypoints, size)))
        for gap in self._plan.gaps:
            if len(self.truth) > gap:
                self._measure_pair(gap)

    def _measure_pair(self, gap: int) -> None:
        """Measure the relative pose of the newest frame and the frame `gap` frames earlier."""
        truth = np.linalg.inv(self.truth[-1 - gap]) @ self.truth[-1]
        if np.linalg.norm(truth[:3, 3]) < LEAST_MOTION:
            return
        (features_a, a), (features_b, b) = self._last[-1 - gap], self._last[-1]
        matches = match_mutual(features_a.descriptors, features_b.descriptors)
        views = estimate_pose(a[matches[:, 0]], b[matches[:, 1]], self._focal)
        self.matches.append(len(matches))
        self.two_view_inliers.append(views.inliers)
        self.two_views[gap].append(pose_error(views.pose, truth))
        before, now = self.estimated[-1 - gap], self.estimated[-1]
        known = before is not None and now is not None
        self.relative[gap].append(
            pose_error(np.linalg.inv(before) @ now, truth) if known else NO_POSE
        )

    def result(self) -> tuple[dict[str, Any], np.ndarray | None]:
        """Return the measurements and the aligned trajectory, None if there is none."""
        both = [
            (estimate, true)
            for estimate, true in zip(self.estimated, self.truth, strict=True)
            if estimate is not None
        ]
        aligned = align_trajectory([estimate for estimate, _ in both], [true for _, true in both])
        numbers = _summarise([self], self._plan)
        numbers |= {
            'frames': len(self.truth),
            'position_rmse': aligned.position if aligned else None,
            'position_percent': aligned.percent if aligned else None,
        }
        return numbers, aligned.estimated if aligned else None


def _summarise(runs: Sequence[_Run], plan: OdometryPlan) -> dict[str, Any]:
    """Return the measurements of one method over all frames and pairs of its runs."""

    def mean(name: str) -> float:
        values = [value for run in runs for value in getattr(run, name)]
        return float(np.mean(values)) if values else 0.0

    def pooled(name: str) -> dict[str, dict[str, float]]:
        return {
            str(gap): summarise_errors(
                [error for run in runs for error in getattr(run, name)[gap]]
            )
            for gap in plan.gaps
        }

    poses = [pose is not None for run in runs for pose in run.estimated]
    # A point that was seen only once is not a track.
    lengths = [length for run in runs for length in run.lengths.values() if length > 1]
    return {
        'two_views': pooled('two_views'),
        'odometry': pooled('relative'),
        'keypoints': mean('keypoints'),
        'matches': mean('matches'),
        'two_view_inliers': mean('two_view_inliers'),
        'odometry_inliers': mean('odometry_inliers'),
        'frames_with_pose': float(np.mean(poses)),
        'track_length': float(np.mean(lengths)) if lengths else 0.0,
    }


def _merge(
    runs: Sequence[_Run], numbers: Sequence[dict[str, Any]], plan: OdometryPlan
) -> dict[str, Any]:
    """Return the measurements of one method over all sequences, with mean trajectory errors."""
    merged = _summarise(runs, plan)
    for name in ('position_rmse', 'position_percent'):
        values = [each[name] for each in numbers]
        merged[name] = None if None in values else float(np.mean(values))
    merged['frames'] = sum(each['frames'] for each in numbers)
    return merged


class AlignedTrajectory(NamedTuple):
    """
    Estimated trajectory after alignment with the ground truth, and its error.

    `estimated` (N, 3) are the aligned positions of the frames that have both poses, `position` is
    the root mean square error in metres, and `percent` the same in percent of the path length.
    """

    estimated: np.ndarray
    position: float
    percent: float


def align_trajectory(
    estimated: Sequence[np.ndarray], truth: Sequence[np.ndarray]
) -> AlignedTrajectory | None:
    """
    Align estimated poses (4, 4), camera to world, with the ground truth of the same frames.

    The alignment is a similarity (Umeyama, PAMI 1991), computed by evo. Returns None for fewer
    than three poses, or if the camera did not move.
    """
    if len(estimated) < FEWEST_POSES:
        return None
    aligned, true = PosePath3D(poses_se3=list(estimated)), PosePath3D(poses_se3=list(truth))
    try:
        aligned.align(true, correct_scale=True)
    except GeometryException:
        return None
    error = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
    error.process_data((true, aligned))
    position = float(error.get_statistic(evo_metrics.StatisticsType.rmse))
    length = true.path_length
    if not length > 0:
        return None
    return AlignedTrajectory(aligned.positions_xyz, position, 100 * position / length)


def write_odometry_report(
    result: Mapping, trajectories: Mapping[str, Mapping[str, np.ndarray]], out: Path
) -> list[Path]:
    """Write JSON, tables and a plot of the trajectories to the folder `out`; return the files."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / name for name in ('odometry.json', 'odometry.md', 'trajectories.png')]
    write_json(files[0], result)
    files[1].write_text(odometry_markdown(result), encoding='utf-8')
    plot_trajectories(trajectories, files[2])
    return files


def odometry_markdown(result: Mapping) -> str:
    """Return the tables over all sequences and, if there are several, of each sequence."""
    parts = ['# Visual odometry\n', result['protocol'] + '\n']
    parts.append(f'At most {result["keypoints"]} keypoints per frame.\n')
    whole = {'All sequences': result['all']} if len(result['sequences']) > 1 else {}
    for title, by_method in {**whole, **result['sequences']}.items():
        frames = next(iter(by_method.values()))['frames']
        parts += [f'## {title}, {frames} frames\n', odometry_table(by_method)]
        for gap in result['gaps']:
            parts += [f'Pairs {gap} frames apart:\n', pairs_table(by_method, gap)]
    return '\n'.join(parts)


def odometry_table(by_method: Mapping) -> str:
    """Return the table of the trajectories: a row for each method."""
    header = ['method', 'position m', '% of length', 'frames with pose']
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
    """Return the table of the pairs with a gap: two rows for each method."""
    rows = []
    for kind, label in (('two_views', 'two views'), ('odometry', 'odometry')):
        for name, numbers in by_method.items():
            errors = numbers[kind][str(gap)]
            row = [f'{name}, {label}', *(errors[key] for key in _ERRORS), errors['pairs']]
            rows.append(row)
    return markdown_table(['method', *_ERRORS.values(), 'pairs'], rows)


def plot_trajectories(trajectories: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Draw the trajectories of each sequence in the plane in which they extend most."""
    columns = min(len(trajectories), 3)
    rows = -(-len(trajectories) // columns)
    figure = Figure(figsize=(5 * columns, 4.6 * rows), dpi=110, layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(trajectories) :]:
        axes.set_axis_off()
    for axes, (name, lines) in zip(grid.flat, trajectories.items(), strict=False):
        truth = lines['truth']
        first, second = sorted(np.argsort(-np.ptp(truth, axis=0), kind='stable')[:2])
        axes.plot(
            truth[:, first], truth[:, second], color='black', linewidth=2.5, label='ground truth'
        )
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
