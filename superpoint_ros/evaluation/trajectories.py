# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Errors of estimated trajectories, aligned by evo, and their files in the TUM format.

Drift is measured as in the KITTI benchmark (Geiger, Lenz and Urtasun, CVPR 2012): errors of
relative poses over segments of the path, divided by the length of the segment. The segments are
10, 20, 30, 40 and 50 % of the path, because sequences differ in length.

Published errors are those of evo. Programs that only show or check a trajectory align positions
with `geometry.trajectory_alignment`, which needs NumPy alone: evo is installed for evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from pathlib import Path
from typing import NamedTuple

from evo.core import metrics as evo_metrics
from evo.core.filters import FilterException
from evo.core.geometry import GeometryException
from evo.core.metrics import id_pairs_from_delta
from evo.core.trajectory import PosePath3D
from evo.core.units import Unit
import numpy as np

from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.geometry.poses import quaternion_of

FEWEST_POSES = 3
"""Number of poses that an alignment needs."""

SEGMENTS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Lengths of the segments in parts of the path."""


class AlignedTrajectory(NamedTuple):
    """
    Estimated trajectory after alignment with the ground truth, and its errors.

    Attributes:
        estimated: (N, 3), aligned positions of the frames that have both poses.
        position_rmse: root mean square position error in metres.
        position_percent: the same in percent of the path length.
        translation_drift: mean translation error over segments, in percent of their length; None
            if no segment fits.
        rotation_drift: mean rotation error over segments, in degrees per metre; None likewise.

    """

    estimated: np.ndarray
    position_rmse: float
    position_percent: float
    translation_drift: float | None
    rotation_drift: float | None


def align_trajectory(
    estimated: Sequence[np.ndarray], truth: Sequence[np.ndarray], scale: bool = True
) -> AlignedTrajectory | None:
    """
    Align estimated poses (4, 4), camera to world, with the ground truth of the same frames.

    The alignment (Umeyama, PAMI 1991), computed by evo, is a similarity, or a rigid motion without
    `scale`. Returns None for fewer than three poses, or if the camera did not move.
    """
    if len(estimated) < FEWEST_POSES:
        return None
    aligned, true = PosePath3D(poses_se3=list(estimated)), PosePath3D(poses_se3=list(truth))
    try:
        aligned.align(true, correct_scale=scale)
    except GeometryException:
        return None
    error = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
    error.process_data((true, aligned))
    position = float(error.get_statistic(evo_metrics.StatisticsType.rmse))
    length = true.path_length
    if not length > 0:
        return None
    drift = _drift(true, aligned)
    return AlignedTrajectory(aligned.positions_xyz, position, 100 * position / length, *drift)


def _drift(true: PosePath3D, aligned: PosePath3D) -> tuple[float | None, float | None]:
    """Return the mean errors over all segments, in percent and degrees per metre."""
    along, pairs = true.distances, []
    for share in SEGMENTS:
        with contextlib.suppress(FilterException):  # no two frames are that far apart
            pairs += id_pairs_from_delta(
                true.poses_se3, share * along[-1], Unit.meters, rel_tol=0.1, all_pairs=True
            )
    if not pairs:
        return None, None
    first, last = np.array(pairs).T
    motions = [
        np.linalg.inv(poses[first]) @ poses[last]
        for poses in (np.array(true.poses_se3), np.array(aligned.poses_se3))
    ]
    errors = np.linalg.inv(motions[0]) @ motions[1]
    cosines = (np.trace(errors[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    lengths = along[last] - along[first]
    distances = np.linalg.norm(errors[:, :3, 3], axis=1)
    return float((100 * distances / lengths).mean()), float((angles / lengths).mean())


def write_trajectory(
    path: Path, stamps: Sequence[float], poses: Sequence[np.ndarray | None]
) -> None:
    """
    Write poses (4, 4), camera to world, in the TUM format: `stamp tx ty tz qx qy qz qw`.

    Frames without a pose are left out. `evo_ape tum` and `evo_rpe tum` read the file, which is
    complete or not written at all.
    """
    lines = []
    for stamp, pose in zip(stamps, poses, strict=True):
        if pose is not None:
            numbers = ' '.join(f'{number:.9f}' for number in (*pose[:3, 3], *quaternion_of(pose)))
            lines.append(f'{stamp:.9f} {numbers}\n')
    write_atomically(path, ''.join(lines).encode())
