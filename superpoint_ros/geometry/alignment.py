# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Alignments of two images by matched points: similarities, affinities and homographies.

Points are pixels (x, y) of images a and b; sizes are (width, height).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.geometry.homography import image_corners, local_jacobian, warp_points
from superpoint_ros.geometry.robust_estimation import estimate_robustly

TOLERANCE = 0.02
"""Largest distance from an alignment, relative to the longest side of the image."""
MAX_ZOOM, MAX_STRETCH = 12.0, 6.0
"""Largest change of scale and stretch of an alignment, for safety."""
MODEL_GAIN = 1.25
"""Smallest ratio of the matches that fit an affinity to those that fit a similarity, for the
affinity to be preferred; also of a homography to the better one of them."""
MIN_AFFINE = 12
"""Matches that must fit an affinity for a homography to be tried, which takes 40 ms if few matches
fit: of 200 random matches, 4 to 9 fit an alignment."""
MAX_PERSPECTIVE = 0.5
"""Largest distance of a view's corners by its homography and by a simpler alignment, relative to
its longest side there: .25 rejects some homographies of planar pairs."""


class Alignment(NamedTuple):
    """Homography (3, 3) from image a to image b, and the number of matches that fit it."""

    to_b: np.ndarray
    inliers: int


NO_ALIGNMENT = Alignment(np.eye(3), 0)


class ViewChange(NamedTuple):
    """
    What a homography from a to b does in the middle of b.

    It is NaN beyond the horizon, and for a homography that cannot be inverted. The homography
    turns by `rotation` degrees clockwise, magnifies lengths by `zoom` (the root of the
    magnification of areas) and magnifies one direction by `stretch` >= 1 more than the one across.
    With a reflection, `zoom` is NaN.
    """

    rotation: float
    zoom: float
    stretch: float

    @property
    def is_possible(self) -> bool:
        """Whether a real pair may have this change."""
        return 1 / MAX_ZOOM <= self.zoom <= MAX_ZOOM and self.stretch <= MAX_STRETCH


def view_change(to_b: np.ndarray, size_b: tuple[int, int]) -> ViewChange:
    """Return what a homography from a to b of `size_b` does in the middle of b."""
    middle = (np.array(size_b) - 1) / 2
    try:
        (xx, xy), (yx, yy) = local_jacobian(np.linalg.inv(to_b), middle)
    except (np.linalg.LinAlgError, ValueError):  # that of points on a line, for example
        return ViewChange(np.nan, np.nan, np.nan)
    # Half the sum and half the difference of the singular values; negative with a reflection.
    mean, half = np.hypot(xx + yy, yx - xy) / 2, np.hypot(xx - yy, yx + xy) / 2
    determinant = mean**2 - half**2 if mean > half else np.nan
    return ViewChange(
        rotation=float(-np.degrees(np.arctan2(yx - xy, xx + yy))),
        zoom=float(1 / np.sqrt(determinant)),
        stretch=float((mean + half) / abs(mean - half)) if mean != half else np.inf,
    )


def fit_alignment(
    points_a: np.ndarray,
    points_b: np.ndarray,
    size_a: tuple[int, int],
    size_b: tuple[int, int],
) -> Alignment:
    """
    Return the similarity, affinity or homography that most matched points (K, 2) fit, by RANSAC.

    Points are those of images of these sizes. The simpler one is preferred, unless the other fits
    clearly more matches (`MODEL_GAIN`). The result may be `NO_ALIGNMENT`.
    """
    tolerance = TOLERANCE * max(size_b)
    best = fit_similarity(points_a, points_b, tolerance)
    affinity = _fit(cv2.estimateAffine2D, points_a, points_b, tolerance, 4, 2000)
    if not view_change(affinity.to_b, size_b).is_possible:
        return best
    if affinity.inliers > MODEL_GAIN * best.inliers:
        best = affinity
    if affinity.inliers < MIN_AFFINE:
        return best
    homography = _fit(cv2.findHomography, points_a, points_b, tolerance, 5, 2000)
    if homography.inliers > MODEL_GAIN * best.inliers:
        bounded = is_bounded(homography.to_b, affinity.to_b, image_corners(size_a))
        if bounded and view_change(homography.to_b, size_b).is_possible:
            best = homography
    return best


def fit_similarity(points_a: np.ndarray, points_b: np.ndarray, tolerance: float) -> Alignment:
    """
    Return the similarity without reflection that most matched points (K, 2) fit, by RANSAC.

    `tolerance` is in pixels of b. The result may be `NO_ALIGNMENT`.
    """
    found = _fit(cv2.estimateAffinePartial2D, points_a, points_b, tolerance, 3, 1000)
    zoom = np.hypot(*found.to_b[:2, 0])
    return found if 1 / MAX_ZOOM <= zoom <= MAX_ZOOM else NO_ALIGNMENT


def _fit(
    estimator: Callable,
    points_a: np.ndarray,
    points_b: np.ndarray,
    tolerance: float,
    min_points: int,
    iterations: int,
) -> Alignment:
    """Return what most points (K, 2) fit by an estimator of OpenCV, if there are enough."""
    if len(points_a) < min_points:
        return NO_ALIGNMENT
    matrix, inliers = estimate_robustly(
        *(estimator, points_a, points_b),
        method=cv2.RANSAC,
        ransacReprojThreshold=tolerance,
        maxIters=iterations,
        confidence=0.999,
    )
    if matrix is None:
        return NO_ALIGNMENT
    to_b = matrix if len(matrix) == 3 else np.vstack([matrix, [0, 0, 1]])
    return Alignment(to_b, int(inliers.sum()))


def is_bounded(homography: np.ndarray, simpler: np.ndarray, corners: np.ndarray) -> bool:
    """Return whether corners (4, 2) move nearly as by a simpler alignment (`MAX_PERSPECTIVE`)."""
    try:
        by_homography, expected = (warp_points(corners, each) for each in (homography, simpler))
    except ValueError:  # the homography cannot be inverted
        return False
    moves = np.linalg.norm(by_homography - expected, axis=1)
    return bool(moves.max() <= MAX_PERSPECTIVE * np.ptp(expected, axis=0).max())
