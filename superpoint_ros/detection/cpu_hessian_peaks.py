# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Extrema in rows of the Hessian response, in compiled loops."""

import numpy as np

from superpoint_ros.common.compiled import compiled_part
from superpoint_ros.detection.cpu_hessian_rows import (
    BAND,
    columns_of_blocks,
    ONE,
    PAD,
    PROBABILITY_AT,
    ROW,
    STRENGTH_AT,
    STRIDE,
)

X, Y, RESPONSE, STRENGTH, MIN_PROBABILITY, COLUMNS = range(6)
"""Columns of the values of extrema, and their number."""

_BYTE_NUMBERS = np.uint64(0x0001020304050607)


@compiled_part
def fill_outside(results, at, y, size):
    """Write the lowest response outside the image, in a band that begins at y."""
    height, width, begin, end = size
    for row in range(BAND):
        here = at + np.uintp(row * STRIDE)
        if not 0 <= y + row < height:
            for x in range(np.uintp(STRIDE)):
                results[here + x] = -np.inf
        if begin == 0:
            results[here + np.uintp(PAD - 1)] = -np.inf
        if end == width:
            results[here + np.uintp(PAD + end - begin)] = -np.inf


@compiled_part
def find_peaks(response, at, least, is_peak, size):
    """Write whether a response is the highest of 3x3 pixels and above the least one."""
    at += np.uintp(PAD)
    for x in range(columns_of_blocks(size)):
        above = at + x
        here, below = above + ROW, above + ROW + ROW
        value = response[here]
        highest = max(
            max(
                max(response[above - ONE], response[above]),
                max(response[above + ONE], response[here - ONE]),
            ),
            max(
                max(response[here + ONE], response[below - ONE]),
                max(response[below], response[below + ONE]),
            ),
        )
        is_peak[x] = (value >= highest) & (value > least)


@compiled_part
def write_positions(words, first, last, used, found):
    """
    Write the indices from `first` to before `last` of bytes that are 1; return their number.

    `words` are uint64, of eight bytes 0 or 1 each. There are few branches: most are mispredicted.
    """
    one, filled, count = np.uint64(1), 0, 0
    for word in range(first // 8, (last + 7) // 8):
        used[filled] = word  # the next one replaces it if all bytes are 0
        filled += words[word] != 0
    for index in range(filled):
        word = words[used[index]]
        while word:
            lowest = word & (~word + one)
            # The product has the number of the byte in its highest byte.
            found[count] = used[index] * 8 + np.int64(lowest * _BYTE_NUMBERS >> np.uint64(56))
            count += first <= found[count] < last
            word ^= lowest
    return count


@compiled_part
def write_extremum(results, at, pixel, size, values, index):
    """Write an extremum's position to a fraction of a pixel, and its response."""
    column, y = pixel
    height, width, begin, _ = size
    x = begin + column
    here = at + np.uintp(STRIDE + PAD + column)
    value = results[here]
    # Border pixels are repeated outside the image.
    left = results[here - ONE] if x > 0 else value
    right = results[here + ONE] if x < width - 1 else value
    up = results[here - ROW] if y > 0 else value
    down = results[here + ROW] if y < height - 1 else value
    values[index, X] = np.float32(x) + _vertex(left, value, right)
    values[index, Y] = np.float32(y) + _vertex(up, value, down)
    values[index, RESPONSE] = value
    values[index, STRENGTH] = results[here + np.uintp(STRENGTH_AT)]
    values[index, MIN_PROBABILITY] = results[here + np.uintp(PROBABILITY_AT)]


@compiled_part
def _vertex(before, value, after):
    """Return the position of the maximum of a parabola through three values, -0.5 to 0.5."""
    half = np.float32(0.5)
    curvature = value + value - before - after
    if not curvature > np.float32(1e-9):
        return np.float32(0)
    return min(max(half * (after - before) / curvature, -half), half)
