# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The compiled loop that finds extrema of the Hessian response, for `detection.cpu_hessian`.

It processes the image in bands of rows, see `detection.cpu_hessian_rows`. The response and its
extrema are computed from the last rows at each scale, which stay in the processor's first caches.
"""

import numpy as np

from superpoint_ros.common.compiled import compiled
from superpoint_ros.detection.cpu_hessian_peaks import (
    fill_outside,
    find_peaks,
    write_extremum,
    write_positions,
)
from superpoint_ros.detection.cpu_hessian_response import write_response
from superpoint_ros.detection.cpu_hessian_rows import (
    aligned_floats,
    BAND,
    blur_next,
    move_to_beginning,
    NEXT,
    PART,
    read_band,
    rows_needed,
    SCALE,
    smooth_to,
    STRIDE,
)

RADIUS = 28
"""Distance in rows and columns of the pixels that may affect an extremum: at most the reach of the
kernels and 2. Whole bands, so that a row has the same place in its band wherever the processing
begins, and is rounded in the same way."""

STRIP = 696
"""Most columns whose extrema are found at a time; whole images may have 2 x `RADIUS` more."""


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
    across, smooth = aligned_floats(scales * PART), aligned_floats(scales * PART)
    results, source = aligned_floats(3 * PART), aligned_floats(STRIDE)
    found, used = np.empty(STRIDE, np.int64), np.empty(STRIDE, np.int64)
    words = np.zeros(STRIDE // 8, np.uint64)
    is_peak = words.view(np.bool_)
    reach, earlier = rows_needed(scales, kernels, steps)
    place = 0  # of the oldest row that is needed
    for newest in range(max(first - RADIUS, 0), last + RADIUS, BAND):
        y, at = newest, np.uintp(place * STRIDE)
        read_band(image, y, size, source, dense[0], across, at)
        y = smooth_to(y, size, dense[0], 1, across, smooth, at, earlier[0])
        blur_next(y, size, dense[1], 1, smooth, across, at, earlier[0])
        coarsest = at + SCALE
        y = smooth_to(y, size, dense[1], 1, across, smooth, coarsest, earlier[1])
        for index in range(scales - 2):
            kernel, step = sparse[index], steps[index]
            blur_next(y, size, kernel, step, smooth, across, coarsest, earlier[index + 1])
            coarsest += SCALE
            y = smooth_to(y, size, kernel, step, across, smooth, coarsest, earlier[index + 2])
        y -= 1
        for row in range(0, BAND, 2):
            of_row = at + np.uintp(row * STRIDE)
            if scales == len(small[0]):
                write_response(smooth, of_row, small, results, size)
            else:
                write_response(smooth, of_row, large, results, size)
        fill_outside(results, at + np.uintp(2 * STRIDE), y, size)
        y -= 1
        for row in range(max(first - y, 0), min(last - y, BAND)):
            of_row = at + np.uintp(row * STRIDE)
            find_peaks(results, of_row, least, is_peak, size)
            for index in range(write_positions(words, left - begin, right - begin, used, found)):
                pixel = found[index], y + row
                pixels[count] = pixel[1] * width + begin + pixel[0]
                write_extremum(results, of_row, pixel, size, values, count)
                count += 1
        place += BAND
        if place == NEXT:
            place = 0
            for scale in range(scales):
                move_to_beginning(across, scale, 2 * reach[scale])
                move_to_beginning(smooth, scale, np.int64(earlier[scale]) // STRIDE)
            for part in range(3):
                move_to_beginning(results, part, 2)
    return count
