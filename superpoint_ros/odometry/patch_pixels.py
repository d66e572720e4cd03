# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Size of the patches of tracks, and the operations on their pixels that Numba compiles.

The method is described in `superpoint_ros.odometry.patch_alignment`. A patch has `SIZE` x `SIZE`
pixels, and a warp (2, 2) maps offsets in the patch to offsets in an image.

An image is uint32 (H, W): for each pixel its gray level, that of its right neighbour, and those of
the two below them, from the lowest byte to the highest. So bilinear interpolation reads one number
per pixel: single reads cannot be vectorized and took most of the time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.common.compiled import compiled

RADIUS = 6
"""Pixels from the centre of a patch to its sides: 13x13 pixels."""

SIZE = 2 * RADIUS + 1
PIXELS = SIZE * SIZE
GAINS = 10
"""
Rows of the gains of a patch.

Six update the whole warp, two the position alone, and two measure the perspective that remains.
"""

OFFSETS_X = np.tile(np.arange(-RADIUS, RADIUS + 1, dtype=np.float32), SIZE)
OFFSETS_Y = np.repeat(np.arange(-RADIUS, RADIUS + 1, dtype=np.float32), SIZE)
"""Offsets of the pixels of a patch from its centre, float32 (PIXELS,)."""


class PatchMemory(NamedTuple):
    """
    Patches in numbered slots, and what their alignment needs of them, all float32.

    Attributes:
        values: gray levels with mean 0 and norm 1 (S, PIXELS).
        gains: matrices from gray levels of an image to updates of the warp (S, GAINS, PIXELS).
        spreads: covariances of the position for residuals of variance 1 (S, 2, 2).
        perspectives: the position in perspective, see `prepare_patches` (S, 2, 2, 2).
        variances: added to both coordinates of the position, in squared pixels (S,).

    """

    values: np.ndarray
    gains: np.ndarray
    spreads: np.ndarray
    perspectives: np.ndarray
    variances: np.ndarray


@compiled
def interpolated(packed, right, below):
    """Return the gray level at fractions of a pixel right of and below a pixel of an image."""
    # Signed numbers are converted to floating point by one instruction.
    byte, packed = np.int32(255), np.int32(packed)
    upper, upper_right = np.float32(packed & byte), np.float32(packed >> np.int32(8) & byte)
    lower = np.float32(packed >> np.int32(16) & byte)
    lower_right = np.float32(packed >> np.int32(24) & byte)
    upper += right * (upper_right - upper)
    lower += right * (lower_right - lower)
    return upper + below * (lower - upper)


@compiled
def dot(a, b):
    """Return the scalar product of two patches (PIXELS,)."""
    total = np.float32(0)
    for pixel in range(PIXELS):
        total += a[pixel] * b[pixel]
    return total


@compiled
def centre(values):
    """Subtract the mean from a patch (PIXELS,); return its norm."""
    total = np.float32(0)
    for pixel in range(PIXELS):
        total += values[pixel]
    mean = total / np.float32(PIXELS)
    squares = np.float32(0)
    for pixel in range(PIXELS):
        values[pixel] -= mean
        squares += values[pixel] * values[pixel]
    return np.sqrt(squares)
