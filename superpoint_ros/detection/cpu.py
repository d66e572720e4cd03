# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Which blobs of an image are keypoints, on a CPU: from the network's logits in one pass.

It finds what `superpoint_ros.detection.heatmap.detect_keypoints` does with the blobs of an
image. The probabilities of a keypoint are calculated for a few rows at a time, and gathered at
the blobs.
"""

from __future__ import annotations

import numpy as np
import torch

from superpoint_ros.detection.compiled import compiled
from superpoint_ros.detection.cpu_hessian import BlobPoints
from superpoint_ros.detection.heatmap import spread_over_grid
from superpoint_ros.detection.hessian import HALF_STRENGTH, NEAR
from superpoint_ros.detection.nms import peaks_among
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.superpoint import CELL

_NEAR = tuple(np.float32(value) for value in NEAR)
_HALF = np.float32(HALF_STRENGTH)
_BANDS = 3  # rows of cells that are kept; a bell around a pixel reaches into two at the most
_PAD = 16  # pixels beside a row, which repeat its ends; more than the bell reaches
_POWERS = tuple(np.float32(np.log(2) ** n / np.prod(np.arange(1.0, n + 1))) for n in range(7))


def detect_blobs(
    logits: np.ndarray,
    blobs: BlobPoints,
    settings: DetectionSettings,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return an image's keypoints (N, 2) and their scores (N,), float32, best first.

    `logits` are float32 (h, w, 65) of the image in whole cells, `blobs` those of the image itself.
    `mask`, bool (H, W), is false where no keypoints may be.
    """
    height, width = blobs.size
    # In one thread: another one may have to wait for those of the network, awake for a while.
    scores, chosen = _score(
        np.ascontiguousarray(logits),
        height,
        width,
        blobs.places,
        blobs.strength,
        blobs.certainty,
        np.float32(settings.threshold),
        _NEAR,
        _HALF,
        _POWERS,
    )
    kept = peaks_among(blobs.places[chosen], scores, blobs.size, settings.nms_radius)
    scores, chosen = scores[kept], chosen[kept]
    y, x = np.divmod(blobs.places[chosen], width)
    margin = settings.border_margin
    allowed = (y >= margin) & (y < height - margin) & (x >= margin) & (x < width - margin)
    if mask is not None:
        allowed &= mask[y, x]
    if settings.subpixel:
        points = blobs.points[chosen[allowed]]
    else:
        points = np.stack([x[allowed], y[allowed]], axis=1).astype(np.float32)
    scores = scores[allowed]
    best = slice(settings.max_keypoints)
    if settings.grid_cells and len(points) > settings.max_keypoints:
        best = spread_over_grid(torch.from_numpy(points), blobs.size, settings).numpy()
    return points[best], scores[best]


@compiled
def _score(logits, height, width, places, strength, certainty, threshold, near, half, powers):
    """Return the positive scores of at least the threshold, and the indices of their blobs."""
    rows = logits.shape[0]
    heatmap = np.empty((_BANDS * CELL, logits.shape[1] * CELL + 2 * _PAD), np.float32)
    scores, chosen = np.empty(len(places), np.float32), np.empty(len(places), np.int64)
    reach = len(near) // 2
    done = count = blob = 0
    for band in range(rows):
        while done < min(band + 2, rows):
            begin = done % _BANDS * CELL
            _fill_heatmap(logits[done], width, powers, heatmap[begin : begin + CELL])
            done += 1
        end = (band + 1) * CELL * width
        while blob < len(places) and places[blob] < end:
            y = places[blob] // width
            x = places[blob] - y * width
            probability = np.float32(0)
            for step in range(len(near)):
                row = heatmap[min(max(y + step - reach, 0), height - 1) % (_BANDS * CELL)]
                total = np.float32(0)
                for across in range(len(near)):
                    total += near[across] * row[x + _PAD - reach + across]
                probability += near[step] * total
            probability = min(max(probability, certainty[blob]), np.float32(1))
            strong = max(strength[blob], np.float32(0))
            root = np.sqrt(probability)
            score = root * np.sqrt(root) * (strong / (strong + half))  # to the power 3/4
            if score >= threshold and score > 0:
                scores[count], chosen[count] = score, blob
                count += 1
            blob += 1
    return scores[:count], chosen[:count]


@compiled
def _fill_heatmap(logits, width, powers, heatmap):
    """Write the probabilities (8, W) of a keypoint at the pixels of a row of cells."""
    pixels = CELL * CELL
    odds = np.empty(pixels, np.float32)
    for cell in range(len(logits)):
        of_cell = logits[cell]
        highest = of_cell[pixels]
        for pixel in range(pixels):
            highest = max(highest, of_cell[pixel])
        total = np.float32(0)
        for pixel in range(pixels):
            odds[pixel] = _exp(of_cell[pixel] - highest, powers)
            total += odds[pixel]
        share = np.float32(1) / (total + _exp(of_cell[pixels] - highest, powers))
        left = cell * CELL + _PAD
        for y in range(CELL):
            for x in range(CELL):
                heatmap[y, left + x] = odds[y * CELL + x] * share
    for y in range(CELL):
        for pad in range(_PAD):
            heatmap[y, pad] = heatmap[y, _PAD]
            heatmap[y, width + _PAD + pad] = heatmap[y, width + _PAD - 1]


@compiled
def _exp(x, powers):
    """
    Return e^x for x of 0 or less, to 3e-7 of it: the compiler knows no exp for several at a time.

    2^t is 2^n, which the exponent of a floating-point number says, times 2^r for the rest r from
    -1/2 to 1/2, of which these are the powers' factors.
    """
    t = max(x * np.float32(1.4426950408889634), np.float32(-126))
    whole = np.int32(t - np.float32(0.5))
    rest = t - np.float32(whole)
    result = powers[6]
    for power in range(5, -1, -1):
        result = result * rest + powers[power]
    return result * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)
