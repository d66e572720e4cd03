# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The compiled loops that find extrema of the Hessian response, for `detection.cpu_hessian`.

The image is processed in bands of four rows: each band is smoothed to the first scale, that one to
the second, and so on. The last rows at each scale are kept; the response and its extrema are
computed from them. So the working set stays in the processor's first caches.

The compiler must turn the loops over pixels into vector instructions, and omits tests and repeated
reads if it knows enough: all rows have the same constant length `_STRIDE`, and indices are
unsigned, because in Numba negative signed ones count from the end of an array.
"""

import numpy as np

from superpoint_ros.compiled import compiled, compiled_part, inlined

BAND = 4
"""Rows that are processed at a time, so that they share most of what they read."""

RADIUS = 28
"""Distance in rows and columns of the pixels that may affect an extremum: at most the reach of the
kernels and 2. Whole bands, so that a row has the same place in its band wherever the processing
begins, and is rounded in the same way."""

STRIP = 696
"""Most columns whose extrema are found at a time; whole images may have 2 x `RADIUS` more."""

X, Y, RESPONSE, STRENGTH, MIN_PROBABILITY, COLUMNS = range(6)
"""Columns of the values of extrema, and their number."""

_BLOCK = 16  # columns in a vector register of 512 bits
_PAD = 16  # columns left and right of a row, which repeat its ends; more than any kernel's reach
_STRIDE = 784  # length of a row: a strip, what affects it, padding; of those tried, the fastest
# Rows in memory: those that later rows need at most, and space for the next ones. When it is
# filled, the former are moved to the beginning.
_KEPT, _NEXT = 24, 16
_PART = (_KEPT + _NEXT) * _STRIDE  # rows of one scale, or of one kind of result
_STRENGTH_AT, _PROBABILITY_AT = _PART, 2 * _PART  # in the results, after the response
# Steps to the next column, row and scale.
_ONE, _ROW, _SCALE = np.uintp(1), np.uintp(_STRIDE), np.uintp(_PART)
_BYTE_NUMBERS = np.uint64(0x0001020304050607)


@compiled
def fill_extrema(image, tile, scales, kernels, steps, constants, pixels, values, count):
    """
    Write pixels and values of the extrema in a tile of an image after the first `count` ones.

    `tile` is the first row and the one after the last one, and the same of the columns. `scales`
    is the number of scales. `kernels` are those of the first two scales, whose taps are one pixel
    apart, and those of the others, whose taps are `steps` apart. `constants` are those of the
    response in small and in large images, and the least response. Return the new number of
    extrema.
    """
    first, last, left, right = tile
    small, large, least = constants
    dense, sparse = kernels
    height, width = image.shape
    begin, end = max(left - RADIUS, 0), min(right + RADIUS, width)
    size = height, width, begin, end
    across, smooth = _aligned(scales * _PART), _aligned(scales * _PART)
    results, source, found = _aligned(3 * _PART), _aligned(_STRIDE), np.empty(_STRIDE, np.int64)
    words, used = np.zeros(_STRIDE // 8, np.uint64), np.empty(_STRIDE, np.int64)
    is_peak = words.view(np.bool_)
    reach, earlier = _rows_needed(scales, kernels, steps)
    place = 0  # of the oldest row that is needed
    for newest in range(max(first - RADIUS, 0), last + RADIUS, BAND):
        y, at = newest, np.uintp(place * _STRIDE)
        _read(image, y, size, source, dense[0], across, at)
        y = _smooth_to(y, size, dense[0], 1, across, smooth, at, earlier[0])
        _blur_next(y, size, dense[1], 1, smooth, across, at, earlier[0])
        coarsest = at + _SCALE
        y = _smooth_to(y, size, dense[1], 1, across, smooth, coarsest, earlier[1])
        for index in range(scales - 2):
            kernel, step = sparse[index], steps[index]
            _blur_next(y, size, kernel, step, smooth, across, coarsest, earlier[index + 1])
            coarsest += _SCALE
            y = _smooth_to(y, size, kernel, step, across, smooth, coarsest, earlier[index + 2])
        y -= 1
        for row in range(0, BAND, 2):
            of_row = at + np.uintp(row * _STRIDE)
            if scales == len(small[0]):
                _respond(smooth, of_row, small, results, size)
            else:
                _respond(smooth, of_row, large, results, size)
        _close(results, at + np.uintp(2 * _STRIDE), y, size)
        y -= 1
        for row in range(max(first - y, 0), min(last - y, BAND)):
            of_row = at + np.uintp(row * _STRIDE)
            _find_peaks(results, of_row, least, is_peak, size)
            for index in range(_positions(words, left - begin, right - begin, used, found)):
                pixel = found[index], y + row
                pixels[count] = pixel[1] * width + begin + pixel[0]
                _locate(results, of_row, pixel, size, values, count)
                count += 1
        place += BAND
        if place == _NEXT:
            place = 0
            for scale in range(scales):
                _move(across, scale, 2 * reach[scale])
                _move(smooth, scale, np.int64(earlier[scale]) // _STRIDE)
            for part in range(3):
                _move(results, part, 2)
    return count


@compiled_part
def _rows_needed(scales, kernels, steps):
    """
    Return the reach of each scale's kernel in rows, and the length of the earlier rows it needs.

    Those are needed for the response: two rows at the last scale, at the others also what the
    blurs of later scales delay.
    """
    dense, sparse = kernels
    reach, earlier = np.empty(scales, np.int64), np.empty(scales, np.uintp)
    rows = 2
    for scale in range(scales - 1, -1, -1):
        earlier[scale] = rows * _STRIDE
        if scale < len(dense):
            reach[scale] = len(dense[scale]) - 1
        else:
            reach[scale] = (len(sparse[scale - len(dense)]) - 1) * steps[scale - len(dense)]
        rows += reach[scale]
    return reach, earlier


@compiled_part
def _aligned(size):
    """Return float32 (size,) that begins with a cache line, which vectors should not cross."""
    memory = np.empty(size + _BLOCK, np.float32)
    return memory[-memory.ctypes.data % 64 // 4 :]


@compiled_part
def _move(rows, part, count):
    """Move the last rows of a part to its beginning."""
    begin = np.uintp(part * _PART)
    for x in range(np.uintp(count * _STRIDE)):
        rows[begin + x] = rows[begin + x + np.uintp(_NEXT * _STRIDE)]


@compiled_part
def _read(image, y, size, source, kernel, across, at):
    """Write the rows of the image from y on, blurred along x."""
    height, _, begin, end = size
    at += np.uintp(2 * (len(kernel) - 1) * _STRIDE)
    for row in range(min(BAND, height - y)):
        line = np.uintp(y + row)
        for x in range(np.uintp(end - begin)):
            source[x + np.uintp(_PAD)] = np.float32(image[line, np.uintp(begin) + x])
        _repeat_ends(source, np.uintp(0), size)
        _blur_across(source, np.uintp(0), kernel, 1, across, at + np.uintp(row * _STRIDE), size)
    _repeat_rows(across, at, y, height, len(kernel) - 1)


@compiled_part
def _smooth_to(y, size, kernel, step, across, smooth, part, earlier):
    """
    Write the next rows at a scale; return the first one, where those before it are at y.

    `part` is where the oldest row of the scale is, `earlier` the length of the rows before y.
    """
    y -= (len(kernel) - 1) * step
    into = part + earlier
    _blur_down(across, part, kernel, step, smooth, into, size)
    for row in range(BAND):
        _repeat_ends(smooth, into + np.uintp(row * _STRIDE), size)
    # Not as a literal, for which the function would be compiled once more.
    _repeat_rows(smooth, into, y, size[0], np.int64(1))
    return y


@compiled_part
def _blur_next(y, size, kernel, step, smooth, across, part, earlier):
    """Write the rows at a scale from y on, blurred along x for the next scale."""
    reach = (len(kernel) - 1) * step
    into = part + _SCALE + np.uintp(2 * reach * _STRIDE)
    for row in range(BAND):
        start = np.uintp(row * _STRIDE)
        _blur_across(smooth, part + earlier + start, kernel, step, across, into + start, size)
    _repeat_rows(across, into, y, size[0], reach)


@compiled_part
def _repeat_rows(rows, at, y, height, radius):
    """Repeat the first and the last row of the image outside of it, in a band that begins at y."""
    for row in range(max(height - y, 0), BAND):
        here = at + np.uintp(row * _STRIDE)
        _copy(rows, here - _ROW, here)
    if -BAND < y <= 0:
        first = at + np.uintp(-y * _STRIDE)
        for step in range(1, radius + 1):
            _copy(rows, first, first - np.uintp(step * _STRIDE))


@compiled_part
def _copy(rows, source, target):
    for x in range(np.uintp(_STRIDE)):
        rows[target + x] = rows[source + x]


@compiled_part
def _repeat_ends(rows, at, size):
    """Repeat the values at the left and the right border of the image outside of it."""
    _, width, begin, end = size
    if begin == 0:
        value = rows[at + np.uintp(_PAD)]
        for x in range(np.uintp(_PAD)):
            rows[at + x] = value
    if end == width:
        right = at + np.uintp(_PAD + end - begin)
        value = rows[right - np.uintp(1)]
        for x in range(np.uintp(_PAD)):
            rows[right + x] = value


@compiled_part
def _close(results, at, y, size):
    """Write the lowest response outside the image, in a band that begins at y."""
    height, width, begin, end = size
    for row in range(BAND):
        here = at + np.uintp(row * _STRIDE)
        if not 0 <= y + row < height:
            for x in range(np.uintp(_STRIDE)):
                results[here + x] = -np.inf
        if begin == 0:
            results[here + np.uintp(_PAD - 1)] = -np.inf
        if end == width:
            results[here + np.uintp(_PAD + end - begin)] = -np.inf


@compiled_part
def _blocks(size):
    """Return the number of columns that are processed: whole blocks."""
    return np.uintp((size[3] - size[2] + _BLOCK - 1) // _BLOCK * _BLOCK)


@compiled_part
def _blur_across(rows, at, kernel, step, blurred, into, size):
    """Blur a row along x."""
    at += np.uintp(_PAD)
    into += np.uintp(_PAD)
    for x in range(_blocks(size)):
        total = kernel[0] * rows[at + x]
        for tap in range(1, len(kernel)):
            away = np.uintp(tap * step)
            total += kernel[tap] * (rows[at + x - away] + rows[at + x + away])
        blurred[into + x] = total


@compiled_part
def _blur_down(rows, at, kernel, step, blurred, into, size):
    """Blur along y: write the four rows for which `rows` begins one reach above the first."""
    step *= _STRIDE
    at += np.uintp(_PAD + (len(kernel) - 1) * step)
    into += np.uintp(_PAD)
    for x in range(_blocks(size)):
        # All are computed before one is written, so that they share what they read.
        here, there = at + x, into + x
        first = _blurred(rows, here, kernel, step)
        second = _blurred(rows, here + _ROW, kernel, step)
        third = _blurred(rows, here + _ROW + _ROW, kernel, step)
        fourth = _blurred(rows, here + _ROW + _ROW + _ROW, kernel, step)
        blurred[there], blurred[there + _ROW] = first, second
        blurred[there + _ROW + _ROW], blurred[there + _ROW + _ROW + _ROW] = third, fourth


@inlined
def _blurred(rows, here, kernel, step):
    """Return a value blurred along y; taps are `step` elements apart."""
    total = kernel[0] * rows[here]
    for tap in range(1, len(kernel)):
        away = np.uintp(tap * step)
        total += kernel[tap] * (rows[here - away] + rows[here + away])
    return total


@compiled_part
def _respond(smooth, at, constants, results, size):
    """Write two rows of response, strength and least probability, from row `at` of each scale."""
    at += np.uintp(_PAD)
    for x in range(_blocks(size)):
        here = at + x
        above = _response(smooth, here, constants)
        below = _response(smooth, here + _ROW, constants)
        _write(above, results, here + _ROW + _ROW)
        _write(below, results, here + _ROW + _ROW + _ROW)


@inlined
def _write(response, results, here):
    results[here], results[here + np.uintp(_STRENGTH_AT)] = response[0], response[1]
    results[here + np.uintp(_PROBABILITY_AT)] = response[2]


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
    fine = factors[1] * _determinant(smooth, above + np.uintp(_PART))
    strength = weights[0] * max(finest, none) + weights[1] * max(fine, none)
    highest = lowest = coarse = coarsest = fine
    for scale in range(2, len(factors)):
        coarse = coarsest
        coarsest = factors[scale] * _determinant(smooth, above + np.uintp(scale * _PART))
        highest, lowest = max(highest, coarsest), min(lowest, coarsest)
        strength += weights[scale] * max(coarsest, none)
    steepness = _squared_gradient(smooth, above + np.uintp((len(factors) - 1) * _PART))
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
    here, below = above + _ROW, above + _ROW + _ROW
    twice = np.float32(2) * smooth[here]
    xx = smooth[here - _ONE] - twice + smooth[here + _ONE]
    yy = smooth[above] - twice + smooth[below]
    xy = smooth[below + _ONE] - smooth[below - _ONE] - smooth[above + _ONE] + smooth[above - _ONE]
    return xx * yy - np.float32(1 / 16) * xy * xy


@inlined
def _squared_gradient(smooth, above):
    """Return the squared gradient below a pixel."""
    here, below = above + _ROW, above + _ROW + _ROW
    along_x, along_y = smooth[here + _ONE] - smooth[here - _ONE], smooth[below] - smooth[above]
    return np.float32(0.25) * (along_x * along_x + along_y * along_y)


@compiled_part
def _find_peaks(response, at, least, is_peak, size):
    """Write whether a response is the highest of 3x3 pixels and above the least one."""
    at += np.uintp(_PAD)
    for x in range(_blocks(size)):
        above = at + x
        here, below = above + _ROW, above + _ROW + _ROW
        value = response[here]
        highest = max(
            max(
                max(response[above - _ONE], response[above]),
                max(response[above + _ONE], response[here - _ONE]),
            ),
            max(
                max(response[here + _ONE], response[below - _ONE]),
                max(response[below], response[below + _ONE]),
            ),
        )
        is_peak[x] = (value >= highest) & (value > least)


@compiled_part
def _positions(words, first, last, used, found):
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
def _locate(results, at, pixel, size, values, index):
    """Write an extremum's position to a fraction of a pixel, and its response."""
    column, y = pixel
    height, width, begin, _ = size
    x = begin + column
    here = at + np.uintp(_STRIDE + _PAD + column)
    value = results[here]
    # Border pixels are repeated outside the image.
    left = results[here - _ONE] if x > 0 else value
    right = results[here + _ONE] if x < width - 1 else value
    up = results[here - _ROW] if y > 0 else value
    down = results[here + _ROW] if y < height - 1 else value
    values[index, X] = np.float32(x) + _vertex(left, value, right)
    values[index, Y] = np.float32(y) + _vertex(up, value, down)
    values[index, RESPONSE] = value
    values[index, STRENGTH] = results[here + np.uintp(_STRENGTH_AT)]
    values[index, MIN_PROBABILITY] = results[here + np.uintp(_PROBABILITY_AT)]


@compiled_part
def _vertex(before, value, after):
    """Return the position of the maximum of a parabola through three values, -0.5 to 0.5."""
    half = np.float32(0.5)
    curvature = value + value - before - after
    if not curvature > np.float32(1e-9):
        return np.float32(0)
    return min(max(half * (after - before) / curvature, -half), half)
