# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matching near expected positions finds what matching of all pairs finds among those allowed."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.odometry.guided_matching import (
    Described,
    find_nearest,
    Limits,
    match_groups,
    move_with,
    predict_motion,
)


def described(points, seed=0, size=16):
    descriptors = np.random.default_rng(seed).normal(size=(len(points), size))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Described(np.asarray(points, np.float32), descriptors.astype(np.float32))


def at(*angles):
    """Return unit descriptors (N, 2) at angles in degrees."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def match_nearby(a, b, *limits):
    """Return the matches of one group with all points of b."""
    group, free = np.zeros(len(a.points), np.int64), np.ones(len(b.points), bool)
    pairs = match_groups(a, b, group, free, Limits(*limits), 1000)
    np.testing.assert_array_equal(np.flatnonzero(~free), np.sort(pairs[:, 1]))
    return pairs


@pytest.mark.parametrize(('ratio', 'least'), [(1.0, -1.0), (0.8, -1.0), (0.95, 0.3)])
def test_unlimited_reach_matches_like_all_pairs(ratio, least):
    rng = np.random.default_rng(1)
    a = described(rng.uniform(0, 100, (60, 2)), 2)
    noisy = a.descriptors[rng.permutation(60)[:50]] + rng.normal(0, 0.15, (50, 16))
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    b = Described(rng.uniform(0, 100, (50, 2)).astype(np.float32), noisy.astype(np.float32))
    expected = match_mutual(a.descriptors, b.descriptors, ratio if ratio < 1 else None, least)
    found = match_nearby(a, b, 1e4, ratio, least)
    assert len(found) > 10
    np.testing.assert_array_equal(found, expected)


def test_pairs_farther_apart_than_the_reach_are_not_matched():
    a = Described(np.float32([[0, 0], [50, 0]]), at(0, 90))
    b = Described(np.float32([[20, 0], [6, 8], [50, 3]]), at(2, 10, 91))
    assert match_nearby(a, b, 100, 1.0, -1.0).tolist() == [[0, 0], [1, 2]]
    assert match_nearby(a, b, 10, 1.0, -1.0).tolist() == [[0, 1], [1, 2]]
    assert match_nearby(a, b, 9.9, 1.0, -1.0).tolist() == [[1, 2]]
    # The second neighbour must be near, too: without another there is no ratio.
    assert match_nearby(a, b, 100, 0.3, -1.0).tolist() == [[0, 0], [1, 2]]
    assert match_nearby(a, b, 100, 0.1, -1.0).tolist() == [[1, 2]]
    assert match_nearby(a, b, 10, 0.1, -1.0).tolist() == [[0, 1], [1, 2]]


def test_groups_are_matched_in_turn_with_what_is_still_free():
    a = Described(np.zeros((4, 2), np.float32), at(1, 2, 90, 45))
    b = Described(np.zeros((3, 2), np.float32), at(0, 91, 40))
    groups, free = np.array([1, 0, 1, -1]), np.ones(3, bool)
    # The second point is first: it takes the feature that is nearer to the first point.
    assert match_groups(a, b, groups, free, Limits(5), 9).tolist() == [[1, 0], [0, 2], [2, 1]]
    assert not free.any()
    free = np.array([True, True, False])
    assert match_groups(a, b, groups, free, Limits(5), 9).tolist() == [[1, 0], [2, 1]]
    free[:] = True
    assert match_groups(a, b, groups, free, Limits(5), 1).tolist() == [[1, 0]]  # enough
    assert free.tolist() == [False, True, True]


@pytest.mark.parametrize(('n', 'm'), [(0, 0), (0, 3), (3, 0)])
def test_no_points_have_no_matches(n, m):
    found = match_nearby(described(np.zeros((n, 2))), described(np.zeros((m, 2))), 5, 0.8, 0)
    assert found.shape == (0, 2)
    assert found.dtype == np.int64


def test_motion_is_predicted_by_the_median_of_the_nearest():
    before = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [100, 100]])
    motion = np.array([[2, 1], [3, 1], [4, 1], [90, 1], [-50, -50]])
    points = np.array([[0.4, 0.4], [0.6, 0.6]])
    assert predict_motion(points, before, motion).tolist() == [[3.5, 1], [3.5, 1]]
    assert predict_motion(points[:1], before[:3], motion[:3]).tolist() == [[3, 1]]
    assert predict_motion(points[:1], before[:1], motion[:1]).tolist() == [[2, 1]]
    assert predict_motion(points, before[:0], motion[:0]).tolist() == [[0, 0], [0, 0]]
    assert predict_motion(points[:0], before, motion).shape == (0, 2)


def test_points_move_with_the_affine_motion_of_others():
    rng = np.random.default_rng(0)
    before, points = rng.uniform(0, 640, (30, 2)), rng.uniform(0, 640, (5, 2))
    turn, shift = np.array([[1.02, 0.05], [-0.03, 0.98]]), np.array([7, -3])
    moved = move_with(points, before, before @ turn + shift)
    np.testing.assert_allclose(moved, points @ turn + shift, atol=1e-3)
    line = np.stack([np.arange(20), 2 * np.arange(20)], axis=1)
    np.testing.assert_allclose(move_with(points, line, line + shift), points + shift, atol=1e-3)


def test_the_nearest_other_point_within_the_reach_is_found():
    others = np.array([[0, 0], [3, 0], [3, 1]])
    points = np.array([[2.9, 0.9], [0.5, 0], [10, 10], [1.5, 0.1]])
    assert find_nearest(points, others, 2).tolist() == [2, 0, -1, 0]
    assert find_nearest(points, others[:0], 2).tolist() == [-1] * 4
    assert find_nearest(points[:0], others, 2).shape == (0,)
