# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
OpenCV's estimators that tolerate outliers (RANSAC).

Their results repeat: each call has its own random numbers, with a constant seed.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def estimate_robustly(
    estimator: Callable[..., tuple[np.ndarray | None, np.ndarray | None]],
    points_a: np.ndarray,
    points_b: np.ndarray,
    *arguments: object,
    **options: object,
) -> tuple[np.ndarray | None, np.ndarray]:
    """
    Return the matrix that fits most matched points (N, 2), and which fit it, bool (N,).

    The estimator is a function of OpenCV, such as cv2.findHomography; `arguments` and `options`
    follow the points. Without a result, the matrix is None and no point fits.
    """
    points = (np.asarray(points_a, np.float64), np.asarray(points_b, np.float64))
    try:
        matrix, inliers = estimator(*points, *arguments, **options)
    except cv2.error:  # assertions of 4.14 fail for coincident or collinear points
        matrix = inliers = None
    if matrix is None or inliers is None:
        return None, np.zeros(len(points_a), bool)
    return matrix, inliers.ravel().astype(bool)
