# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Check of matches by the geometric model that most of them fit."""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.geometry.robust_estimation import estimate_robustly
from superpoint_ros.odometry.odometry_settings import TrackerSettings

FEWEST_MATCHES = 16
"""Number of matches from which a model is fitted, twice the minimum of a fundamental matrix: fewer
fit anything."""

_CONFIDENCE, _ITERATIONS = 0.999, 500
_STILL = 0.5  # pixels; points that move less may be fixed to the camera


def fit_geometry(before: np.ndarray, now: np.ndarray, settings: TrackerSettings) -> np.ndarray:
    """
    Return which matches fit the geometric model of most of them, bool (N,).

    `before` and `now` (N, 2) are the positions in two frames, in pixels. All matches fit if the
    settings choose no model, or if none is found. Points that hardly move fit the fundamental
    matrices of all translations: where others move, they have no part in it, as they may belong to
    the robot itself.
    """
    everything, threshold = np.ones(len(before), bool), settings.geometric_threshold
    if settings.geometric_check == 'none':
        return everything
    if settings.geometric_check == 'homography':
        estimator, limits = cv2.findHomography, ()
    else:
        estimator, limits = cv2.findFundamentalMat, (_CONFIDENCE, _ITERATIONS)
    moved = np.linalg.norm(now - before, axis=1) > _STILL
    if settings.geometric_check == 'homography' or moved.sum() < FEWEST_MATCHES:
        moved[:] = True
    _, inliers = estimate_robustly(
        estimator, before[moved], now[moved], cv2.USAC_FAST, threshold, *limits
    )
    # No model: for example, all points in one place, or, with OpenCV 4.6, a motion without noise
    # for which many models are exact, such as none.
    if inliers.any():
        everything[moved] = inliers
    return everything
