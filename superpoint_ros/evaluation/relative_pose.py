# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Relative poses of two views: from matches to a pose, and how wrong it is.

As in the tables of SuperGlue (Sarlin and others, CVPR 2020): an essential matrix by RANSAC; the
error of a pair is the larger of the rotation's angle and the angle between the directions of the
translations, whose sign two views leave open. A pair without an estimate is as wrong as can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.evaluation.metrics import area_under_accuracy

LIMITS = (5, 10, 20)
"""Degrees up to which the area under the share of good pairs is told."""

WORST_ROTATION, WORST_DIRECTION = 180.0, 90.0

_THRESHOLD = 1.0  # pixels
_CONFIDENCE = 0.99999
_FEWEST = 8


class TwoViews(NamedTuple):
    """An estimate: `pose` (4, 4) takes points of camera b to camera a, up to scale."""

    pose: np.ndarray | None
    inliers: int


class PoseError(NamedTuple):
    """How wrong a relative pose is, in degrees."""

    rotation: float
    direction: float

    @property
    def largest(self) -> float:
        """Return the larger of the two."""
        return max(self.rotation, self.direction)


NO_POSE = PoseError(WORST_ROTATION, WORST_DIRECTION)


def estimate_pose(a: np.ndarray, b: np.ndarray, focal_length: float) -> TwoViews:
    """
    Return the relative pose of two views from matched points in normalised coordinates (N, 2).

    The focal length, in pixels, says what one pixel is there. Points that are not a number are
    left out. The result is the same each time.
    """
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[known].astype(np.float64), b[known].astype(np.float64)
    if len(a) < _FEWEST:
        return TwoViews(None, 0)
    cv2.setRNGSeed(0)
    matrices, mask = cv2.findEssentialMat(
        a, b, np.eye(3), cv2.RANSAC, _CONFIDENCE, _THRESHOLD / focal_length
    )
    if matrices is None or matrices.shape != (3, 3):
        return TwoViews(None, 0)
    inliers = int(mask.sum())
    count, rotation, translation, _ = cv2.recoverPose(matrices, a, b, np.eye(3), mask=mask)
    if not count:
        return TwoViews(None, inliers)
    a_to_b = np.eye(4)
    a_to_b[:3, :3], a_to_b[:3, 3] = rotation, translation[:, 0]
    return TwoViews(np.linalg.inv(a_to_b), inliers)


def pose_error(estimate: np.ndarray | None, truth: np.ndarray) -> PoseError:
    """Return how wrong an estimated relative pose (4, 4) is; `NO_POSE` where there is none."""
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
    """Return the areas and medians of pairs' errors; raise ValueError where there are none."""
    if not errors:
        raise ValueError('there is no pair of frames to measure on')
    largest = np.array([error.largest for error in errors])
    return {
        **{f'auc_{limit}': area_under_accuracy(largest, limit) for limit in LIMITS},
        'rotation_median': float(np.median([error.rotation for error in errors])),
        'direction_median': float(np.median([error.direction for error in errors])),
        'pairs': len(errors),
    }
