# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The heatmap and score weighting on a CPU: the compiled equivalent of `detection.heatmap`.

With Hessian keypoints the heatmap is needed only near extrema: it is computed for a few rows at a
time, so that they stay in the processor's cache.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.detection.compiled import compiled
from superpoint_ros.detection.cpu_hessian import HessianExtrema
from superpoint_ros.detection.hessian_constants import HALF_STRENGTH, PROBABILITY_KERNEL
from superpoint_ros.model.config import CELL

_KERNEL = tuple(np.float32(value) for value in PROBABILITY_KERNEL)
_HALF = np.float32(HALF_STRENGTH)
_BANDS = 3  # rows of cells that are kept; the window around a pixel overlaps two at most
_PAD = 16  # columns left and right of the heatmap, which repeat its ends
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
    band = np.empty((CELL, logits.shape[1] * CELL + 2 * _PAD), np.float32)
    result = np.empty((height, width), np.float32)
    for number in range(logits.shape[0]):
        _fill_band(logits[number], width, terms, band)
        first = number * CELL
        for y in range(min(CELL, height - first)):
            result[first + y] = band[y, _PAD : _PAD + width]
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


@compiled
def _probabilities(logits, height, width, pixels, kernel, terms):
    """Return the probability of a keypoint near each of some pixels in reading order."""
    rows, radius = logits.shape[0], len(kernel) // 2
    heatmap = np.empty((CELL, logits.shape[1] * CELL + 2 * _PAD), np.float32)
    across = np.empty((_BANDS * CELL, width), np.float32)
    near = np.empty(len(pixels), np.float32)
    done = index = 0
    for band in range(rows):
        while done < min(band + 2, rows):
            _fill_band(logits[done], width, terms, heatmap)
            for row in range(CELL):
                _blur_across(heatmap[row], kernel, across[done % _BANDS * CELL + row])
            done += 1
        end = (band + 1) * CELL * width
        while index < len(pixels) and pixels[index] < end:
            y = pixels[index] // width
            x = pixels[index] - y * width
            total = np.float32(0)
            for down in range(len(kernel)):
                row = min(max(y + down - radius, 0), height - 1) % (_BANDS * CELL)
                total += kernel[down] * across[row, x]
            near[index] = total
            index += 1
    return near


@compiled
def _blur_across(row, kernel, result):
    """Blur a row of the heatmap along x."""
    left = _PAD - len(kernel) // 2
    for x in range(len(result)):
        total = np.float32(0)
        for step in range(len(kernel)):
            total += kernel[step] * row[x + left + step]
        result[x] = total


@compiled
def _fill_band(logits, width, terms, band):
    """Write the probabilities of a keypoint, (8, W) after `_PAD` columns, in a row of cells."""
    pixels = CELL * CELL
    odds = np.empty(pixels, np.float32)
    pairs, band_pairs = odds.view(np.float64), band.view(np.float64)  # two values each, to copy
    for cell in range(len(logits)):
        highest = max(_highest(logits, cell, odds), logits[cell, pixels])
        total = np.float32(0)
        for pixel in range(pixels):
            odds[pixel] = _exp(logits[cell, pixel] - highest, terms)
            total += odds[pixel]
        share = np.float32(1) / (total + _exp(logits[cell, pixels] - highest, terms))
        for pixel in range(pixels):
            odds[pixel] *= share
        left = (cell * CELL + _PAD) // 2
        for y in range(CELL):
            # All are read before one is written: one vector.
            a, b, c, d = pairs[4 * y], pairs[4 * y + 1], pairs[4 * y + 2], pairs[4 * y + 3]
            band_pairs[y, left], band_pairs[y, left + 1] = a, b
            band_pairs[y, left + 2], band_pairs[y, left + 3] = c, d
    for y in range(CELL):
        for pad in range(_PAD):
            band[y, pad] = band[y, _PAD]
            band[y, width + _PAD + pad] = band[y, width + _PAD - 1]


@compiled
def _highest(logits, cell, odds):
    """Return the highest logit of the pixels of a cell; `odds` is overwritten."""
    # Halves are compared, not one value after the other: the compiler vectorizes this.
    count = CELL * CELL // 2
    for pixel in range(count):
        odds[pixel] = max(logits[cell, pixel], logits[cell, pixel + count])
    while count > 1:
        count //= 2
        for pixel in range(count):
            odds[pixel] = max(odds[pixel], odds[pixel + count])
    return odds[0]


@compiled
def _exp(x, terms):
    """
    Return e^x for x of 0 or less, with a relative error of 3e-7; it vectorizes, unlike `np.exp`.

    It is 2^n, made of the bits of a floating-point number, times 2^r for the rest r from -1/2 to
    1/2, by a Taylor series of which `terms` are the factors.
    """
    t = max(x * np.float32(1.4426950408889634), np.float32(-126))
    whole = np.int32(t - np.float32(0.5))
    rest = t - np.float32(whole)
    result = terms[6]
    for power in range(5, -1, -1):
        result = result * rest + terms[power]
    return result * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)
