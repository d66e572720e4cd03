# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Relative pose of two views from matches, and its error.

Protocol of SuperGlue (Sarlin and others, CVPR 2020): essential matrix by RANSAC; the error of a
pair is the larger of the angle of the rotation error and the angle between the directions of
translation, whose sign is ambiguous. The direction is that in the second camera: in the first one,
an error of the rotation would add to it. A pair without an estimate has the largest error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.evaluation.pair_metrics import area_under_accuracy
from superpoint_ros.geometry.poses import make_pose

LIMITS = (5, 10, 20)
"""Limits in degrees of the area under the pose error curve (AUC)."""

WORST_ROTATION, WORST_DIRECTION = 180.0, 90.0

_THRESHOLD = 1.0  # pixels
_CONFIDENCE = 0.99999
_FEWEST = 8
_FARTHEST = 1e9
"""
Depth of points, in lengths of the translation, up to which they decide between the four poses that
an essential matrix allows; all do. OpenCV's limit of 50 leaves slow cameras without a pose.
"""


class RelativePose(NamedTuple):
    """
    Estimated pose (4, 4), its translation of unit length, and the number of its inliers.

    It maps coordinates of camera a to those of camera b; None if there is none.
    """

    pose: np.ndarray | None
    inliers: int


class PoseError(NamedTuple):
    """Errors of a relative pose, in degrees."""

    rotation: float
    direction: float

    @property
    def largest(self) -> float:
        """Return the larger of both errors."""
        return max(self.rotation, self.direction)


NO_POSE = PoseError(WORST_ROTATION, WORST_DIRECTION)


def estimate_pose(a: np.ndarray, b: np.ndarray, focal_length: float) -> RelativePose:
    """
    Return the relative pose of two views from matched points in normalised coordinates (N, 2).

    The focal length in pixels scales the RANSAC threshold of 1 px. NaN points are ignored. The
    result is reproducible.
    """
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[known].astype(np.float64), b[known].astype(np.float64)
    if len(a) < _FEWEST:
        return RelativePose(None, 0)
    matrices, mask = cv2.findEssentialMat(
        a, b, np.eye(3), cv2.RANSAC, _CONFIDENCE, _THRESHOLD / focal_length
    )
    if matrices is None or matrices.shape != (3, 3):
        return RelativePose(None, 0)
    inliers = int(mask.sum())
    count, rotation, translation, *_ = cv2.recoverPose(
        matrices, a, b, np.eye(3), distanceThresh=_FARTHEST, mask=mask
    )
    return RelativePose(make_pose(rotation, translation) if count else None, inliers)


def pose_error(estimate: np.ndarray | None, truth: np.ndarray) -> PoseError:
    """
    Return the errors of an estimated pose from camera a to camera b; `NO_POSE` without one.

    Both poses are (4, 4); that of `truth` has a translation.
    """
    if estimate is None or not np.isfinite(estimate).all():
        return NO_POSE
    difference = estimate[:3, :3].T @ truth[:3, :3]
    rotation = np.degrees(np.arccos(np.clip((np.trace(difference) - 1) / 2, -1, 1)))
    a, b = estimate[:3, 3], truth[:3, 3]
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    if not lengths > 0:
        return PoseError(float(rotation), WORST_DIRECTION)
    direction = np.degrees(np.arccos(np.clip(abs(a @ b) / lengths, 0, 1)))
    return PoseError(float(rotation), float(direction))


def summarise_errors(errors: Sequence[PoseError]) -> dict[str, float]:
    """Return areas and medians of the errors of pairs; raise ValueError without pairs."""
    if not errors:
        raise ValueError('no pairs of frames to evaluate')
    largest = np.array([error.largest for error in errors])
    return {
        **{f'auc_{limit}': area_under_accuracy(largest, limit) for limit in LIMITS},
        'rotation_median': float(np.median([error.rotation for error in errors])),
        'direction_median': float(np.median([error.direction for error in errors])),
        'pairs': len(errors),
    }
