# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Covariances of keypoints from the curvature of the image around them.

The correlation of a patch with an image falls off with the distance from the best position; its
curvature there is the structure tensor of the patch, divided by the variance of its gray levels
(Foerstner and Guelch, 1987). Along edges the curvature is small and the variance large.

Errors grow with the pixels of the image in which keypoints are detected, and are larger if they
are not refined, or taken from the heatmap.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part
from superpoint_ros.detection.preprocessing import longer_side
from superpoint_ros.detection.settings import DetectionSettings

_RADIUS = 6  # pixels from the centre of a patch to its sides, as in the tracker
# Variances in squared pixels. Fitted to 8,600 keypoints of three simulated rooms, matched in
# images .1 to .6 s apart: the median of the squared differences of position, normalised by the
# sum of both covariances, is 1.4, that of the chi-square distribution with two degrees of
# freedom. Differences of keypoints have longer tails: 11 % lie above 13.8 instead of 0.1 %, and
# they grow with the change of view (median 1.0 after .1 s, 2.0 after .6 s).
_CURVATURE_FACTOR, _MIN_VARIANCE = 1e-3, 2.5e-3
_LARGEST_VARIANCE = 4.0  # without contrast or along straight edges
_PIXEL_VARIANCE = 1 / 12  # of a keypoint anywhere in its pixel: without subpixel refinement
_HEATMAP_VARIANCE = 0.1
"""
Added to both variances of keypoints of the heatmap.

In two simulated rooms, 0.1 s apart, the median is 1.4 with the compact network (8,987 keypoints)
and 1.9 with nano, without it 18 and 23; in images reduced to half their size it is 4.
"""


def keypoint_covariances(
    image: np.ndarray, keypoints: np.ndarray, settings: DetectionSettings | None = None
) -> np.ndarray:
    """
    Return the covariances, float32 (N, 2, 2), of keypoints (N, 2) in squared pixels.

    `image` is uint8 (H, W); keypoints are in its pixels, the centre of the top-left one is (0, 0).
    `settings` are those of their detection, the defaults if they are None.
    """
    settings = settings or DetectionSettings()
    result = np.empty((len(keypoints), 2, 2), np.float32)
    _fill(np.ascontiguousarray(image), np.ascontiguousarray(keypoints, np.float32), result)
    more = 0.0 if settings.subpixel else _PIXEL_VARIANCE
    if settings.keypoints == 'heatmap':
        more += _HEATMAP_VARIANCE
    largest = max(image.shape)
    scale = largest / longer_side(largest, settings)
    return np.float32(scale**2) * (result + np.float32(more) * np.eye(2, dtype=np.float32))


@compiled
def _fill(image, keypoints, result):
    """Write the covariance of each keypoint."""
    height, width = image.shape
    for index in range(len(keypoints)):
        x = int(min(max(keypoints[index, 0], 0), width - 1) + np.float32(0.5))
        y = int(min(max(keypoints[index, 1], 0), height - 1) + np.float32(0.5))
        xx, xy, yy, total, squares, count = 0.0, 0.0, 0.0, 0.0, 0.0, 0
        for row in range(max(y - _RADIUS, 1), min(y + _RADIUS + 1, height - 1)):
            for column in range(max(x - _RADIUS, 1), min(x + _RADIUS + 1, width - 1)):
                value = np.float64(image[row, column])
                along_x = (np.float64(image[row, column + 1]) - image[row, column - 1]) / 2
                along_y = (np.float64(image[row + 1, column]) - image[row - 1, column]) / 2
                xx += along_x * along_x
                xy += along_x * along_y
                yy += along_y * along_y
                total += value
                squares += value * value
                count += 1
        variance = squares - total * total / max(count, 1)
        _invert(xx, xy, yy, variance, result[index])


@compiled_part
def _invert(xx, xy, yy, variance, covariance):
    """Write the covariance for a structure tensor and a variance of gray levels, both sums."""
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    spread = np.sqrt(half * half + xy * xy)
    # Eigenvalues of the covariance: of the direction with the largest slope first.
    least, most = _LARGEST_VARIANCE, _LARGEST_VARIANCE
    if mean + spread > 0:
        least = _variance(variance, mean + spread)
    if mean - spread > 0:
        most = _variance(variance, mean - spread)
    middle, difference = (least + most) / 2, (least - most) / 2
    # The eigenvectors are those of the structure tensor.
    cosine, sine = (half / spread, xy / spread) if spread > 0 else (1.0, 0.0)
    covariance[0, 0] = middle + difference * cosine
    covariance[0, 1] = covariance[1, 0] = difference * sine
    covariance[1, 1] = middle - difference * cosine


@compiled_part
def _variance(variance, curvature):
    """Return the variance along a direction."""
    return min(_CURVATURE_FACTOR * variance / curvature + _MIN_VARIANCE, _LARGEST_VARIANCE)
