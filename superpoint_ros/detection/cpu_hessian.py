# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Extrema of the Hessian response on a CPU: the compiled equivalent of `detection.hessian`.

The image is processed row by row: each row is smoothed to the first scale, that one to the second,
and so on. The last few rows at each scale are kept; the response and its extrema are computed from
them. So the working set stays in the processor's first caches.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np

from superpoint_ros.detection.compiled import compiled
from superpoint_ros.detection.hessian_constants import (
    MIN_RESPONSE,
    SADDLE_PROBABILITY,
    SADDLE_SIMILARITY,
    SADDLE_SLOPE,
    SCALE_KERNELS,
    SCALE_WEIGHTS,
    SCALES,
)

MAX_STRIPES = 8
"""Largest number of stripes of rows that an image is divided into for threads."""

# The right half of each kernel, its centre first.
_KERNELS = tuple(
    tuple(np.float32(value) for value in kernel[len(kernel) // 2 :]) for kernel in SCALE_KERNELS
)
_RADIUS = sum(len(kernel) - 1 for kernel in _KERNELS) + 2  # of the pixels that affect an extremum
_FACTORS = tuple(np.float32(scale**4) for scale in SCALES)
_WEIGHTS = tuple(np.float32(weight) for weight in SCALE_WEIGHTS)
_SADDLE = tuple(
    np.float32(x) for x in (SADDLE_SIMILARITY, SADDLE_SLOPE / SCALES[-1] ** 2, SADDLE_PROBABILITY)
)
_PAD = 16  # columns left and right of a row, which repeat its ends; more than any kernel's radius
# Rows that are kept at each scale: while the last scale's row is computed, the first scale is as
# many rows ahead as the radii of the other kernels add up to, and three rows are compared. A power
# of two; with 32 rows the loops take a tenth longer.
_RING = 16
_X, _Y, _RESPONSE, _STRENGTH, _MIN_PROBABILITY, _COLUMNS = range(6)


class HessianExtrema(NamedTuple):
    """
    The N extrema of an image's Hessian response, in reading order.

    Attributes:
        size: height and width of the image.
        pixels: int64 (N,), indices of pixels in reading order.
        points: float32 (N, 2), x and y to a fraction of a pixel.
        response: float32 (N,), in squared gray levels.
        strength: float32 (N,), the response with coarse scales weighted more, for scores.
        min_probability: float32 (N,), lowest probability of a keypoint; 0 except at saddles.

    """

    size: tuple[int, int]
    pixels: np.ndarray
    points: np.ndarray
    response: np.ndarray
    strength: np.ndarray
    min_probability: np.ndarray


def find_extrema(image: np.ndarray, threads: int = 1) -> HessianExtrema:
    """
    Return the extrema of an image (H, W), uint8 or float32 of gray levels from 0 to 255.

    The rows are divided among as many threads, but each gets enough rows to be worth it.
    """
    # Compiled functions are compiled again for other layouts and for read-only arrays.
    image = np.require(image, requirements='CW')
    rows = image.shape[0]
    # A stripe also processes the rows around it that affect its extrema.
    count = max(min(threads, rows // (4 * _RADIUS), MAX_STRIPES), 1)
    ends = np.linspace(0, rows, count + 1).astype(int).tolist()
    others = [
        _threads().submit(_find_in_rows, image, *ends[number : number + 2])
        for number in range(1, count)
    ]
    found = [_find_in_rows(image, *ends[:2]), *(other.result() for other in others)]
    pixels, values = (np.concatenate(each) for each in zip(*found, strict=True))
    columns = np.ascontiguousarray(values[:, _RESPONSE:_COLUMNS].T)
    return HessianExtrema(image.shape, pixels, values[:, : _Y + 1], *columns)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_STRIPES - 1, 'stripes')


def _find_in_rows(image: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and values of the extrema in the rows from `first` to before `last`."""
    # Memory that is never written to costs nothing.
    most = (last - first) * image.shape[1]
    pixels, values = np.empty(most, np.int64), np.empty((most, _COLUMNS), np.float32)
    constants = _FACTORS, _WEIGHTS, _SADDLE, np.float32(MIN_RESPONSE)
    count = _fill(image, first, last, _KERNELS, constants, pixels, values)
    return pixels[:count], values[:count]


@compiled
def _fill(image, first, last, kernels, constants, pixels, values):
    """Write pixels and values of the extrema in some rows; return their number."""
    factors, weights, saddle, least = constants
    height, width = image.shape
    wide = width + 2 * _PAD
    source = np.empty(wide, np.float32)
    across = np.empty((4, _RING, width), np.float32)
    smooth = np.empty((4, _RING, wide), np.float32)
    rows = np.empty((5, width), np.float32)
    response = np.full((4, wide), -np.inf, np.float32)
    strength = np.empty((4, width), np.float32)
    probability = np.empty((4, width), np.float32)
    is_peak = np.empty(width, np.bool_)
    needed = _needed_rows(first, last, height, kernels)
    begins, _, lags = needed
    count = 0
    for newest in range(begins[0], last + lags[4] + 2):
        _smooth(image, newest, kernels, needed, source, across, smooth)
        y = newest - lags[4] - 1
        if max(first - 1, 0) <= y < min(last + 1, height):
            above, here, below = max(y - 1, 0) % _RING, y % _RING, min(y + 1, height - 1) % _RING
            for scale in range(4):
                of = smooth[scale]
                _curvature(of[above], of[here], of[below], factors[scale], rows[scale], width)
            of = smooth[3]
            _slope(of[above], of[here], of[below], rows[4], width)
            line = y % 4
            _combine(
                rows, weights, saddle, response[line], strength[line], probability[line], width
            )
        y = newest - lags[4] - 2
        if first <= y < last:
            if y == height - 1:
                response[(y + 1) % 4] = -np.inf
            above, here, below = response[(y - 1) % 4], response[y % 4], response[(y + 1) % 4]
            _find_peaks(above, here, below, least, is_peak, width)
            for x in range(width):
                if is_peak[x]:
                    pixels[count] = y * width + x
                    _locate(above, here, below, x, y, width, height, values[count])
                    values[count, _STRENGTH] = strength[y % 4, x]
                    values[count, _MIN_PROBABILITY] = probability[y % 4, x]
                    count += 1
    return count


@compiled
def _needed_rows(first, last, height, kernels):
    """
    Return which rows are needed for the extrema from row `first` to before `last`.

    These are the first ones, the ends, and the lags behind the image's newest row, each (5,): of
    the image itself and of the four scales.
    """
    begins, ends, lags = np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros(5, np.int64)
    radii = (len(kernels[0]) - 1, len(kernels[1]) - 1, len(kernels[2]) - 1, len(kernels[3]) - 1)
    begins[4], ends[4] = max(first - 2, 0), min(last + 2, height)
    for scale in range(3, -1, -1):
        begins[scale] = max(begins[scale + 1] - radii[scale], 0)
        ends[scale] = min(ends[scale + 1] + radii[scale], height)
    for scale in range(4):
        lags[scale + 1] = lags[scale] + radii[scale]
    return begins, ends, lags


@compiled
def _smooth(image, newest, kernels, needed, source, across, smooth):
    """Write the rows at each scale that can be computed once the image's newest row is there."""
    begins, ends, lags = needed
    height, width = image.shape
    if newest < ends[0]:
        for x in range(width):
            source[x + _PAD] = np.float32(image[newest, x])
        _repeat_ends(source, width)
        _blur_across(source, kernels[0], across[0, newest % _RING], width)
    # Unrolled: kernels of different lengths have different types.
    _smooth_to(0, newest, height, kernels[0], kernels[1], needed, across, smooth)
    _smooth_to(1, newest, height, kernels[1], kernels[2], needed, across, smooth)
    _smooth_to(2, newest, height, kernels[2], kernels[3], needed, across, smooth)
    y = newest - lags[4]
    if begins[4] <= y < ends[4]:
        _blur_down(across[3], y, height, kernels[3], smooth[3, y % _RING], width)


@compiled
def _smooth_to(scale, newest, height, kernel, next_kernel, needed, across, smooth):
    """Write the row at a scale that can be computed now, and blur it along x for the next one."""
    begins, ends, lags = needed
    width = across.shape[2]
    y = newest - lags[scale + 1]
    if begins[scale + 1] <= y < ends[scale + 1]:
        row = smooth[scale, y % _RING]
        _blur_down(across[scale], y, height, kernel, row, width)
        _blur_across(row, next_kernel, across[scale + 1, y % _RING], width)


@compiled
def _locate(above, here, below, x, y, width, height, values):
    """Write an extremum's position to a fraction of a pixel, and its response."""
    p = x + _PAD
    value = here[p]
    # Border pixels are repeated outside the image.
    left = here[p - 1] if x > 0 else value
    right = here[p + 1] if x < width - 1 else value
    up = above[p] if y > 0 else value
    down = below[p] if y < height - 1 else value
    values[_X] = np.float32(x) + _vertex(left, value, right)
    values[_Y] = np.float32(y) + _vertex(up, value, down)
    values[_RESPONSE] = value


@compiled
def _blur_across(row, kernel, out, width):
    for x in range(width):
        p = x + _PAD
        total = kernel[0] * row[p]
        for step in range(1, len(kernel)):
            total += kernel[step] * (row[p - step] + row[p + step])
        out[x] = total


@compiled
def _blur_down(rows, y, height, kernel, out, width):
    """Blur along y, two steps at a time: the compiler does not vectorize more rows at once."""
    before, after = _row(rows, y - 1, height), _row(rows, y + 1, height)
    _begin(before, _row(rows, y, height), after, kernel, out)
    for step in range(2, len(kernel) - 1, 2):
        _add_two(
            _row(rows, y - step, height),
            _row(rows, y + step, height),
            _row(rows, y - step - 1, height),
            _row(rows, y + step + 1, height),
            kernel[step],
            kernel[step + 1],
            out,
        )
    if len(kernel) % 2:
        step = len(kernel) - 1
        _add_one(_row(rows, y - step, height), _row(rows, y + step, height), kernel[step], out)
    _repeat_ends(out, width)


@compiled
def _row(rows, y, height):
    """Return a row of those that are kept; for rows outside the image, the nearest one."""
    return rows[min(max(y, 0), height - 1) % _RING]


@compiled
def _begin(above, here, below, kernel, out):
    for x in range(len(here)):
        out[x + _PAD] = kernel[0] * here[x] + kernel[1] * (above[x] + below[x])


@compiled
def _add_one(above, below, weight, out):
    for x in range(len(above)):
        out[x + _PAD] += weight * (above[x] + below[x])


@compiled
def _add_two(near_above, near_below, far_above, far_below, near, far, out):
    for x in range(len(near_above)):
        out[x + _PAD] += near * (near_above[x] + near_below[x]) + far * (
            far_above[x] + far_below[x]
        )


@compiled
def _repeat_ends(row, width):
    for pad in range(_PAD):
        row[pad] = row[_PAD]
        row[width + _PAD + pad] = row[width + _PAD - 1]


@compiled
def _curvature(above, here, below, factor, out, width):
    """Write the determinant of the Hessian, times a factor."""
    for x in range(width):
        p = x + _PAD
        twice = np.float32(2) * here[p]
        xx = here[p - 1] - twice + here[p + 1]
        yy = above[p] - twice + below[p]
        xy = below[p + 1] - below[p - 1] - above[p + 1] + above[p - 1]
        out[x] = factor * (xx * yy - np.float32(1 / 16) * xy * xy)


@compiled
def _slope(above, here, below, out, width):
    """Write the squared gradient."""
    for x in range(width):
        p = x + _PAD
        along_x, along_y = here[p + 1] - here[p - 1], below[p] - above[p]
        out[x] = np.float32(0.25) * (along_x * along_x + along_y * along_y)


@compiled
def _combine(rows, weights, saddle, response, strength, probability, width):
    """Write the response of all scales: see `detection.hessian.hessian_response`."""
    similarity, slope, least = saddle
    for x in range(width):
        finest, fine, coarse, coarsest = rows[0, x], rows[1, x], rows[2, x], rows[3, x]
        highest = max(max(fine, coarse), coarsest)
        lowest = min(min(fine, coarse), coarsest)
        is_saddle = (highest < similarity * lowest) & (rows[4, x] < -slope * coarsest)
        best = max(highest, finest)
        strongest = max(
            max(weights[0] * finest, weights[1] * fine),
            max(weights[2] * coarse, weights[3] * coarsest),
        )
        response[x + _PAD] = max(best, -fine) if is_saddle else best
        strength[x] = max(strongest, -fine) if is_saddle else strongest
        probability[x] = least if is_saddle else np.float32(0)


@compiled
def _find_peaks(above, here, below, least, is_peak, width):
    """Write whether a response is the highest of 3x3 pixels and above the least one."""
    for x in range(width):
        p = x + _PAD
        highest = max(
            max(max(above[p - 1], above[p]), max(above[p + 1], here[p - 1])),
            max(max(here[p + 1], below[p - 1]), max(below[p], below[p + 1])),
        )
        is_peak[x] = (here[p] >= highest) & (here[p] > least)


@compiled
def _vertex(before, value, after):
    """Return the position of the maximum of a parabola through three values, -0.5 to 0.5."""
    half = np.float32(0.5)
    curvature = value + value - before - after
    if not curvature > np.float32(1e-9):
        return np.float32(0)
    return min(max(half * (after - before) / curvature, -half), half)
