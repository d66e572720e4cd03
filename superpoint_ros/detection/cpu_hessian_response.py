# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The Hessian response in rows of an image, in compiled loops (see `hessian_response`)."""

import numpy as np

from superpoint_ros.common.compiled import compiled_part, inlined
from superpoint_ros.detection.cpu_hessian_rows import (
    columns_of_blocks,
    ONE,
    PAD,
    PART,
    PROBABILITY_AT,
    ROW,
    STRENGTH_AT,
)


@compiled_part
def write_response(smooth, at, constants, results, size):
    """Write two rows of response, strength and least probability, from row `at` of each scale."""
    at += np.uintp(PAD)
    for x in range(columns_of_blocks(size)):
        here = at + x
        above = _response(smooth, here, constants)
        below = _response(smooth, here + ROW, constants)
        _write(above, results, here + ROW + ROW)
        _write(below, results, here + ROW + ROW + ROW)


@inlined
def _write(response, results, here):
    results[here], results[here + np.uintp(STRENGTH_AT)] = response[0], response[1]
    results[here + np.uintp(PROBABILITY_AT)] = response[2]


@inlined
def _response(smooth, above, constants):
    """
    Return response, strength and least probability of a pixel: see `hessian.hessian_response`.

    `above` is the index of the pixel above it at the first scale.
    """
    factors, weights, saddle = constants
    similarity, coarse_similarity, slope, least = saddle
    none = np.float32(0)
    finest = factors[0] * _determinant(smooth, above)
    fine = factors[1] * _determinant(smooth, above + np.uintp(PART))
    strength = weights[0] * max(finest, none) + weights[1] * max(fine, none)
    highest = lowest = coarse = coarsest = fine
    for scale in range(2, len(factors)):
        coarse = coarsest
        coarsest = factors[scale] * _determinant(smooth, above + np.uintp(scale * PART))
        highest, lowest = max(highest, coarsest), min(lowest, coarsest)
        strength += weights[scale] * max(coarsest, none)
    steepness = _squared_gradient(smooth, above + np.uintp((len(factors) - 1) * PART))
    is_saddle = (
        (highest < similarity * lowest)
        & (max(coarse, coarsest) < coarse_similarity * min(coarse, coarsest))
        & (steepness < -slope * coarsest)
    )
    best = max(highest, finest)
    if is_saddle:
        return max(best, -fine), max(strength, -fine), least
    return best, strength, none


@inlined
def _determinant(smooth, above):
    """Return the determinant of the Hessian below a pixel."""
    here, below = above + ROW, above + ROW + ROW
    twice = np.float32(2) * smooth[here]
    xx = smooth[here - ONE] - twice + smooth[here + ONE]
    yy = smooth[above] - twice + smooth[below]
    xy = smooth[below + ONE] - smooth[below - ONE] - smooth[above + ONE] + smooth[above - ONE]
    return xx * yy - np.float32(1 / 16) * xy * xy


@inlined
def _squared_gradient(smooth, above):
    """Return the squared gradient below a pixel."""
    here, below = above + ROW, above + ROW + ROW
    along_x, along_y = smooth[here + ONE] - smooth[here - ONE], smooth[below] - smooth[above]
    return np.float32(0.25) * (along_x * along_x + along_y * along_y)
