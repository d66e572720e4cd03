# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Motion of points, predicted from that of others in the same frame, as compiled loops."""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled

_NEIGHBOURS = 4  # points whose motion predicts that of another


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
