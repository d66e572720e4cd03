# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Loops that Numba compiles: the alignment of patches with an image.

See `superpoint_ros.odometry.patch_pixels` for images and patches.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled
from superpoint_ros.odometry.patch_pixels import (
    centre,
    dot,
    interpolated,
    OFFSETS_X,
    OFFSETS_Y,
    PIXELS,
    RADIUS,
)

_POSITION_STEPS, _WARP_STEPS = 8, 6  # iterations
_POSITION_CONVERGED, _WARP_CONVERGED = 0.3, 0.03  # pixels; smaller updates end the iterations
_STEP = 3.0  # pixels; a larger update of the position does not converge
_MAX_STRETCH = 2.0  # of a warp, along any direction: beyond, the patch differs too much


@compiled
def align_patches(image, memory, slots, found, remains):
    """
    Move the points and warps of an `Alignment` to the best fit of the patches in slots (N,).

    `memory` is a `PatchMemory`; points without a slot, -1, are left out. Write the correlations of
    those that converge inside the image, and the products of their residuals and the gains of the
    perspective, `remains` (N, 2), if the whole warp converges.
    """
    values, gains = memory.values, memory.gains
    points, warps, correlations = found.points, found.warps, found.correlations
    size, pixels = image.shape, image.ravel()
    places, packed = np.empty(PIXELS, np.uint32), np.empty(PIXELS, np.uint32)
    right, below = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
    sampled = np.empty(PIXELS, np.float32)
    buffers = places, packed, right, below, sampled
    update = np.zeros(6, np.float32)
    for index in range(len(slots)):
        slot = slots[index]
        if slot < 0:
            continue
        fit = pixels, size, values[slot], points[index], warps[index], buffers, update
        # The position alone converges from farther away than the whole warp.
        update[:] = 0
        correlation = _iterate(fit, gains[slot], 6, _POSITION_STEPS, _POSITION_CONVERGED)
        if not correlation > 0:
            continue
        kept_point, kept_warp = points[index].copy(), warps[index].copy()
        improved = _iterate(fit, gains[slot], 0, _WARP_STEPS, _WARP_CONVERGED)
        if not improved >= correlation:
            points[index], warps[index] = kept_point, kept_warp
        else:
            norm = np.sqrt(dot(sampled, sampled))
            for axis in range(2):
                remains[index, axis] = dot(gains[slot, 8 + axis], sampled) / norm
        correlations[index] = max(improved, correlation)


@compiled
def _iterate(fit, gains, first, iterations, converged):
    """
    Move a point by the gains from row 6 on, or, if `first` is 0, also its warp by the first six.

    Return the correlation before the last update; -1 if the iterations leave the image or diverge.
    """
    pixels, size, values, point, warp, buffers, update = fit
    places, packed, right, below, sampled = buffers
    correlation = np.float32(-1)
    for _ in range(iterations):
        if not _sample(pixels, size, point, warp, places, packed, right, below, sampled):
            return np.float32(-1)
        norm = centre(sampled)
        if not norm > np.float32(1e-3):
            return np.float32(-1)
        for row in range(first, first + (2 if first else 6)):
            update[row - first] = dot(gains[row], sampled) / norm
        correlation = dot(values, sampled) / norm
        if not _compose(point, warp, update):
            return np.float32(-1)
        if update[0] * update[0] + update[1] * update[1] < np.float32(converged * converged):
            break
    return correlation


@compiled
def _sample(pixels, size, point, warp, places, packed, right, below, sampled):
    """
    Write the gray levels of a warped patch to the last argument; return if all are inside.

    The other four arrays are buffers. (In a tuple, counting their references would cost more time
    than the rest.)
    """
    height, width = size
    a, b, c, d = warp[0, 0], warp[0, 1], warp[1, 0], warp[1, 1]
    radius = np.float32(RADIUS)
    reach_x, reach_y = radius * (abs(a) + abs(b)), radius * (abs(c) + abs(d))
    start_x, start_y = point[0], point[1]
    if not (
        start_x - reach_x >= 0
        and start_y - reach_y >= 0
        and start_x + reach_x < width - 1
        and start_y + reach_y < height - 1
    ):
        return False
    # Three loops: the compiler vectorizes the first and the last, but not reads from any place.
    for pixel in range(PIXELS):
        x = start_x + a * OFFSETS_X[pixel] + b * OFFSETS_Y[pixel]
        y = start_y + c * OFFSETS_X[pixel] + d * OFFSETS_Y[pixel]
        column, row = np.int32(x), np.int32(y)
        right[pixel], below[pixel] = x - np.float32(column), y - np.float32(row)
        places[pixel] = row * np.int32(width) + column
    for pixel in range(PIXELS):
        packed[pixel] = pixels[places[pixel]]
    for pixel in range(PIXELS):
        sampled[pixel] = interpolated(packed[pixel], right[pixel], below[pixel])
    return True


@compiled
def _compose(point, warp, update):
    """Compose the warp with the inverse of the update; return whether the result is usable."""
    a, b = np.float32(1) + update[2], update[3]
    c, d = update[4], np.float32(1) + update[5]
    determinant = a * d - b * c
    if not determinant > np.float32(0.25):
        return False
    # warp (2, 2) times the inverse of the update's matrix
    xx = (warp[0, 0] * d - warp[0, 1] * c) / determinant
    xy = (warp[0, 1] * a - warp[0, 0] * b) / determinant
    yx = (warp[1, 0] * d - warp[1, 1] * c) / determinant
    yy = (warp[1, 1] * a - warp[1, 0] * b) / determinant
    step_x = xx * update[0] + xy * update[1]
    step_y = yx * update[0] + yy * update[1]
    if not step_x * step_x + step_y * step_y < np.float32(_STEP * _STEP):
        return False
    # Squares of the singular values: the stretch along the main directions.
    mean, area = (xx * xx + xy * xy + yx * yx + yy * yy) / np.float32(2), xx * yy - xy * yx
    spread = np.sqrt(max(mean * mean - area * area, np.float32(0)))
    largest = np.float32(_MAX_STRETCH * _MAX_STRETCH)
    if not (area > 0 and mean + spread < largest and mean - spread > np.float32(1) / largest):
        return False
    warp[0, 0], warp[0, 1], warp[1, 0], warp[1, 1] = xx, xy, yx, yy
    point[0] -= step_x
    point[1] -= step_y
    return True
