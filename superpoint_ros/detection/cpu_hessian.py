# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Blobs of one image on a CPU: only where they are, in one pass over the image.

It finds what `superpoint_ros.detection.hessian` does, which see.
Row by row, each row is smoothed to the first
scale, that to the next one, and so on; the last few rows at each scale are kept, and from them
come the response and its maxima. So all that is worked on lies in the processor's nearest memory.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from superpoint_ros.detection.compiled import compiled
from superpoint_ros.detection.hessian import (
    CERTAINTY,
    LEAST_RESPONSE,
    LEVEL,
    LIKENESS,
    SCALES,
    STEPS,
    WORTHS,
)
from superpoint_ros.detection.row_bands import in_stripes

_BELLS = tuple(tuple(np.float32(value) for value in bell[len(bell) // 2 :]) for bell in STEPS)
_REACH = sum(len(bell) - 1 for bell in _BELLS) + 2  # pixels up to which others count
_FACTORS = tuple(np.float32(scale**4) for scale in SCALES)
_WORTHS = tuple(np.float32(worth) for worth in WORTHS)
_CROSSING = tuple(np.float32(x) for x in (LIKENESS, LEVEL / SCALES[-1] ** 2, CERTAINTY))
_LEAST = np.float32(LEAST_RESPONSE)
_LEAST_ROWS = 4 * _REACH  # of a stripe, which looks at others beside it
_PAD = 16  # pixels beside a row, which repeat its ends; more than any bell reaches
_RING = 32  # rows that are kept at each scale; more than any bell is long
_X, _Y, _RESPONSE, _STRENGTH, _CERTAINTY, _COLUMNS = range(6)


class BlobPoints(NamedTuple):
    """
    Hold the N blobs of an image of `size` (height, width), in reading order.

    `places` int64 (N,) are their pixels, row by row; the columns of `values`, float32 (N, 5), are
    x and y to a fraction of a pixel, the response and the strength in squared gray levels, and the
    least probability of a keypoint there, which is 0 but at crossings.
    """

    size: tuple[int, int]
    places: np.ndarray
    values: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """Return x and y, float32 (N, 2)."""
        return self.values[:, : _Y + 1]

    @property
    def response(self) -> np.ndarray:
        """Return how much each is like a blob, float32 (N,)."""
        return self.values[:, _RESPONSE]

    @property
    def strength(self) -> np.ndarray:
        """Return what each counts for detection, float32 (N,)."""
        return self.values[:, _STRENGTH]

    @property
    def certainty(self) -> np.ndarray:
        """Return the least probability of a keypoint at each, float32 (N,)."""
        return self.values[:, _CERTAINTY]


def find_blob_points(image: np.ndarray, threads: int = 1) -> BlobPoints:
    """Return the blobs of an image (H, W), uint8 or float32 of gray levels from 0 to 255."""
    work = partial(_find_in_rows, np.ascontiguousarray(image))
    found = in_stripes(work, image.shape[0], _LEAST_ROWS, threads)
    places, values = (np.concatenate(each) for each in zip(*found, strict=True))
    return BlobPoints(image.shape, places, values)


def _find_in_rows(image: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places and values of the blobs in the rows from `first` to before `last`."""
    # Of memory that nothing is written to, the system gives none.
    most = (last - first) * image.shape[1]
    places, values = np.empty(most, np.int64), np.empty((most, _COLUMNS), np.float32)
    count = _fill(image, first, last, _BELLS, _FACTORS, _WORTHS, _CROSSING, _LEAST, places, values)
    return places[:count], values[:count]


@compiled
def _fill(image, first, last, bells, factors, worths, crossing, least, places, values):
    """Write places and values of the blobs in some rows; return how many there are."""
    height, width = image.shape
    wide = width + 2 * _PAD
    own = np.empty(wide, np.float32)
    across = np.empty((4, _RING, width), np.float32)
    smooth = np.empty((4, _RING, wide), np.float32)
    rows = np.empty((5, width), np.float32)
    response = np.full((4, wide), -np.inf, np.float32)
    strength = np.empty((4, width), np.float32)
    certainty = np.empty((4, width), np.float32)
    is_peak = np.empty(width, np.bool_)
    # Of the image and at each scale: the rows that are needed, and by how many each is behind it.
    begins, ends, lags = np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros(5, np.int64)
    reaches = (len(bells[0]) - 1, len(bells[1]) - 1, len(bells[2]) - 1, len(bells[3]) - 1)
    begins[4], ends[4] = max(first - 2, 0), min(last + 2, height)
    for scale in range(3, -1, -1):
        begins[scale] = max(begins[scale + 1] - reaches[scale], 0)
        ends[scale] = min(ends[scale + 1] + reaches[scale], height)
    for scale in range(4):
        lags[scale + 1] = lags[scale] + reaches[scale]
    count = 0
    for newest in range(begins[0], last + lags[4] + 2):
        _smooth(image, newest, bells, begins, ends, lags, own, across, smooth)
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
                rows, worths, crossing, response[line], strength[line], certainty[line], width
            )
        y = newest - lags[4] - 2
        if first <= y < last:
            if y == height - 1:
                response[(y + 1) % 4] = -np.inf
            above, here, below = response[(y - 1) % 4], response[y % 4], response[(y + 1) % 4]
            _find_peaks(above, here, below, least, is_peak, width)
            begin = count
            for x in range(width):
                if is_peak[x]:
                    places[count] = y * width + x
                    count += 1
            for number in range(begin, count):
                x = places[number] - y * width
                _place(above, here, below, x, y, width, height, values[number])
                values[number, _STRENGTH] = strength[y % 4, x]
                values[number, _CERTAINTY] = certainty[y % 4, x]
    return count


@compiled
def _smooth(image, newest, bells, begins, ends, lags, own, across, smooth):
    """Write the rows, smoothed to each scale, that the image's newest row lets be calculated."""
    height, width = image.shape
    if newest < ends[0]:
        for x in range(width):
            own[x + _PAD] = np.float32(image[newest, x])
        _repeat_ends(own, width)
        _blur_across(own, bells[0], across[0, newest % _RING], width)
    rows = begins, ends, lags
    # Written out, since bells of another length are of another type.
    _smooth_to(0, newest, height, bells[0], bells[1], rows, across, smooth)
    _smooth_to(1, newest, height, bells[1], bells[2], rows, across, smooth)
    _smooth_to(2, newest, height, bells[2], bells[3], rows, across, smooth)
    y = newest - lags[4]
    if begins[4] <= y < ends[4]:
        _blur_down(across[3], y, height, bells[3], smooth[3, y % _RING], width)


@compiled
def _smooth_to(scale, newest, height, bell, next_bell, rows, across, smooth):
    """Write the row at a scale that can be calculated now, and blur it across for the next one."""
    begins, ends, lags = rows
    width = across.shape[2]
    y = newest - lags[scale + 1]
    if begins[scale + 1] <= y < ends[scale + 1]:
        row = smooth[scale, y % _RING]
        _blur_down(across[scale], y, height, bell, row, width)
        _blur_across(row, next_bell, across[scale + 1, y % _RING], width)


@compiled
def _place(above, here, below, x, y, width, height, values):
    """Write where a blob lies to a fraction of a pixel, and its response."""
    place = x + _PAD
    value = here[place]
    # Beyond the border the last pixels repeat.
    left = here[place - 1] if x > 0 else value
    right = here[place + 1] if x < width - 1 else value
    up = above[place] if y > 0 else value
    down = below[place] if y < height - 1 else value
    values[_X] = np.float32(x) + _vertex(left, value, right)
    values[_Y] = np.float32(y) + _vertex(up, value, down)
    values[_RESPONSE] = value


@compiled
def _blur_across(row, bell, out, width):
    for x in range(width):
        place = x + _PAD
        total = bell[0] * row[place]
        for step in range(1, len(bell)):
            total += bell[step] * (row[place - step] + row[place + step])
        out[x] = total


@compiled
def _blur_down(rows, y, height, bell, out, width):
    """Blur along y, two steps at a time: with more rows at once the compiler gives up."""
    _begin(_row(rows, y - 1, height), _row(rows, y, height), _row(rows, y + 1, height), bell, out)
    for step in range(2, len(bell) - 1, 2):
        _add_two(
            _row(rows, y - step, height),
            _row(rows, y + step, height),
            _row(rows, y - step - 1, height),
            _row(rows, y + step + 1, height),
            bell[step],
            bell[step + 1],
            out,
        )
    if len(bell) % 2:
        step = len(bell) - 1
        _add_one(_row(rows, y - step, height), _row(rows, y + step, height), bell[step], out)
    _repeat_ends(out, width)


@compiled
def _row(rows, y, height):
    """Return a row that is kept, of those beyond the image the nearest one in it."""
    return rows[min(max(y, 0), height - 1) % _RING]


@compiled
def _begin(above, here, below, bell, out):
    for x in range(len(here)):
        out[x + _PAD] = bell[0] * here[x] + bell[1] * (above[x] + below[x])


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
        place = x + _PAD
        twice = np.float32(2) * here[place]
        xx = here[place - 1] - twice + here[place + 1]
        yy = above[place] - twice + below[place]
        xy = below[place + 1] - below[place - 1] - above[place + 1] + above[place - 1]
        out[x] = factor * (xx * yy - np.float32(1 / 16) * xy * xy)


@compiled
def _slope(above, here, below, out, width):
    """Write the square of the gradient."""
    for x in range(width):
        place = x + _PAD
        along_x, along_y = here[place + 1] - here[place - 1], below[place] - above[place]
        out[x] = np.float32(0.25) * (along_x * along_x + along_y * along_y)


@compiled
def _combine(rows, worths, crossing, response, strength, certainty, width):
    """Write what the scales say together: see `superpoint_ros.detection.hessian.find_blobs`."""
    likeness, level, sure = crossing
    for x in range(width):
        finest, fine, coarse, coarsest = rows[0, x], rows[1, x], rows[2, x], rows[3, x]
        highest = max(max(fine, coarse), coarsest)
        lowest = min(min(fine, coarse), coarsest)
        crosses = (highest < likeness * lowest) & (rows[4, x] < -level * coarsest)
        best = max(highest, finest)
        strongest = max(
            max(worths[0] * finest, worths[1] * fine),
            max(worths[2] * coarse, worths[3] * coarsest),
        )
        response[x + _PAD] = max(best, -fine) if crosses else best
        strength[x] = max(strongest, -fine) if crosses else strongest
        certainty[x] = sure if crosses else np.float32(0)


@compiled
def _find_peaks(above, here, below, least, is_peak, width):
    """Write where a response is the highest of 3x3 pixels, and no faint one."""
    for x in range(width):
        p = x + _PAD
        highest = max(
            max(max(above[p - 1], above[p]), max(above[p + 1], here[p - 1])),
            max(max(here[p + 1], below[p - 1]), max(below[p], below[p + 1])),
        )
        is_peak[x] = (here[p] >= highest) & (here[p] > least)


@compiled
def _vertex(before, value, after):
    """Return where a parabola through three values has its maximum, from -.5 to .5."""
    half = np.float32(0.5)
    curvature = value + value - before - after
    if not curvature > np.float32(1e-9):
        return np.float32(0)
    return min(max(half * (after - before) / curvature, -half), half)
