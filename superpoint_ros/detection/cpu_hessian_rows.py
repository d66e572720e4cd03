# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Rows of an image at several scales, smoothed by compiled loops: the memory of the Hessian response.

The image is processed in bands of four rows: each band is smoothed to the first scale, that one to
the second, and so on. The last rows at each scale are kept.

The compiler must turn the loops over pixels into vector instructions, and omits tests and repeated
reads if it knows enough: all rows have the same constant length `STRIDE`, and indices are
unsigned, because in Numba negative signed ones count from the end of an array.
"""

import numpy as np

from superpoint_ros.common.compiled import compiled_part, inlined

BAND = 4
"""Rows that are processed at a time, so that they share most of what they read."""

PAD = 16
"""Columns left and right of a row, which repeat its ends; more than any kernel's reach."""

STRIDE = 784
"""Length of a row: a strip, what affects it, padding; of those tried, the fastest."""

_KEPT, NEXT = 24, 16
"""Rows in memory: those that later rows need at most, and space for the next ones. When it is
filled, the former are moved to the beginning."""

PART = (_KEPT + NEXT) * STRIDE
"""Length of the rows of one scale, or of one kind of result."""

STRENGTH_AT, PROBABILITY_AT = PART, 2 * PART
"""Indices in the results, after the response."""

ONE, ROW, SCALE = np.uintp(1), np.uintp(STRIDE), np.uintp(PART)
"""Steps to the next column, row and scale."""

_BLOCK = 16  # columns in a vector register of 512 bits


@compiled_part
def aligned_floats(size):
    """Return float32 (size,) that begins with a cache line, which vectors should not cross."""
    memory = np.empty(size + _BLOCK, np.float32)
    return memory[-memory.ctypes.data % 64 // 4 :]


@compiled_part
def move_to_beginning(rows, part, count):
    """Move the last rows of a part to its beginning."""
    begin = np.uintp(part * PART)
    for x in range(np.uintp(count * STRIDE)):
        rows[begin + x] = rows[begin + x + np.uintp(NEXT * STRIDE)]


@compiled_part
def columns_of_blocks(size):
    """Return the number of columns that are processed: whole blocks."""
    return np.uintp((size[3] - size[2] + _BLOCK - 1) // _BLOCK * _BLOCK)


@compiled_part
def rows_needed(scales, kernels, steps):
    """
    Return the reach of each scale's kernel in rows, and the length of the earlier rows it needs.

    Those are needed for the response: two rows at the last scale, at the others also what the
    blurs of later scales delay.
    """
    dense, sparse = kernels
    reach, earlier = np.empty(scales, np.int64), np.empty(scales, np.uintp)
    rows = 2
    for scale in range(scales - 1, -1, -1):
        earlier[scale] = rows * STRIDE
        if scale < len(dense):
            reach[scale] = len(dense[scale]) - 1
        else:
            reach[scale] = (len(sparse[scale - len(dense)]) - 1) * steps[scale - len(dense)]
        rows += reach[scale]
    return reach, earlier


@compiled_part
def read_band(image, y, size, source, kernel, across, at):
    """Write the rows of the image from y on, blurred along x."""
    height, _, begin, end = size
    at += np.uintp(2 * (len(kernel) - 1) * STRIDE)
    for row in range(min(BAND, height - y)):
        line = np.uintp(y + row)
        for x in range(np.uintp(end - begin)):
            source[x + np.uintp(PAD)] = np.float32(image[line, np.uintp(begin) + x])
        _repeat_ends(source, np.uintp(0), size)
        _blur_across(source, np.uintp(0), kernel, 1, across, at + np.uintp(row * STRIDE), size)
    _repeat_rows(across, at, y, height, len(kernel) - 1)


@compiled_part
def smooth_to(y, size, kernel, step, across, smooth, part, earlier):
    """
    Write the next rows at a scale; return the first one, where those before it are at y.

    `part` is where the oldest row of the scale is, `earlier` the length of the rows before y.
    """
    y -= (len(kernel) - 1) * step
    into = part + earlier
    _blur_down(across, part, kernel, step, smooth, into, size)
    for row in range(BAND):
        _repeat_ends(smooth, into + np.uintp(row * STRIDE), size)
    # Not as a literal, for which the function would be compiled once more.
    _repeat_rows(smooth, into, y, size[0], np.int64(1))
    return y


@compiled_part
def blur_next(y, size, kernel, step, smooth, across, part, earlier):
    """Write the rows at a scale from y on, blurred along x for the next scale."""
    reach = (len(kernel) - 1) * step
    into = part + SCALE + np.uintp(2 * reach * STRIDE)
    for row in range(BAND):
        start = np.uintp(row * STRIDE)
        _blur_across(smooth, part + earlier + start, kernel, step, across, into + start, size)
    _repeat_rows(across, into, y, size[0], reach)


@compiled_part
def _repeat_rows(rows, at, y, height, radius):
    """Repeat the first and the last row of the image outside of it, in a band that begins at y."""
    for row in range(max(height - y, 0), BAND):
        here = at + np.uintp(row * STRIDE)
        _copy(rows, here - ROW, here)
    if -BAND < y <= 0:
        first = at + np.uintp(-y * STRIDE)
        for step in range(1, radius + 1):
            _copy(rows, first, first - np.uintp(step * STRIDE))


@compiled_part
def _copy(rows, source, target):
    for x in range(np.uintp(STRIDE)):
        rows[target + x] = rows[source + x]


@compiled_part
def _repeat_ends(rows, at, size):
    """Repeat the values at the left and the right border of the image outside of it."""
    _, width, begin, end = size
    if begin == 0:
        value = rows[at + np.uintp(PAD)]
        for x in range(np.uintp(PAD)):
            rows[at + x] = value
    if end == width:
        right = at + np.uintp(PAD + end - begin)
        value = rows[right - np.uintp(1)]
        for x in range(np.uintp(PAD)):
            rows[right + x] = value


@compiled_part
def _blur_across(rows, at, kernel, step, blurred, into, size):
    """Blur a row along x."""
    at += np.uintp(PAD)
    into += np.uintp(PAD)
    for x in range(columns_of_blocks(size)):
        total = kernel[0] * rows[at + x]
        for tap in range(1, len(kernel)):
            away = np.uintp(tap * step)
            total += kernel[tap] * (rows[at + x - away] + rows[at + x + away])
        blurred[into + x] = total


@compiled_part
def _blur_down(rows, at, kernel, step, blurred, into, size):
    """Blur along y: write the four rows for which `rows` begins one reach above the first."""
    step *= STRIDE
    at += np.uintp(PAD + (len(kernel) - 1) * step)
    into += np.uintp(PAD)
    for x in range(columns_of_blocks(size)):
        # All are computed before one is written, so that they share what they read.
        here, there = at + x, into + x
        first = _blurred(rows, here, kernel, step)
        second = _blurred(rows, here + ROW, kernel, step)
        third = _blurred(rows, here + ROW + ROW, kernel, step)
        fourth = _blurred(rows, here + ROW + ROW + ROW, kernel, step)
        blurred[there], blurred[there + ROW] = first, second
        blurred[there + ROW + ROW], blurred[there + ROW + ROW + ROW] = third, fourth


@inlined
def _blurred(rows, here, kernel, step):
    """Return a value blurred along y; taps are `step` elements apart."""
    total = kernel[0] * rows[here]
    for tap in range(1, len(kernel)):
        away = np.uintp(tap * step)
        total += kernel[tap] * (rows[here - away] + rows[here + away])
    return total
