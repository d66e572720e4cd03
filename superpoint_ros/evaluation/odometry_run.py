# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Evaluation of one method of odometry on one sequence, frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from superpoint_ros.common.wording import counted
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

TRAJECTORY_ERRORS = ('position_rmse', 'position_percent', 'translation_drift', 'rotation_drift')
"""Errors of an `AlignedTrajectory` that are reported; None without an alignment."""

LEAST_MOTION = 0.005
"""Least distance in metres between the frames of a pair; below, the direction is undefined."""


def check_pairs(gaps_with_pairs: Iterable[int], plan: OdometryPlan, poses: Sequence) -> None:
    """Raise ValueError if not all gaps have pairs; `poses` are those of the frames, or None."""
    missing = set(plan.gaps) - set(gaps_with_pairs)
    if missing:
        with_truth = sum(pose is not None for pose in poses)
        raise ValueError(
            f'it has no two frames with true poses, {counted(max(missing), "frame")} apart, '
            f'between which the camera moved; it has {counted(len(poses), "frame")}, '
            f'{with_truth} of them with a true pose'
        )


def gaps_with_motion(poses: Sequence[np.ndarray | None], gaps: Iterable[int]) -> list[int]:
    """Return those gaps at which two frames have poses (4, 4) between which the camera moved."""
    positions = [np.full(3, np.nan) if pose is None else pose[:3, 3] for pose in poses]
    places = np.reshape(positions, (-1, 3))
    return [
        gap
        for gap in gaps
        if (np.linalg.norm(places[gap:] - places[:-gap], axis=1) >= LEAST_MOTION).any()
    ]


class FrameResult(NamedTuple):
    """
    Measurements on one frame.

    Attributes:
        stamp: time in seconds.
        truth: true pose (4, 4), camera to world; None if it is unknown.
        estimate: pose of the odometry, likewise; None if it found none.
        keypoints: number of keypoints.
        inliers: number of inliers of the estimate.
        is_metric: whether the odometry's map is in metres.

    """

    stamp: float
    truth: np.ndarray | None
    estimate: np.ndarray | None
    keypoints: int
    inliers: int
    is_metric: bool


class PairResult(NamedTuple):
    """
    Measurements on a pair of frames between which the camera moved.

    Attributes:
        gap: distance of the frames in the sequence.
        matches: number of matches.
        inliers: number of matches that fit the relative pose of the two views.
        two_views: errors of the relative pose from these matches.
        odometry: errors of the relative pose of the odometry; `NO_POSE` without two estimates.

    """

    gap: int
    matches: int
    inliers: int
    two_views: PoseError
    odometry: PoseError


class OdometryRun:
    """
    Evaluation of one method on one sequence.

    Raises ValueError for a sequence without calibration, or without second camera if that gives
    the scale.

    Attributes:
        name: name of the method.
        frames: results of all frames.
        pairs: results of all pairs of frames that could be measured.
        track_lengths: number of frames of each track, by its id.
        tracks: tracks of the last frame, None before the first one.

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
        self._views: deque[Any] = deque(maxlen=max(plan.gaps) + 1)
        self.frames: list[FrameResult] = []
        self.pairs: list[PairResult] = []
        self.track_lengths: dict[int, int] = {}
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

    @property
    def estimates(self) -> list[np.ndarray | None]:
        """Return the estimated pose of each frame."""
        return [frame.estimate for frame in self.frames]

    @property
    def truth(self) -> list[np.ndarray | None]:
        """Return the true pose of each frame."""
        return [frame.truth for frame in self.frames]

    def paired_poses(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the estimated and the true poses of the frames that have both."""
        both = [
            frame
            for frame in self.frames
            if frame.estimate is not None and frame.truth is not None
        ]
        return [frame.estimate for frame in both], [frame.truth for frame in both]

    def add(self, frame: Frame) -> None:
        """
        Process the next frame and measure the pairs that end with it.

        Raises CameraModelError if the calibration is for another image size.
        """
        self._camera.check_size(frame.image.shape[1::-1])
        tracks = self.tracks = self._front_end.update(frame)
        self.track_lengths.update(zip(tracks.ids.tolist(), tracks.ages.tolist(), strict=True))
        estimate = self._odometry.update(tracks, frame.stamp)
        keypoints, inliers = self._front_end.keypoints, self._odometry.inliers
        is_metric = self._odometry.metric
        self.frames.append(
            FrameResult(frame.stamp, frame.pose, estimate, keypoints, inliers, is_metric)
        )
        self._views.append(self._front_end.view)
        for gap in self._plan.gaps:
            if len(self.frames) > gap:
                self._measure_pair(gap)

    def _measure_pair(self, gap: int) -> None:
        """Measure the relative pose of the newest frame and the frame `gap` frames earlier."""
        first, last = self.frames[-1 - gap], self.frames[-1]
        if first.truth is None or last.truth is None:
            return
        truth = np.linalg.inv(last.truth) @ first.truth
        if np.linalg.norm(truth[:3, 3]) < LEAST_MOTION:
            return
        a, b = (
            self._camera.normalize(points)
            for points in self._front_end.match(self._views[-1 - gap], self._views[-1])
        )
        views = estimate_pose(a, b, self._focal)
        two_views, odometry = pose_error(views.pose, truth), NO_POSE
        if first.estimate is not None and last.estimate is not None:
            odometry = pose_error(np.linalg.inv(last.estimate) @ first.estimate, truth)
        self.pairs.append(PairResult(gap, len(a), views.inliers, two_views, odometry))

    def result(self) -> tuple[dict[str, Any], np.ndarray | None]:
        """
        Return the measurements and the aligned trajectory, None if there is none.

        Raises ValueError if there are no pairs of frames with true poses.
        """
        check_pairs({pair.gap for pair in self.pairs}, self._plan, self.truth)
        with_truth = sum(pose is not None for pose in self.truth)
        aligned = align_trajectory(*self.paired_poses(), scale=self._plan.scale == 'none')
        numbers = summarise_runs([self], self._plan)
        numbers |= {
            'frames': len(self.frames),
            'frames_with_truth': with_truth,
            'restarts': self._odometry.restarts,
            **{name: getattr(aligned, name, None) for name in TRAJECTORY_ERRORS},
        }
        return numbers, aligned.estimated if aligned else None


def summarise_runs(runs: Sequence[OdometryRun], plan: OdometryPlan) -> dict[str, Any]:
    """Return the measurements of one method over all frames and pairs of its runs."""
    frames = [frame for run in runs for frame in run.frames]
    posed = [frame for frame in frames if frame.estimate is not None]
    pairs = [pair for run in runs for pair in run.pairs]
    # A point that was seen only once is not a track.
    lengths = [length for run in runs for length in run.track_lengths.values() if length > 1]

    def by_gap(name: str) -> dict[str, dict[str, float]]:
        return {
            str(gap): summarise_errors([getattr(pair, name) for pair in pairs if pair.gap == gap])
            for gap in plan.gaps
        }

    return {
        'two_views': by_gap('two_views'),
        'odometry': by_gap('odometry'),
        'keypoints': _mean([frame.keypoints for frame in frames]),
        'matches': _mean([pair.matches for pair in pairs]),
        'two_view_inliers': _mean([pair.inliers for pair in pairs]),
        'odometry_inliers': _mean([frame.inliers for frame in posed]),
        'frames_with_pose': len(posed) / len(frames),
        'track_length': _mean(lengths),
    }


def _mean(values: Sequence[int]) -> float:
    """Return the mean, 0 if there are no values."""
    return float(np.mean(values)) if values else 0.0


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
