# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Matching of tracks with the features near their expected positions, as compiled loops.

`superpoint_ros.geometry.matching.match_mutual` computes all similarities by one matrix product.
Here a few percent of the pairs are near enough to be compared at all, and one call matches all
groups of tracks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.compiled import compiled

_NEIGHBOURS = 4  # matched tracks whose motion predicts that of one without a match


class Described(NamedTuple):
    """Points, float32 (N, 2), with descriptors of unit length, float32 (N, D)."""

    points: np.ndarray
    descriptors: np.ndarray


class Limits(NamedTuple):
    """Limits of a match; `ratio` (1: no test) and `min_similarity` as for `match_mutual`."""

    reach: float
    ratio: float = 1.0
    min_similarity: float = -1.0


def match_groups(
    a: Described, b: Described, groups: np.ndarray, free: np.ndarray, limits: Limits, enough: int
) -> np.ndarray:
    """
    Return mutual nearest neighbours by descriptor as pairs of indices, int64 (K, 2).

    Each group of points of a is matched with those points of b that are free, bool (M,), and at
    most `reach` away, as by `superpoint_ros.geometry.matching.match_mutual`. Points of b that have
    a match are then no longer free. `groups`, int64 (N,), numbers the group of each point of a, in
    the order in which they are matched; those with negative numbers are left out. The first group
    with at least `enough` matches is the last one.
    """
    arrays = (np.ascontiguousarray(each, np.float32) for each in (*a, *b))
    return _match_groups(*arrays, groups, free, np.array(limits, np.float32), enough)


@compiled
def _match_groups(points_a, descriptors_a, points_b, descriptors_b, groups, free, limits, enough):
    """Return the matches of the groups, see `match_groups`."""
    pairs, total = np.empty((min(len(groups), len(free)), 2), np.int64), 0
    ascending = np.argsort(points_b[:, 1])
    for group in range(groups.max() + 1 if len(groups) else 0):
        rows, columns = np.flatnonzero(groups == group), ascending[free[ascending]]
        of_a = _match(points_a, descriptors_a, points_b, descriptors_b, rows, columns, limits)
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
def _match(points_a, descriptors_a, points_b, descriptors_b, rows, columns, limits):
    """
    Return the match of each row, int64 (N,), as an index into the columns; -1 without one.

    The columns have ascending y, so that only those in a strip are compared with a row.
    """
    reach, ratio, min_similarity = limits
    in_a, in_b = _near_pairs(points_a, points_b, rows, columns, reach)
    similarities = _similarities(descriptors_a, descriptors_b, rows, columns, in_a, in_b)
    of_a, highest_a, second_a = _two_highest(in_a, in_b, similarities, len(rows))
    of_b, _, second_b = _two_highest(in_b, in_a, similarities, len(columns))
    for i in range(len(rows)):
        j, similarity = of_a[i], highest_a[i]
        if j < 0 or of_b[j] != i or similarity < min_similarity:
            of_a[i] = -1
        elif ratio < np.float32(1):
            # The squared distance of unit vectors is 2 - 2 s.
            distance = max(np.float32(1) - similarity, np.float32(0))
            second = np.float32(1) - max(second_a[i], second_b[j])
            if not distance < ratio * ratio * max(second, np.float32(0)):
                of_a[i] = -1
    return of_a


@compiled
def _near_pairs(points_a, points_b, rows, columns, reach):
    """Return the pairs of near points, as indices into the rows and into the columns (K,)."""
    x_b, y_b = points_b[columns, 0], points_b[columns, 1]
    first, end = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        y = points_a[rows[i], 1]
        # A pixel more: _count_below would leave out a point that is as far above as the reach.
        first[i] = _count_below(y_b, y - reach - np.float32(1))
        end[i] = _count_below(y_b, y + reach)
    in_a, in_b = np.empty((2, (end - first).sum()), np.int64)
    total = 0
    for i in range(len(rows)):
        x, y = points_a[rows[i], 0], points_a[rows[i], 1]
        for j in range(first[i], end[i]):
            in_a[total], in_b[total] = i, j  # overwritten unless near: cheaper than a branch
            distance = (x_b[j] - x) * (x_b[j] - x) + (y_b[j] - y) * (y_b[j] - y)
            total += np.int64(distance <= reach * reach)
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


