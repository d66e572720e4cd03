# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Matching of tracks with the features near their expected positions, as compiled loops.

`superpoint_ros.geometry.matching.match_mutual` computes all similarities by one matrix product.
Here a few percent of the pairs are near enough to be compared at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.detection.compiled import compiled

_NEIGHBOURS = 4  # matched tracks whose motion predicts that of one without a match


class Described(NamedTuple):
    """Points, float32 (N, 2), with descriptors of unit length, float32 (N, D)."""

    points: np.ndarray
    descriptors: np.ndarray


def match_nearby(
    a: Described, b: Described, reach: float, ratio: float, min_similarity: float
) -> np.ndarray:
    """
    Return mutual nearest neighbours by descriptor as pairs of indices, int64 (K, 2).

    Only points at most `reach` apart are compared. The result and the meaning of `ratio` (1: no
    test) and `min_similarity` are those of `superpoint_ros.geometry.matching.match_mutual`.
    """
    arrays = (np.ascontiguousarray(each, np.float32) for each in (*a, *b))
    in_b = _match(*arrays, np.float32(reach), np.float32(ratio), np.float32(min_similarity))
    in_a = np.flatnonzero(in_b >= 0)
    return np.stack([in_a, in_b[in_a]], axis=1)


@compiled
def _match(points_a, descriptors_a, points_b, descriptors_b, reach, ratio, min_similarity):
    """Return the match of each point of a, int64 (N,); -1 without one."""
    count_a, count_b = len(points_a), len(points_b)
    of_a, of_b = np.full(count_a, -1, np.int64), np.full(count_b, -1, np.int64)
    # Highest and second highest similarity of each point.
    highest_a = np.full((count_a, 2), -np.inf, np.float32)
    highest_b = np.full((count_b, 2), -np.inf, np.float32)
    is_near = np.empty(count_b, np.bool_)
    x_b, y_b = points_b[:, 0].copy(), points_b[:, 1].copy()
    for i in range(count_a):
        x, y = points_a[i, 0], points_a[i, 1]
        for j in range(count_b):
            is_near[j] = (x_b[j] - x) * (x_b[j] - x) + (y_b[j] - y) * (y_b[j] - y) <= reach * reach
        for j in range(count_b):
            if is_near[j]:
                similarity = np.float32(0)
                for channel in range(descriptors_a.shape[1]):
                    similarity += descriptors_a[i, channel] * descriptors_b[j, channel]
                if _is_highest(highest_a[i], similarity):
                    of_a[i] = j
                if _is_highest(highest_b[j], similarity):
                    of_b[j] = i
    one = np.float32(1)
    for i in range(count_a):
        j, similarity = of_a[i], highest_a[i, 0]
        if j < 0 or of_b[j] != i or similarity < min_similarity:
            of_a[i] = -1
        elif ratio < one:
            # The squared distance of unit vectors is 2 - 2 s.
            distance = max(one - similarity, np.float32(0))
            next_nearest = max(one - max(highest_a[i, 1], highest_b[j, 1]), np.float32(0))
            if not distance < ratio * ratio * next_nearest:
                of_a[i] = -1
    return of_a


@compiled
def _is_highest(highest, similarity):
    """Update the two highest similarities of a point; return whether this one is the highest."""
    if similarity > highest[0]:
        highest[1], highest[0] = highest[0], similarity
        return True
    highest[1] = max(highest[1], similarity)
    return False


def predict_motion(points: np.ndarray, before: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """
    Return the expected motion, float32 (N, 2), of points (N, 2) from that of others.

    The others moved by `motion` (M, 2) from `before` (M, 2). The median of the four nearest counts
    for each coordinate; without others the motion is 0.
    """
    arrays = (np.ascontiguousarray(each, np.float32) for each in (points, before, motion))
    return _predict(*arrays)


@compiled
def _predict(points, before, motion):
    """Return the expected motion of points."""
    result = np.zeros((len(points), 2), np.float32)
    nearest = np.empty(_NEIGHBOURS, np.int64)
    gaps = np.empty(_NEIGHBOURS, np.float32)
    values = np.empty(_NEIGHBOURS, np.float32)
    count = min(_NEIGHBOURS, len(before))
    if count == 0:
        return result
    for index in range(len(points)):
        gaps[:] = np.inf
        for other in range(len(before)):
            x, y = before[other, 0] - points[index, 0], before[other, 1] - points[index, 1]
            gap = x * x + y * y
            if gap >= gaps[count - 1]:
                continue
            place = count - 1
            while place > 0 and gaps[place - 1] > gap:
                gaps[place], nearest[place] = gaps[place - 1], nearest[place - 1]
                place -= 1
            gaps[place], nearest[place] = gap, other
        for axis in range(2):
            for place in range(count):
                values[place] = motion[nearest[place], axis]
            ordered = np.sort(values[:count])
            half = count // 2
            result[index, axis] = (
                ordered[half]
                if count % 2
                else (ordered[half - 1] + ordered[half]) * np.float32(0.5)
            )
    return result
