# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Exact non-maximum suppression on a CPU: the compiled equivalent of `detection.nms`."""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part

_EVERYWHERE = np.empty((0, 0), np.bool_)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE, _LAST_BIT, _WORD = np.uint64(1), np.uint64(63), np.uint64(6)  # 2^6 bits in a word


def find_candidates(values: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the pixels, int64 (N,), and values (N,) of an image that are at least the threshold.

    `values` are float32 (H, W), pixels indices in reading order. Only positive values count.
    """
    least = max(np.float32(threshold), np.nextafter(np.float32(0), np.float32(1)))
    pixels = np.flatnonzero(values >= least)
    return pixels, values.ravel()[pixels]


def find_maxima(
    values: np.ndarray, threshold: float, radius: int
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the pixels, int64 (N,), and values (N,) of an image's maxima, highest first.

    `values` are float32 (H, W), pixels indices in reading order. Maxima are positive, at least
    `threshold`, and no two of them are within `radius` pixels of each other in x and in y.
    """
    pixels, candidates = find_candidates(values, threshold)
    kept = suppress_non_maxima(pixels, candidates, values.shape, radius)
    return pixels[kept], candidates[kept]


def suppress_non_maxima(
    pixels: np.ndarray,
    scores: np.ndarray,
    size: tuple[int, int],
    radius: int,
    margin: int = 0,
    mask: np.ndarray | None = None,
    most: int | None = None,
) -> np.ndarray:
    """
    Return the indices of the candidates that suppression keeps, int64 (M,), highest score first.

    `pixels` int64 (N,) are rising indices, in reading order, in an image of `size` (height,
    width); `scores` float32 (N,) are positive. Of equal scores the first in reading order wins.
    Maxima within `margin` pixels of the border or where `mask`, bool (H, W), is false suppress
    others, but are left out. At most `most` are returned.
    """
    mask = _EVERYWHERE if mask is None else np.ascontiguousarray(mask)
    most = len(pixels) if most is None else most
    scores = np.ascontiguousarray(scores)
    return _keep_greedily(pixels, scores.view(np.uint32), size, radius, margin, mask, most)


@compiled
def _keep_greedily(pixels, scores, size, radius, margin, mask, most):
    """Return the indices of maxima, see `suppress_non_maxima`; `scores` are bits of float32."""
    height, width = size
    span = 2 * radius
    # One bit for each pixel, and a border of `radius` pixels, which avoids tests for the end.
    length = (width + span + 63) // 64
    removed = np.zeros((height + span) * length, np.uint64)
    kept, count = np.empty(min(most, len(pixels)), np.int64), 0
    for index in _highest_first(scores):
        if count == len(kept):
            break
        y = pixels[index] // width
        x = pixels[index] - y * width
        middle = np.uint64(x + radius)
        word = np.uint64((y + radius) * length) + (middle >> _WORD)
        if removed[word] >> (middle & _LAST_BIT) & _ONE:
            continue
        begin, end = np.uint64(x), np.uint64(x + span)
        first, last = begin >> _WORD, end >> _WORD
        left = _ALL_BITS << (begin & _LAST_BIT)
        right = _ALL_BITS >> (_LAST_BIT - (end & _LAST_BIT))
        for row in range(y, y + span + 1):
            at = np.uint64(row * length)
            if first == last:
                removed[at + first] |= left & right
            else:
                removed[at + first] |= left
                for between in range(first + _ONE, last):
                    removed[at + between] = _ALL_BITS
                removed[at + last] |= right
        inside = margin <= y < height - margin and margin <= x < width - margin
        if inside and (mask.size == 0 or mask[y, x]):
            kept[count] = index
            count += 1
    return kept[:count]


@compiled_part
def _highest_first(scores):
    """Return the indices that sort positive scores, as bits (N,), from the highest; equal rise."""
    # The bits of positive floating-point numbers rise with the numbers. They are sorted by eight
    # of them at a time, beginning with the lowest.
    order = np.arange(len(scores))
    following = np.empty_like(order)
    for shift in range(0, 32, 8):
        places = np.zeros(257, np.int64)
        for score in scores:
            places[np.uint32(256) - (score >> np.uint32(shift) & np.uint32(255))] += 1
        for digit in range(1, 257):
            places[digit] += places[digit - 1]
        for index in order:
            digit = np.uint32(255) - (scores[index] >> np.uint32(shift) & np.uint32(255))
            following[places[digit]] = index
            places[digit] += 1
        order, following = following, order
    return order
