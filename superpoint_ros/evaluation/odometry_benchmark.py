# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Visual odometry on sequences whose true poses are known: how good features are at it.

Of each frame the best N keypoints count, and all methods have the same tracker and odometry. Two
views: mutual nearest neighbours between frames some frames apart, essential matrix by RANSAC at
1 px; errors are the larger of the rotation's and of the translation direction's angle, AUC is the
area under the share of pairs below 5, 10 and 20 degrees. Odometry: errors of its relative poses
over the same pairs, where a frame without a pose is as wrong as can be, and the root mean square
distance between true positions and estimated ones, aligned by a similarity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

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
from superpoint_ros.evaluation.trajectory_errors import align_trajectory
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.odometry.odometry_settings import OdometrySettings, TrackerSettings
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.odometry.visual_odometry import VisualOdometry

LEAST_WAY = 0.005
"""Metres between two frames: over less the direction of the translation means nothing."""


@dataclass(frozen=True)
class OdometryPlan:
    """
    Say what is measured.

    `keypoints` is how many of a frame count, `gaps` how many frames lie between the two of a pair,
    `frames` how many of each sequence are taken (None: all). The tracker's least similarity is off
    by default: descriptors of different methods are differently similar. Raises ValueError for
    numbers that cannot be.
    """

    keypoints: int = 500
    gaps: tuple[int, ...] = (2, 5)
    frames: int | None = None
    tracker: TrackerSettings = field(default_factory=lambda: TrackerSettings(min_similarity=-1.0))
    odometry: OdometrySettings = field(default_factory=OdometrySettings)

    def __post_init__(self):
        if self.keypoints < 1:
            raise ValueError(f'keypoints must be 1 or more, got {self.keypoints}')
        if not self.gaps or min(self.gaps) < 1:
            raise ValueError(f'gaps must be 1 frame or more, got {list(self.gaps)}')
        if self.frames is not None and self.frames <= max(self.gaps):
            raise ValueError(
                f'of {self.frames} frames no two are {max(self.gaps)} apart: take more frames'
            )


def evaluate_odometry(
    methods: Sequence[Method],
    sequences: Iterable[tuple[str, FrameSequence]],
    plan: OdometryPlan,
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """
    Return the numbers, and the trajectories by sequence and name.

    Sequences come with their names; frames without a true pose are left out. Of the trajectories,
    'truth' is the true one, the others are the methods' (N, 3), aligned to it. `on_frame` is
    called after each frame. Raises ValueError where a sequence has no calibration, or no pair of
    frames with true poses.
    """
    results: dict[str, Any] = {}
    trajectories: dict[str, dict[str, np.ndarray]] = {}
    all_runs: dict[str, list[_Run]] = {method.name: [] for method in methods}
    for name, sequence in sequences:
        if sequence.camera is None:
            raise ValueError(f'{name} has no calibration: give one as a file')
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
                    f'{name} has no two frames with true poses {max(plan.gaps)} frames apart, '
                    'between which the camera moved'
                )
            results[name][run.name], aligned = run.result()
            if aligned is not None:
                trajectories[name][run.name] = aligned
            all_runs[run.name].append(run)
        trajectories[name]['truth'] = np.array([pose[:3, 3] for pose in runs[0].truth])
    if not results:
        raise ValueError('there is no sequence to measure on')
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
    """One method on one sequence, frame by frame."""

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
        """Find the features of the next frame, track them, and note what comes of it."""
        features = self._find(frame.image).best(self._plan.keypoints)
        size = frame.image.shape[1::-1]
        tracks = self._tracker.update(features, frame.stamp, size)
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
        """Note how wrong the relative pose of the newest frame and an earlier one is."""
        truth = np.linalg.inv(self.truth[-1 - gap]) @ self.truth[-1]
        if np.linalg.norm(truth[:3, 3]) < LEAST_WAY:
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
        """Return the numbers, and the aligned trajectory, None where there is none."""
        both = [
            (ours, true)
            for ours, true in zip(self.estimated, self.truth, strict=True)
            if ours is not None
        ]
        aligned = align_trajectory([ours for ours, _ in both], [true for _, true in both])
        numbers = _summary([self], self._plan)
        numbers |= {
            'frames': len(self.truth),
            'position_rmse': aligned.position if aligned else None,
            'position_percent': aligned.percent if aligned else None,
        }
        return numbers, aligned.estimated if aligned else None


def _summary(runs: Sequence[_Run], plan: OdometryPlan) -> dict[str, Any]:
    """Return what runs of one method have in common, over all their frames and pairs."""

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
    # A point that was seen but once is no track.
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
    """Return the numbers of one method over all sequences: trajectories' errors as means."""
    merged = _summary(runs, plan)
    for name in ('position_rmse', 'position_percent'):
        values = [each[name] for each in numbers]
        merged[name] = None if None in values else float(np.mean(values))
    merged['frames'] = sum(each['frames'] for each in numbers)
    return merged
