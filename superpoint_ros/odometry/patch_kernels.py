# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Loops over patches that Numba compiles: sampling, preparation and alignment.

The method is described in `superpoint_ros.odometry.patch_alignment`. A patch has `SIZE` x `SIZE`
pixels, and a warp (2, 2) maps offsets in the patch to offsets in an image.

An image is uint32 (H, W): for each pixel its gray level, that of its right neighbour, and those of
the two below them, from the lowest byte to the highest. So bilinear interpolation reads one number
per pixel: single reads cannot be vectorized and took most of the time.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.compiled import compiled, compiled_part
from superpoint_ros.geometry.cholesky import decompose, solve

RADIUS = 6
"""Pixels from the centre of a patch to its sides: 13x13 pixels."""

SIZE = 2 * RADIUS + 1
PIXELS = SIZE * SIZE
GAINS = 10
"""
Rows of the gains of a patch.

Six update the whole warp, two the position alone, and two measure the perspective that remains.
"""

_OFF_X = np.tile(np.arange(-RADIUS, RADIUS + 1, dtype=np.float32), SIZE)
_OFF_Y = np.repeat(np.arange(-RADIUS, RADIUS + 1, dtype=np.float32), SIZE)
_POSITION_STEPS, _WARP_STEPS = 8, 6  # iterations
_POSITION_CONVERGED, _WARP_CONVERGED = 0.3, 0.03  # pixels; smaller updates end the iterations
_MIN_DEVIATION = 2.0  # gray levels; patches with less contrast are noise
_MIN_CURVATURE = 1e-3  # of the squared difference of unit patches per squared pixel; else an edge
_STEP = 3.0  # pixels; a larger update of the position does not converge
_MAX_STRETCH = 2.0  # of a warp, along any direction: beyond, the patch differs too much


@compiled
def prepare_patches(image, points, slots, patches, good):
    """
    Write the patch around each point (N, 2) to its slot, and whether it is usable to `good` (N,).

    A usable patch is in the image and has contrast. `patches` has, for each slot, gray levels with
    mean 0 and norm 1 (PIXELS); the matrix from gray levels of an image to updates of the warp
    (GAINS, PIXELS); the covariance of the position for residuals of the gray levels with variance
    1 (2, 2); and two matrices for perspective (2, 2, 2), see `_write_perspective`.
    """
    values, gains, spreads, perspectives = patches
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
                window[y, x] = _interpolated(image[row + y, column + x], right, below)
        slot = slots[index]
        norm = _normalise(window, values[slot])
        found = values[slot], gains[slot], spreads[slot], perspectives[slot]
        good[index] = norm > np.float32(_MIN_DEVIATION * SIZE) and _write_gains(
            window, norm, slopes, found
        )


@compiled
def _interpolated(packed, right, below):
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
def _normalise(window, values):
    """Write the inner part of a window with mean 0 and norm 1; return its norm."""
    for y in range(SIZE):
        for x in range(SIZE):
            values[y * SIZE + x] = window[y + 1, x + 1]
    norm = _centre(values)
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
            products[a, b] = products[b, a] = _dot(slopes[a], slopes[b])
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
        slopes[2, pixel], slopes[3, pixel] = along_x * _OFF_X[pixel], along_x * _OFF_Y[pixel]
        slopes[4, pixel], slopes[5, pixel] = along_y * _OFF_X[pixel], along_y * _OFF_Y[pixel]
    for row in range(6):  # otherwise changes of gain and offset look like motion
        _centre(slopes[row])
        along = _dot(slopes[row], values)
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
            along = _OFF_X[pixel] if axis == 0 else _OFF_Y[pixel]
            row[pixel] = along * (slopes[2, pixel] + slopes[5, pixel])  # slopes along the offset
        _centre(row)
        along = _dot(row, values)
        for pixel in range(PIXELS):
            row[pixel] -= along * values[pixel]
        for b in range(6):
            products[b] = _dot(slopes[b], row)
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
            perspective[1, a, b] = _dot(gains[8 + a], gains[8 + b])


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


@compiled
def align_patches(image, slots, patches, points, warps, correlations, remains):
    """
    Move points (N, 2) and warps (N, 2, 2) to the best fit of the patches in slots (N,).

    `patches` are values and gains of all slots; points without a slot, -1, are left out. Write
    correlations (N,) of those that converge inside the image, and the products of their residuals
    and the gains of the perspective, `remains` (N, 2), if the whole warp converges.
    """
    values, gains = patches
    size, pixels = image.shape, image.ravel()
    places, found = np.empty(PIXELS, np.uint32), np.empty(PIXELS, np.uint32)
    right, below = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
    sampled = np.empty(PIXELS, np.float32)
    memory = places, found, right, below, sampled
    update = np.zeros(6, np.float32)
    for index in range(len(slots)):
        slot = slots[index]
        if slot < 0:
            continue
        fit = pixels, size, values[slot], points[index], warps[index], memory, update
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
            norm = np.sqrt(_dot(sampled, sampled))
            for axis in range(2):
                remains[index, axis] = _dot(gains[slot, 8 + axis], sampled) / norm
        correlations[index] = max(improved, correlation)


@compiled
def _iterate(fit, gains, first, iterations, converged):
    """
    Move a point by the gains from row 6 on, or, if `first` is 0, also its warp by the first six.

    Return the correlation before the last update; -1 if the iterations leave the image or diverge.
    """
    pixels, size, values, point, warp, memory, update = fit
    places, found, right, below, sampled = memory
    correlation = np.float32(-1)
    for _ in range(iterations):
        if not _sample(pixels, size, point, warp, places, found, right, below, sampled):
            return np.float32(-1)
        norm = _centre(sampled)
        if not norm > np.float32(1e-3):
            return np.float32(-1)
        for row in range(first, first + (2 if first else 6)):
            update[row - first] = _dot(gains[row], sampled) / norm
        correlation = _dot(values, sampled) / norm
        if not _compose(point, warp, update):
            return np.float32(-1)
        if update[0] * update[0] + update[1] * update[1] < np.float32(converged * converged):
            break
    return correlation


@compiled
def _sample(pixels, size, point, warp, places, found, right, below, sampled):
    """
    Write the gray levels of a warped patch to the last argument; return if all are inside.

    The other four arrays are memory. (In a tuple, counting their references would cost more time
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
        x = start_x + a * _OFF_X[pixel] + b * _OFF_Y[pixel]
        y = start_y + c * _OFF_X[pixel] + d * _OFF_Y[pixel]
        column, row = np.int32(x), np.int32(y)
        right[pixel], below[pixel] = x - np.float32(column), y - np.float32(row)
        places[pixel] = row * np.int32(width) + column
    for pixel in range(PIXELS):
        found[pixel] = pixels[places[pixel]]
    for pixel in range(PIXELS):
        sampled[pixel] = _interpolated(found[pixel], right[pixel], below[pixel])
    return True


@compiled
def _dot(a, b):
    total = np.float32(0)
    for pixel in range(PIXELS):
        total += a[pixel] * b[pixel]
    return total


@compiled
def _centre(values):
    """Subtract the mean; return the norm."""
    total = np.float32(0)
    for pixel in range(PIXELS):
        total += values[pixel]
    mean = total / np.float32(PIXELS)
    squares = np.float32(0)
    for pixel in range(PIXELS):
        values[pixel] -= mean
        squares += values[pixel] * values[pixel]
    return np.sqrt(squares)


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
