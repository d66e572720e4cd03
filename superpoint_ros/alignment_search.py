# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Search for the alignment of two images in small, zoomed, turned and tilted views of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.geometry.alignment import Alignment, fit_alignment, NO_ALIGNMENT
from superpoint_ros.geometry.homography import image_corners, resample, scaling, warp_points
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.model.config import SMALLEST_SIDE

SIDE = 320
"""Longest side of the views, px: 480 and 640 found no more of 40 pairs."""
SCALES = (1.0, 0.5, 0.25)
"""Scales of the zoomed views. Steps of 2 and rotations of 90 degrees found 38 of 40 pairs."""
TILT, DIRECTIONS = 2.8, (0, 45, 90, 135)
"""Factor by which tilted views are reduced in one direction, and these directions in degrees: of
60 oblique pairs, 59 were found, with a factor of 2.0 58, without these views 57."""
SETTINGS = {'threshold': 1e-5, 'max_keypoints': 400}
"""Small images have few keypoints: of 40 pairs, one more was found than with 0.0001."""
ENOUGH_INLIERS = 30
"""Number of matches that fit an alignment with which tilted views are not searched."""


def search_alignment(a: np.ndarray, b: np.ndarray, detector: Detector) -> Alignment:
    """
    Return the alignment of two gray images with the most matches of small views.

    One image in full is matched with the other at each scale and in four rotations, and the other
    way round; then with tilted views of the other, if none of these fits well. The keypoints of
    each view are detected once.
    """
    settings = replace(
        detector.settings, **SETTINGS, max_image_size=0, upscale_factor=1.0, grid_cells=0
    )
    best = NO_ALIGNMENT
    full = [next(_zoomed_views(image, SCALES[:1]), None) for image in (a, b)]
    if None in full:  # narrow strips
        return best
    whole_a, whole_b = (_features_of_view(*view, detector, settings) for view in full)
    searches = (
        (_zoomed_views(b, SCALES), _zoomed_views(a, SCALES[1:])),
        (_tilted_views(b), _tilted_views(a)),
    )
    for views_of_b, views_of_a in searches:
        for views, swap in ((views_of_b, False), (views_of_a, True)):
            for view in views:
                features = _features_of_view(*view, detector, settings)
                of_a, of_b = (features, whole_b) if swap else (whole_a, features)
                matches = match_mutual(of_a.descriptors, of_b.descriptors)
                points = of_a.keypoints[matches[:, 0]], of_b.keypoints[matches[:, 1]]
                found = fit_alignment(*points, a.shape[::-1], b.shape[::-1])
                best = max(best, found, key=lambda each: each.inliers)
        if best.inliers >= ENOUGH_INLIERS:
            break
    return best


def _zoomed_views(
    image: np.ndarray, scales: tuple[float, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (view, homography to it): at each scale, in four rotations."""
    height, width = image.shape
    for scale in scales:
        factor = scale * _search_factor(image)
        size = (round(width * factor), round(height * factor))
        if min(size) < SMALLEST_SIDE:
            return
        to_view = scaling(size[0] / width, size[1] / height)
        yield from _rotations(resample(image, to_view, size), to_view)


def _tilted_views(image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (view, homography to it): reduced in one direction, in four rotations."""
    factor = _search_factor(image)
    corners = image_corners(image.shape[::-1])
    for direction in DIRECTIONS:
        angle = np.radians(direction)
        turn = factor * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = corners @ turn.T
        low, size = turned.min(axis=0), np.ceil(np.ptp(turned, axis=0)).astype(int) + 1
        reduced = (round(size[0] / TILT), int(size[1]))
        if min(reduced) < SMALLEST_SIDE:
            continue
        to_turned = np.vstack([np.column_stack([turn, -low]), [0, 0, 1]])
        to_view = scaling(reduced[0] / size[0], 1.0)
        view = resample(resample(image, to_turned, tuple(map(int, size))), to_view, reduced)
        yield from _rotations(view, to_view @ to_turned)


def _search_factor(image: np.ndarray) -> float:
    """Return the scale of an image in full in the search."""
    return min(1.0, SIDE / max(image.shape))


def _rotations(view: np.ndarray, to_view: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (view, homography to it) in four rotations by 90 degrees."""
    for _ in range(4):
        yield view, to_view
        # np.rot90 takes (x, y) to (y, width - 1 - x).
        turn = np.array([[0, 1, 0], [-1, 0, view.shape[1] - 1], [0, 0, 1]], np.float64)
        view, to_view = np.ascontiguousarray(np.rot90(view)), turn @ to_view


def _features_of_view(
    view: np.ndarray, to_view: np.ndarray, detector: Detector, settings: DetectionSettings
) -> Features:
    """Return the features of a view, with keypoints in pixels of the image."""
    features = detector(view, settings=settings)
    return replace(features, keypoints=warp_points(features.keypoints, np.linalg.inv(to_view)))
