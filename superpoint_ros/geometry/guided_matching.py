# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Matching of points with those near their expected positions, as compiled loops.

`superpoint_ros.geometry.matching.match_mutual` computes all similarities by one matrix product.
Here a few percent of the pairs are near enough to be compared at all: features near the expected
positions of tracks, or in the same row of a stereo pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.common.compiled import compiled


class Described(NamedTuple):
    """Points, float32 (N, 2), with descriptors of unit length, float32 (N, D)."""

    points: np.ndarray
    descriptors: np.ndarray


class Limits(NamedTuple):
    """
    Limits of a match.

    Attributes:
        reach: largest distance of the points in pixels.
        ratio: as for `match_mutual`; 1: no test.
        min_similarity: as for `match_mutual`.
        width: largest difference of the points in x in pixels.
        height: largest difference of the points in y in pixels.

    """

    reach: float
    ratio: float = 1.0
    min_similarity: float = -1.0
    width: float = np.inf
    height: float = np.inf


def match_nearby(a: Described, b: Described, limits: Limits) -> np.ndarray:
    """
    Return mutual nearest neighbours by descriptor as pairs of indices, int64 (K, 2).

    Points of a are matched with the points of b within the limits, as by
    `superpoint_ros.geometry.matching.match_mutual`.
    """
    group, free = np.zeros(len(a.points), np.int64), np.ones(len(b.points), bool)
    return match_groups(a, b, group, free, limits, 0)


def match_groups(
    a: Described, b: Described, groups: np.ndarray, free: np.ndarray, limits: Limits, enough: int
) -> np.ndarray:
    """
    Return mutual nearest neighbours by descriptor as pairs of indices, int64 (K, 2).

    Each group of points of a is matched as by `match_nearby`, with those points of b that are
    free, bool (M,). Points of b that have a match are then no longer free. `groups`, int64 (N,),
    numbers the group of each point of a, in the order in which they are matched; those with
    negative numbers are left out. The first group with at least `enough` matches is the last one.
    """
    a, b = (
        Described(*(np.ascontiguousarray(each, np.float32) for each in side)) for side in (a, b)
    )
    return _match_groups(a, b, groups, free, Limits(*map(np.float32, limits)), enough)


@compiled
def _match_groups(a, b, groups, free, limits, enough):
    """Return the matches of the groups, see `match_groups`; all numbers are float32."""
    pairs, total = np.empty((min(len(groups), len(free)), 2), np.int64), 0
    ascending = np.argsort(b.points[:, 1])
    for group in range(groups.max() + 1 if len(groups) else 0):
        rows, columns = np.flatnonzero(groups == group), ascending[free[ascending]]
        of_a = _match(a, b, rows, columns, limits)
        before = total
        for i in range(len(rows)):
            if of_a[i] >= 0:
                pairs[total, 0], pairs[total, 1] = rows[i], columns[of_a[i]]
                free[columns[of_a[i]]] = False
                total += 1
        if total - before >= enough:
            break
    return pairs[:total]


@compiled
def _match(a, b, rows, columns, limits):
    """
    Return the match of each row, int64 (N,), as an index into the columns; -1 without one.

    The columns have ascending y, so that only those in a strip are compared with a row.
    """
    in_a, in_b = _near_pairs(a.points, b.points, rows, columns, limits)
    similarities = _similarities(a.descriptors, b.descriptors, rows, columns, in_a, in_b)
    of_a, highest_a, second_a = _two_highest(in_a, in_b, similarities, len(rows))
    of_b, _, second_b = _two_highest(in_b, in_a, similarities, len(columns))
    for i in range(len(rows)):
        j, similarity = of_a[i], highest_a[i]
        if j < 0 or of_b[j] != i or similarity < limits.min_similarity:
            of_a[i] = -1
        elif limits.ratio < np.float32(1):
            # The squared distance of unit vectors is 2 - 2 s.
            distance = max(np.float32(1) - similarity, np.float32(0))
            second = np.float32(1) - max(second_a[i], second_b[j])
            if not distance < limits.ratio * limits.ratio * max(second, np.float32(0)):
                of_a[i] = -1
    return of_a


@compiled
def _near_pairs(points_a, points_b, rows, columns, limits):
    """Return the pairs of near points, as indices into the rows and into the columns (K,)."""
    reach, above = limits.reach, min(limits.reach, limits.height)
    x_b, y_b = points_b[columns, 0], points_b[columns, 1]
    first, end = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        y = points_a[rows[i], 1]
        # A pixel more: _count_below would leave out a point that is as far above as allowed.
        first[i] = _count_below(y_b, y - above - np.float32(1))
        end[i] = _count_below(y_b, y + above)
    in_a, in_b = np.empty((2, (end - first).sum()), np.int64)
    total = 0
    for i in range(len(rows)):
        x, y = points_a[rows[i], 0], points_a[rows[i], 1]
        for j in range(first[i], end[i]):
            in_a[total], in_b[total] = i, j  # overwritten unless near: cheaper than a branch
            along_x, along_y = abs(x_b[j] - x), abs(y_b[j] - y)
            is_near = along_x * along_x + along_y * along_y <= reach * reach
            is_near &= (along_x <= limits.width) & (along_y <= limits.height)
            total += np.int64(is_near)
    return in_a[:total], in_b[:total]


@compiled
def _similarities(descriptors_a, descriptors_b, rows, columns, in_a, in_b):
    """Return the dot products of pairs of descriptors (K,)."""
    result = np.empty(len(in_a), np.float32)
    for number in range(len(in_a)):
        a, b = rows[in_a[number]], columns[in_b[number]]
        total = np.float32(0)
        for channel in range(descriptors_a.shape[1]):
            total += descriptors_a[a, channel] * descriptors_b[b, channel]
        result[number] = total
    return result


@compiled
def _two_highest(own, other, similarities, count):
    """
    Return, for each of `count` points, the other with the highest similarity, and the two highest.

    The point is -1 and similarities are -inf where there is none; of equal ones the first counts.
    """
    nearest = np.full(count, -1, np.int64)
    highest = np.full(count, -np.inf, np.float32)
    second = np.full(count, -np.inf, np.float32)
    for number in range(len(own)):
        point, similarity = own[number], similarities[number]
        before, partner = highest[point], nearest[point]
        # Without branches, which the processor would have to guess.
        nearest[point] = other[number] if similarity > before else partner
        highest[point] = max(before, similarity)
        second[point] = max(second[point], min(before, similarity))
    return nearest, highest, second


@compiled
def _count_below(ascending, limit):
    """Return how many of some ascending values are at most the limit, by bisection."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] <= limit:
            low = middle + 1
        else:
            high = middle
    return low
