# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The heatmap and score weighting on a CPU: the compiled equivalent of `detection.heatmap`.

With Hessian keypoints the heatmap is needed only near extrema: it is computed for a few rows at a
time, so that they stay in the processor's cache.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part, inlined
from superpoint_ros.detection.cpu_hessian import HessianExtrema
from superpoint_ros.detection.hessian_constants import HALF_STRENGTH, PROBABILITY_KERNEL
from superpoint_ros.model.config import CELL

_KERNEL = tuple(np.float32(value) for value in PROBABILITY_KERNEL)
_HALF = np.float32(HALF_STRENGTH)
_BANDS = 3  # rows of cells that are kept; the window around a pixel overlaps two at most
_PAD = 16  # columns left and right of the heatmap, which repeat its ends
_PIXELS = CELL * CELL
_LARGEST = np.float32(1e9)  # sum of odds up to which they have no rounding errors that matter
_EXP_TERMS = tuple(np.float32(np.log(2) ** n / np.prod(np.arange(1.0, n + 1))) for n in range(7))


def heatmap_from_logits(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """
    Return the probability of a keypoint at each pixel, float32 (H, W) for a `size` (H, W).

    `logits` float32 (h, w, 65) are those of the image padded to whole cells.
    """
    return _heatmap(np.ascontiguousarray(logits), *size, _EXP_TERMS)


def score_extrema(
    logits: np.ndarray, extrema: HessianExtrema, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the scores of extrema, float32 (N,), and the indices (N,) of these extrema.

    Only positive scores of at least the threshold are returned. See `hessian.weight_scores`;
    `logits` float32 (h, w, 65) are those of the image padded to whole cells.
    """
    # In one thread: the network's own threads still spin for some milliseconds after they finish.
    return _score(
        np.ascontiguousarray(logits),
        *extrema.size,
        extrema.pixels,
        extrema.strength,
        extrema.min_probability,
        np.float32(threshold),
        (_KERNEL, _HALF),
        _EXP_TERMS,
    )


@compiled
def centroid_offsets(heatmap, pixels):
    """
    Return offsets in x and y, float32 (N, 2), from pixels to the centroid of 5x5 pixels.

    `heatmap` is float32 (H, W), `pixels` are int64 (N,) in reading order. Pixels outside the image
    weigh nothing.
    """
    height, width = heatmap.shape
    offsets = np.empty((len(pixels), 2), np.float32)
    for index in range(len(pixels)):
        y = pixels[index] // width
        x = pixels[index] - y * width
        total = along_x = along_y = np.float32(0)
        for row in range(max(y - 2, 0), min(y + 3, height)):
            for column in range(max(x - 2, 0), min(x + 3, width)):
                value = heatmap[row, column]
                total += value
                along_x += value * np.float32(column - x)
                along_y += value * np.float32(row - y)
        total = max(total, np.float32(1e-12))
        offsets[index, 0], offsets[index, 1] = along_x / total, along_y / total
    return offsets


@compiled
def _heatmap(logits, height, width, terms):
    """Return the heatmap (H, W)."""
    rows, columns, _ = logits.shape
    length = columns * CELL + 2 * _PAD
    band = np.empty(CELL * length, np.float32)
    result = np.empty((height, width), np.float32)
    for number in range(rows):
        _fill_band(logits.reshape(-1), number * columns, columns, width, terms, band)
        first = number * CELL
        for y in range(min(CELL, height - first)):
            begin = y * length + _PAD
            result[first + y] = band[begin : begin + width]
    return result


@compiled
def _score(logits, height, width, pixels, strength, min_probability, threshold, weighting, terms):
    """Return the positive scores of at least the threshold, and the indices of their extrema."""
    kernel, half = weighting
    near = _probabilities(logits, height, width, pixels, kernel, terms)
    scores, chosen = np.empty(len(pixels), np.float32), np.empty(len(pixels), np.int64)
    for index in range(len(pixels)):
        probability = min(max(near[index], min_probability[index]), np.float32(1))
        strong = max(strength[index], np.float32(0))
        root = np.sqrt(probability)
        near[index] = root * np.sqrt(root) * (strong / (strong + half))  # to the power of 3/4
    count = 0
    for index in range(len(pixels)):
        # Without a branch, which would often be mispredicted: the next one may replace it.
        scores[count], chosen[count] = near[index], index
        count += (near[index] >= threshold) & (near[index] > 0)
    return scores[:count], chosen[:count]


@compiled_part
def _probabilities(logits, height, width, pixels, kernel, terms):
    """Return the probability of a keypoint near each of some pixels in reading order."""
    rows, columns, _ = logits.shape
    radius = len(kernel) // 2
    band = np.empty(CELL * (columns * CELL + 2 * _PAD), np.float32)
    across = np.empty(_BANDS * CELL * width, np.float32)
    near, starts = np.empty(len(pixels), np.float32), np.empty(len(kernel), np.uintp)
    done = index = 0
    for y in range(height):
        while done * CELL <= y + radius and done < rows:
            _fill_band(logits.reshape(-1), done * columns, columns, width, terms, band)
            _blur_across(band, width, kernel, across, done % _BANDS * CELL * width)
            done += 1
        for down in range(len(kernel)):
            row = min(max(y + down - radius, 0), height - 1)
            starts[down] = row % (_BANDS * CELL) * width
        begin = y * width
        while index < len(pixels) and pixels[index] < begin + width:
            x = np.uintp(pixels[index] - begin)
            total = np.float32(0)
            for down in range(len(kernel)):
                total += kernel[down] * across[starts[down] + x]
            near[index] = total
            index += 1
    return near


@compiled_part
def _blur_across(band, width, kernel, across, into):
    """Write rows of the heatmap, blurred along x, from an index of `across` on."""
    length, left = len(band) // CELL, _PAD - len(kernel) // 2
    for row in range(CELL):
        begin, target = np.uintp(row * length + left), np.uintp(into + row * width)
        for x in range(np.uintp(width)):
            total = np.float32(0)
            for step in range(len(kernel)):
                total += kernel[step] * band[begin + x + np.uintp(step)]
            across[target + x] = total


@compiled_part
def _fill_band(logits, first, count, width, terms, band):
    """
    Write the probabilities of a keypoint in a row of cells, 8 rows after `_PAD` columns each.

    The logits of the cells follow each other, those of cell `first` come first. The ends of the
    `width` columns of the image are repeated outside of it.
    """
    odds = np.empty(_PIXELS, np.float32)
    length = np.uintp(len(band) // CELL)
    for cell in range(count):
        at = np.uintp((first + cell) * (_PIXELS + 1))
        # Relative to no keypoint. If a keypoint is far more likely, relative to the best pixel.
        highest, none = logits[at + np.uintp(_PIXELS)], np.float32(1)
        total = _fill_odds(logits, at, highest, terms, odds)
        if not total < _LARGEST:
            for pixel in range(_PIXELS):
                highest = max(highest, logits[at + np.uintp(pixel)])
            total = _fill_odds(logits, at, highest, terms, odds)
            none = _exp(logits[at + np.uintp(_PIXELS)] - highest, terms)
        share = np.float32(1) / (total + none)
        left = np.uintp(cell * CELL + _PAD)
        for y in range(np.uintp(CELL)):
            source, target = y * np.uintp(CELL), left + y * length
            for x in range(np.uintp(CELL)):
                band[target + x] = odds[source + x] * share
    for y in range(CELL):
        begin = y * length + _PAD
        end = begin + width  # of the image, before the padding to whole cells
        for pad in range(1, _PAD + 1):
            band[begin - pad], band[end - 1 + pad] = band[begin], band[end - 1]


@inlined
def _fill_odds(logits, at, reference, terms, odds):
    """Write the odds of the pixels of a cell relative to a logit; return their sum."""
    total = np.float32(0)
    for pixel in range(np.uintp(_PIXELS)):
        odds[pixel] = _exp(logits[at + pixel] - reference, terms)
        total += odds[pixel]
    return total


@compiled_part
def _exp(x, terms):
    """
    Return e^x for x up to 41, with a relative error of 3e-7; it vectorizes, unlike `np.exp`.

    It is 2^n, made of the bits of a floating-point number, times 2^r for the rest r from -1/2 to
    1/2, by a Taylor series of which `terms` are the factors. Larger x give e^41.
    """
    t = min(max(x * np.float32(1.4426950408889634), np.float32(-126)), np.float32(60))
    # Conversion cuts off towards 0: the argument must be positive.
    whole = np.int32(np.int32(t + np.float32(126.5)) - np.int32(126))
    rest = t - np.float32(whole)
    result = terms[6]
    for power in range(5, -1, -1):
        result = result * rest + terms[power]
    return result * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)
