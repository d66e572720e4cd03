# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Covariances of the positions that the alignment of patches finds, and their perspective.

The covariance is that of least squares: the variance of the residuals times the inverse of the
products of the gradients (Baker and Matthews, IJCV 2004), with three corrections. The variance of
the gray levels is a power of that of the residuals, `_RESIDUAL_EXPONENT`: a good fit does not show
every error, and a bad one is partly due to blur and light, which move the position little. Where
gradients are weak, as along an edge, linearization fails: a variance is doubled at
`_DOUBTFUL_VARIANCE`. Patches that slide along an edge, or that show two surfaces, are stretched in
one direction: all variances are doubled if the logarithm of the ratio of both stretches is
`_DOUBTFUL_SHEAR`.

The constants were fitted to the quantiles (50, 68, 90, 95 and 98 %) of normalised squared errors
with exact truth in simulated rooms and rendered scenes (docs/experiments.md).
docs/odometry_accuracy.md has the result, also for other scenes.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part, inlined

_RESIDUAL_FACTOR, _RESIDUAL_EXPONENT = 0.65, 0.7
_LEAST_VARIANCE = 1e-4  # squared pixels; interpolation moves positions by about 0.01 px
_DOUBTFUL_VARIANCE = 0.002  # squared pixels
_DOUBTFUL_SHEAR = 0.5

_PERSPECTIVE_SIGMA = 0.03
"""
Standard deviation of the perspective of a patch, per pixel, for a logarithm of stretches of 1.

On a plane, perspective is the logarithm of the ratio of both stretches by the distance in pixels
from the point that the camera moves to: 20 to 120 px on a road in images of 320x240.
"""


@compiled
def write_covariances(memory, slots, found):
    """
    Write the covariances of an `Alignment` of the patches in slots (N,) of a `PatchMemory`.

    Points without a slot, -1, and those with a negative correlation are left out.
    """
    spreads, variances, pixels = memory.spreads, memory.variances, memory.values.shape[1]
    warps, correlations, covariances = found.warps, found.correlations, found.covariances
    for index in range(len(slots)):
        if slots[index] < 0 or not correlations[index] >= 0:
            continue
        warp, covariance = warps[index], covariances[index]
        variance = _variance(correlations[index], pixels, np.float32(0))
        factor = np.float32(1) + _squared_shear(warp) / np.float32(_DOUBTFUL_SHEAR**2)
        xx, xy, yy = _warped(warp, spreads[slots[index]])
        xx, xy, yy = variance * xx, variance * xy, variance * yy
        doubt = np.float32(1 / _DOUBTFUL_VARIANCE)
        more = variances[slots[index]] + np.float32(_LEAST_VARIANCE)
        # The matrix plus its square: this enlarges each eigenvalue by itself.
        covariance[0, 0] = factor * (xx + doubt * (xx * xx + xy * xy)) + more
        covariance[1, 1] = factor * (yy + doubt * (yy * yy + xy * xy)) + more
        covariance[0, 1] = covariance[1, 0] = factor * (xy + doubt * xy * (xx + yy))


@compiled
def correct_perspective(memory, slots, remains, found):
    """
    Move the points of an `Alignment` to where the centres of their patches are in perspective.

    The perspective is estimated from `remains` (N, 2), see `align_patches`, with a prior by the
    stretches of the warp; its covariance is added to theirs. Points without a slot, -1, and those
    with a negative correlation are left out. Points whose whole warp has not converged are not
    moved; their covariance grows as if it had.
    """
    perspectives, pixels = memory.perspectives, memory.values.shape[1]
    points, warps, correlations, covariances = found
    moves = np.empty((2, 2), np.float32)
    for index in range(len(slots)):
        if slots[index] < 0 or not correlations[index] >= 0:
            continue
        warp, perspective = warps[index], perspectives[slots[index]]
        shear = _squared_shear(warp)
        if not shear > np.float32(1e-6):
            continue
        variance = _variance(correlations[index], pixels, np.float32(1e-6))
        prior = variance / (np.float32(_PERSPECTIVE_SIGMA**2) * shear)
        xx, xy, yy = (
            perspective[1, 0, 0] + prior,
            perspective[1, 0, 1],
            perspective[1, 1, 1] + prior,
        )
        determinant = xx * yy - xy * xy
        xx, xy, yy = yy / determinant, -xy / determinant, xx / determinant
        along_x, along_y = remains[index]
        g_x, g_y = xx * along_x + xy * along_y, xy * along_x + yy * along_y
        for row in range(2):
            for axis in range(2):
                moves[row, axis] = (
                    warp[row, 0] * perspective[0, 0, axis] + warp[row, 1] * perspective[0, 1, axis]
                )
            points[index, row] += moves[row, 0] * g_x + moves[row, 1] * g_y
        for a in range(2):
            for b in range(2):
                covariances[index, a, b] += variance * (
                    moves[a, 0] * (xx * moves[b, 0] + xy * moves[b, 1])
                    + moves[a, 1] * (xy * moves[b, 0] + yy * moves[b, 1])
                )


@inlined
def _variance(correlation, pixels, least):
    """Return the variance of unit gray levels by their residual, which is `least` or more."""
    residual = max(np.float32(2) * (np.float32(1) - correlation), least)
    return np.float32(_RESIDUAL_FACTOR / pixels) * residual ** np.float32(_RESIDUAL_EXPONENT)


@compiled_part
def _warped(warp, matrix):
    """Return xx, xy and yy of a symmetric matrix (2, 2) of the patch, in the image."""
    a, b, c, d = warp[0, 0], warp[0, 1], warp[1, 0], warp[1, 1]
    upper_x, upper_y = a * matrix[0, 0] + b * matrix[0, 1], a * matrix[0, 1] + b * matrix[1, 1]
    lower_x, lower_y = c * matrix[0, 0] + d * matrix[0, 1], c * matrix[0, 1] + d * matrix[1, 1]
    return upper_x * a + upper_y * b, upper_x * c + upper_y * d, lower_x * c + lower_y * d


@compiled_part
def _squared_shear(warp):
    """Return the squared logarithm of the ratio of the singular values of a warp (2, 2)."""
    a, b, c, d = warp[0, 0], warp[0, 1], warp[1, 0], warp[1, 1]
    mean, area = (a * a + b * b + c * c + d * d) / np.float32(2), a * d - b * c
    spread = np.sqrt(max(mean * mean - area * area, np.float32(0)))
    logarithm = np.log((mean + spread) / area)  # the larger squared value by the product
    return logarithm * logarithm
