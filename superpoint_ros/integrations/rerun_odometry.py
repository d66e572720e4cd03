# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An evaluation of odometry in Rerun: frames, tracks, trajectories and maps of all methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.trajectory_alignment import align, TrajectoryAlignment
from superpoint_ros.integrations.rerun_recording import RerunRecording, RerunScene, TRUTH

if TYPE_CHECKING:
    from superpoint_ros.evaluation.odometry_run import OdometryRun

_MIN_POSES = 5
"""Number of poses of a method from which its trajectory is aligned and logged."""


class OdometryLog:
    """
    Log of an evaluation in a recording: one scene for each sequence.

    Estimates are aligned to the ground truth known so far, by a similarity, also if the scale
    of the estimates is known.
    """

    def __init__(self, recording: RerunRecording):
        self._recording = recording
        self._sequence: str | None = None
        self._scene: RerunScene | None = None

    def add(
        self, sequence: str, camera: CameraModel, frame: Frame, runs: Sequence[OdometryRun]
    ) -> None:
        """Log a frame of a sequence, after all runs have processed it."""
        if sequence != self._sequence:
            self._sequence = sequence
            self._scene = self._recording.scene(sequence, runs[0].name)
        scene = self._scene
        scene.set_time(len(runs[0].frames) - 1, frame.stamp)
        scene.log_image(frame.image)
        truth = [pose[:3, 3] for pose in runs[0].truth if pose is not None]
        scene.log_trajectory(np.reshape(truth, (-1, 3)), TRUTH)
        if frame.pose is not None:
            scene.log_camera(frame.pose, camera)
        for run in runs:
            if run.features is not None:
                scene.log_keypoints(run.features, run.name)
            if run.tracks is not None:
                scene.log_tracks(run.tracks, run.name)
            alignment = _alignment(run)
            if alignment is not None:
                positions = [pose[:3, 3] for pose in run.estimates if pose is not None]
                scene.log_trajectory(alignment.apply(np.array(positions)), run.name)
                scene.log_map(alignment.apply(run.map_points), run.name)


def _alignment(run: OdometryRun) -> TrajectoryAlignment | None:
    """Return the alignment of a run to the ground truth so far, None if it is too early."""
    estimated, truth = (np.reshape(poses, (-1, 4, 4))[:, :3, 3] for poses in run.paired_poses())
    if len(estimated) < _MIN_POSES:
        return None
    try:
        return align(estimated, truth)
    except ValueError:  # the camera has not moved
        return None
