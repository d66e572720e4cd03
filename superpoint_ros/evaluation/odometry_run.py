# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Evaluation of one method of odometry on one sequence, frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from superpoint_ros.data.sequences.sequence import Frame, FrameSequence
from superpoint_ros.evaluation.evaluation_plans import OdometryPlan
from superpoint_ros.evaluation.front_ends import OdometryMethod
from superpoint_ros.evaluation.relative_pose import (
    estimate_pose,
    NO_POSE,
    pose_error,
    PoseError,
    summarise_errors,
)
from superpoint_ros.evaluation.trajectories import align_trajectory
from superpoint_ros.features import Features
from superpoint_ros.geometry.stereo import StereoCamera
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.odometry.visual_odometry import VisualOdometry

LEAST_MOTION = 0.005
"""Least distance in metres between the frames of a pair; below, the direction is undefined."""


class OdometryRun:
    """
    Evaluation of one method on one sequence.

    Raises ValueError for a sequence without calibration, or without second camera if that gives
    the scale.
    """

    def __init__(self, method: OdometryMethod, sequence: FrameSequence, plan: OdometryPlan):
        camera = sequence.camera
        if camera is None:
            raise ValueError('it has no calibration: give a calibration file')
        self.name, self._plan, self._camera = method.name, plan, camera
        self._focal = (camera.matrix[0, 0] + camera.matrix[1, 1]) / 2
        stereo = None
        if plan.scale == 'stereo':
            baseline = float(sequence.second_camera.pose[0, 3])
            stereo = StereoCamera(camera, float(camera.matrix[0, 0]), baseline)
        self._front_end = method.make(plan.max_keypoints, plan.tracker, stereo)
        self._odometry = VisualOdometry(camera, plan.odometry)
        self._last: deque[Any] = deque(maxlen=max(plan.gaps) + 1)
        self.stamps: list[float] = []
        self.truth: list[np.ndarray | None] = []
        self.estimated: list[np.ndarray | None] = []
        self.two_views: dict[int, list[PoseError]] = {gap: [] for gap in plan.gaps}
        self.relative: dict[int, list[PoseError]] = {gap: [] for gap in plan.gaps}
        self.matches: list[int] = []
        self.two_view_inliers: list[int] = []
        self.odometry_inliers: list[int] = []
        self.without_scale = 0  # poses of a map whose lengths are not metric
        self.keypoints: list[int] = []
        self.lengths: dict[int, int] = {}
        self.tracks: Tracks | None = None

    @property
    def features(self) -> Features | None:
        """Return the features of the last frame, None if the method has none."""
        view = self._front_end.view
        return view if isinstance(view, Features) else None

    @property
    def map_points(self) -> np.ndarray:
        """Return the points of the odometry's map (M, 3), in the frame of its poses."""
        return self._odometry.points

    def add(self, frame: Frame) -> None:
        """Process the next frame and measure the pairs that end with it."""
        tracks = self.tracks = self._front_end.update(frame)
        # Raises CameraModelError if the calibration is for another image size.
        self._camera.normalize(tracks.keypoints[:1], frame.image.shape[1::-1])
        for number, age in zip(tracks.ids.tolist(), tracks.ages.tolist(), strict=True):
            self.lengths[number] = age
        self.estimated.append(self._odometry.update(tracks, frame.stamp))
        self.truth.append(frame.pose)
        self.stamps.append(frame.stamp)
        if self.estimated[-1] is not None:
            self.odometry_inliers.append(self._odometry.inliers)
            self.without_scale += not self._odometry.metric
        self.keypoints.append(self._front_end.keypoints)
        self._last.append(self._front_end.view)
        for gap in self._plan.gaps:
            if len(self.truth) > gap:
                self._measure_pair(gap)

    def _measure_pair(self, gap: int) -> None:
        """Measure the relative pose of the newest frame and the frame `gap` frames earlier."""
        first, last = self.truth[-1 - gap], self.truth[-1]
        if first is None or last is None:
            return
        truth = np.linalg.inv(first) @ last
        if np.linalg.norm(truth[:3, 3]) < LEAST_MOTION:
            return
        a, b = (
            self._camera.normalize(points)
            for points in self._front_end.match(self._last[-1 - gap], self._last[-1])
        )
        views = estimate_pose(a, b, self._focal)
        self.matches.append(len(a))
        self.two_view_inliers.append(views.inliers)
        self.two_views[gap].append(pose_error(views.pose, truth))
        before, now = self.estimated[-1 - gap], self.estimated[-1]
        known = before is not None and now is not None
        self.relative[gap].append(
            pose_error(np.linalg.inv(before) @ now, truth) if known else NO_POSE
        )

    def result(self) -> tuple[dict[str, Any], np.ndarray | None]:
        """
        Return the measurements and the aligned trajectory, None if there is none.

        Raises ValueError if there are no pairs of frames with true poses.
        """
        if not all(self.two_views[gap] for gap in self._plan.gaps):
            raise ValueError(
                f'it has no two frames with true poses, {max(self._plan.gaps)} frames apart, '
                f'between which the camera moved; it has {len(self.truth)} frames, '
                f'{sum(pose is not None for pose in self.truth)} of them with a true pose'
            )
        both = [
            (estimate, true)
            for estimate, true in zip(self.estimated, self.truth, strict=True)
            if estimate is not None and true is not None
        ]
        aligned = align_trajectory(
            [estimate for estimate, _ in both],
            [true for _, true in both],
            scale=self._plan.scale == 'none',
        )
        numbers = summarise_runs([self], self._plan)
        numbers |= {
            'frames': len(self.truth),
            'frames_with_truth': sum(pose is not None for pose in self.truth),
            'restarts': self._odometry.restarts,
            'position_rmse': aligned.position if aligned else None,
            'position_percent': aligned.percent if aligned else None,
            'translation_drift': aligned.translation_drift if aligned else None,
            'rotation_drift': aligned.rotation_drift if aligned else None,
        }
        return numbers, aligned.estimated if aligned else None


TRAJECTORY_ERRORS = ('position_rmse', 'position_percent', 'translation_drift', 'rotation_drift')


def summarise_runs(runs: Sequence[OdometryRun], plan: OdometryPlan) -> dict[str, Any]:
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


def merge_runs(
    runs: Sequence[OdometryRun], numbers: Sequence[dict[str, Any]], plan: OdometryPlan
) -> dict[str, Any]:
    """Return the measurements of one method over all sequences, with mean trajectory errors."""
    merged = summarise_runs(runs, plan)
    for name in TRAJECTORY_ERRORS:
        values = [each[name] for each in numbers]
        merged[name] = None if None in values else float(np.mean(values))
    for name in ('frames', 'frames_with_truth', 'restarts'):
        merged[name] = sum(each[name] for each in numbers)
    return merged
