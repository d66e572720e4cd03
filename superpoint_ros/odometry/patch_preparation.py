# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Loops that Numba compiles: the pixels of new patches, and what their alignment needs of them.

See `superpoint_ros.odometry.patch_pixels` for images and patches.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part
from superpoint_ros.geometry.cholesky import decompose, solve
from superpoint_ros.odometry.patch_pixels import (
    centre,
    dot,
    interpolated,
    OFFSETS_X,
    OFFSETS_Y,
    PIXELS,
    RADIUS,
    SIZE,
)

_MIN_DEVIATION = 2.0  # gray levels; patches with less contrast are noise
_MIN_CURVATURE = 1e-3  # of the squared difference of unit patches per squared pixel; else an edge


@compiled
def prepare_patches(image, points, slots, memory, good):
    """
    Write the patch around each point (N, 2) to its slot, and whether it is usable to `good` (N,).

    A usable patch is in the image and has contrast. `memory` is a `PatchMemory`, whose variances
    become 0; for its matrices of the perspective see `_write_perspective`.
    """
    values, gains, spreads, perspectives, variances = memory
    height, width = image.shape
    wide = SIZE + 2
    window = np.empty((wide, wide), np.float32)
    slopes = np.empty((6, PIXELS), np.float32)
    for index in range(len(points)):
        left = points[index, 0] - np.float32(RADIUS + 1)
        top = points[index, 1] - np.float32(RADIUS + 1)
        good[index] = left >= 0 and top >= 0 and left + wide < width and top + wide < height
        if not good[index]:
            continue
        column, row = int(left), int(top)
        right, below = left - np.float32(column), top - np.float32(row)
        for y in range(wide):
            for x in range(wide):
                window[y, x] = interpolated(image[row + y, column + x], right, below)
        slot = slots[index]
        variances[slot] = 0
        norm = _normalise(window, values[slot])
        found = values[slot], gains[slot], spreads[slot], perspectives[slot]
        good[index] = norm > np.float32(_MIN_DEVIATION * SIZE) and _write_gains(
            window, norm, slopes, found
        )


@compiled
def _normalise(window, values):
    """Write the inner part of a window with mean 0 and norm 1; return its norm."""
    for y in range(SIZE):
        for x in range(SIZE):
            values[y * SIZE + x] = window[y + 1, x + 1]
    norm = centre(values)
    scale = np.float32(1) / max(norm, np.float32(1e-6))
    for pixel in range(PIXELS):
        values[pixel] *= scale
    return norm


@compiled
def _write_gains(window, norm, slopes, patch):
    """Write what follows from the slopes of a patch; return whether its position is determined."""
    values, gains, spread, perspective = patch
    half = np.float32(0.5) / norm
    for y in range(SIZE):
        for x in range(SIZE):
            pixel = y * SIZE + x
            slopes[0, pixel] = half * (window[y + 1, x + 2] - window[y + 1, x])
            slopes[1, pixel] = half * (window[y + 2, x + 1] - window[y, x + 1])
    _complete_slopes(slopes, values)
    products = np.empty((6, 6), np.float64)
    for a in range(6):
        for b in range(a, 6):
            products[a, b] = products[b, a] = dot(slopes[a], slopes[b])
    xx, xy, yy = products[0, 0], products[0, 1], products[1, 1]
    determinant = xx * yy - xy * xy
    # The smaller eigenvalue is about the determinant by the trace.
    if not determinant > _MIN_CURVATURE * (xx + yy):
        return False
    inverse = np.zeros((6, 6), np.float64)
    if not _invert(products, inverse):
        return False
    _multiply(inverse, slopes, gains)
    _write_position_gains(xx / determinant, xy / determinant, yy / determinant, slopes, gains)
    for a in range(2):
        for b in range(2):
            spread[a, b] = inverse[a, b]
    _write_perspective(slopes, values, inverse, gains, perspective)
    return True


@compiled
def _complete_slopes(slopes, values):
    """Write the changes by the warp, rows 2 to 5; remove changes of gain and offset from all."""
    for pixel in range(PIXELS):
        along_x, along_y = slopes[0, pixel], slopes[1, pixel]
        slopes[2, pixel], slopes[3, pixel] = along_x * OFFSETS_X[pixel], along_x * OFFSETS_Y[pixel]
        slopes[4, pixel], slopes[5, pixel] = along_y * OFFSETS_X[pixel], along_y * OFFSETS_Y[pixel]
    for row in range(6):  # otherwise changes of gain and offset look like motion
        centre(slopes[row])
        along = dot(slopes[row], values)
        for pixel in range(PIXELS):
            slopes[row, pixel] -= along * values[pixel]


@compiled_part
def _write_perspective(slopes, values, inverse, gains, perspective):
    """
    Write the last two gains (rows 8 and 9) and `perspective` (2, 2, 2).

    A plane that is seen in perspective moves an offset o by o (g . o), with g (2) in 1/px. The
    gains are the changes of the gray levels by g that the warp cannot explain. `perspective[0]`
    times g is the error of the position in the patch, in pixels; `perspective[1]` has the products
    of the gains.
    """
    products = np.empty(6, np.float64)
    for axis in range(2):
        row = gains[8 + axis]
        for pixel in range(PIXELS):
            along = OFFSETS_X[pixel] if axis == 0 else OFFSETS_Y[pixel]
            row[pixel] = along * (slopes[2, pixel] + slopes[5, pixel])  # slopes along the offset
        centre(row)
        along = dot(row, values)
        for pixel in range(PIXELS):
            row[pixel] -= along * values[pixel]
        for b in range(6):
            products[b] = dot(slopes[b], row)
        for a in range(6):
            share = np.float32(0)
            for b in range(6):
                share += np.float32(inverse[a, b] * products[b])
            for pixel in range(PIXELS):
                row[pixel] -= share * slopes[a, pixel]
            if a < 2:
                perspective[0, a, axis] = share
    for a in range(2):
        for b in range(2):
            perspective[1, a, b] = dot(gains[8 + a], gains[8 + b])


@compiled
def _multiply(inverse, slopes, gains):
    """Write the product of the inverse (6, 6) and the slopes to the first six gains."""
    for a in range(6):
        for pixel in range(PIXELS):
            gains[a, pixel] = np.float32(0)
        for b in range(6):
            factor = np.float32(inverse[a, b])
            for pixel in range(PIXELS):
                gains[a, pixel] += factor * slopes[b, pixel]


@compiled
def _write_position_gains(xx, xy, yy, slopes, gains):
    """Write the gains of the position; other arguments are parts of its inverse (2, 2)."""
    for pixel in range(PIXELS):
        along_x, along_y = slopes[0, pixel], slopes[1, pixel]
        gains[6, pixel] = np.float32(yy) * along_x - np.float32(xy) * along_y
        gains[7, pixel] = np.float32(xx) * along_y - np.float32(xy) * along_x


@compiled_part
def _invert(matrix, inverse):
    """Write the inverse of a symmetric matrix (6, 6); return whether it has one."""
    lower, column = np.zeros((6, 6)), np.zeros(6)
    if not decompose(matrix, (0.0, 0.0), 1e-6, 6, lower):
        return False
    for a in range(6):
        column[:] = 0
        column[a] = 1
        solve(lower, column, 6, inverse[:, a])
    return True
