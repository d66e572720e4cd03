# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Exact non-maximum suppression on a CPU: the compiled equivalent of `detection.nms`."""

from __future__ import annotations

import numpy as np

from superpoint_ros.detection.compiled import compiled


def find_maxima(
    values: np.ndarray, threshold: float, radius: int
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the pixels, int64 (N,), and values (N,) of an image's maxima, highest first.

    `values` are float32 (H, W), pixels indices in reading order. Maxima are positive, at least
    `threshold`, and no two of them are within `radius` pixels of each other in x and in y.
    """
    least = max(np.float32(threshold), np.nextafter(np.float32(0), np.float32(1)))
    pixels = np.flatnonzero(values >= least)
    candidates = values.ravel()[pixels]
    kept = suppress_non_maxima(pixels, candidates, values.shape, radius)
    return pixels[kept], candidates[kept]


def suppress_non_maxima(
    pixels: np.ndarray, scores: np.ndarray, size: tuple[int, int], radius: int
) -> np.ndarray:
    """
    Return the indices of the candidates that suppression keeps, int64 (M,), highest score first.

    `pixels` int64 (N,) are rising indices, in reading order, in an image of `size` (height,
    width); `scores` float32 (N,) are positive. Of equal scores the first in reading order wins.
    """
    order = _highest_first(scores)
    if radius and len(pixels):
        order = order[_keep_greedily(pixels[order], *size, radius)]
    return order


def _highest_first(scores: np.ndarray) -> np.ndarray:
    """Return the indices that sort positive scores (N,) from the highest; equal ones rise."""
    # A score and its index form one integer: sorting these is much faster than sorting indices.
    # The bits of positive floating-point numbers rise with the numbers.
    last = len(scores) - 1
    bits = np.ascontiguousarray(scores).view(np.int32).astype(np.int64)
    keys = bits << 32 | np.arange(last, -1, -1)
    keys.sort()
    return last - (keys[::-1] & 0xFFFFFFFF)


@compiled
def _keep_greedily(pixels, height, width, radius):
    """Return bool (N,): false if an earlier pixel that is kept is within the radius."""
    # A border of `radius` pixels avoids tests for the end of the image.
    removed = np.zeros((height + 2 * radius, width + 2 * radius), np.bool_)
    kept = np.zeros(len(pixels), np.bool_)
    for index in range(len(pixels)):
        y = pixels[index] // width
        x = pixels[index] - y * width
        if not removed[y + radius, x + radius]:
            kept[index] = True
            removed[y : y + 2 * radius + 1, x : x + 2 * radius + 1] = True
    return kept