def move_with(points: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """
    Return points (N, 2) moved by the affine motion that fits that of others best.

    The others (M, 2) moved from `before` to `after`; if all are on one line, the mean of their
    motions counts.
    """
    arrays = (np.ascontiguousarray(each, np.float32) for each in (points, before, after))
    return _move_with(*arrays)


@compiled
def _move_with(points, before, after):
    """Return points moved by the affine motion of others."""
    count = max(len(before), 1)
    x_mean, y_mean = before[:, 0].sum() / count, before[:, 1].sum() / count
    moved = np.array([after[:, 0].sum() / count, after[:, 1].sum() / count])
    xx, xy, yy = 0.0, 0.0, 0.0
    right = np.zeros((2, 2))
    for index in range(len(before)):
        x, y = before[index, 0] - x_mean, before[index, 1] - y_mean
        xx, xy, yy = xx + x * x, xy + x * y, yy + y * y
        for axis in range(2):
            change = after[index, axis] - moved[axis]
            right[0, axis] += x * change
            right[1, axis] += y * change
    determinant = xx * yy - xy * xy
    result = np.empty_like(points)
    for axis in range(2):
        if determinant > 1e-6 * xx * yy:
            along_x = (yy * right[0, axis] - xy * right[1, axis]) / determinant
            along_y = (xx * right[1, axis] - xy * right[0, axis]) / determinant
        else:
            along_x, along_y = np.float64(axis == 0), np.float64(axis == 1)
        for index in range(len(points)):
            x, y = points[index, 0] - x_mean, points[index, 1] - y_mean
            result[index, axis] = moved[axis] + along_x * x + along_y * y
    return result


def find_nearest(points: np.ndarray, others: np.ndarray, reach: float) -> np.ndarray:
    """Return the index of the nearest other point, int64 (N,); -1 if none is within the reach."""
    arrays = (np.ascontiguousarray(each, np.float32) for each in (points, others))
    return _find_nearest(*arrays, np.float32(reach))


@compiled
def _find_nearest(points, others, reach):
    """Return the index of the nearest other point."""
    nearest = np.full(len(points), -1, np.int64)
    x_other, y_other = others[:, 0].copy(), others[:, 1].copy()
    distances = np.empty(len(others), np.float32)  # a loop without branches is vectorized
    for index in range(len(points)):
        least = reach * reach
        for other in range(len(others)):
            x, y = x_other[other] - points[index, 0], y_other[other] - points[index, 1]
            distances[other] = x * x + y * y
        for other in range(len(others)):
            if distances[other] < least:
                nearest[index], least = other, distances[other]
    return nearest


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
    distances = np.empty(len(before), np.float32)
    nearest = np.empty(_NEIGHBOURS, np.int64)
    gaps = np.empty(_NEIGHBOURS, np.float32)
    count = min(_NEIGHBOURS, len(before))
    if count == 0:
        return result
    before_x, before_y = before[:, 0].copy(), before[:, 1].copy()
    for index in range(len(points)):
        gaps[:] = np.inf
        for other in range(len(before)):
            x, y = before_x[other] - points[index, 0], before_y[other] - points[index, 1]
            distances[other] = x * x + y * y
        for other in range(len(before)):
            gap = distances[other]
            if gap >= gaps[count - 1]:
                continue
            place = count - 1
            while place > 0 and gaps[place - 1] > gap:
                gaps[place], nearest[place] = gaps[place - 1], nearest[place - 1]
                place -= 1
            gaps[place], nearest[place] = gap, other
        for axis in range(2):
            total, lowest, highest = np.float32(0), np.float32(np.inf), np.float32(-np.inf)
            for place in range(count):
                value = motion[nearest[place], axis]
                total += value
                lowest, highest = min(lowest, value), max(highest, value)
            # The median: with up to four values, the mean of all but the extremes.
            if count > 2:
                result[index, axis] = (total - lowest - highest) / np.float32(count - 2)
            else:
                result[index, axis] = total / np.float32(count)
    return result
