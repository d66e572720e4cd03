# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matching near expected positions finds what matching of all pairs finds among those allowed."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.geometry.guided_matching import Described, Limits, match_groups, match_nearby
from superpoint_ros.geometry.matching import match_mutual


def described(points, seed=0, size=16):
    descriptors = np.random.default_rng(seed).normal(size=(len(points), size))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Described(np.asarray(points, np.float32), descriptors.astype(np.float32))


def at(*angles):
    """Return unit descriptors (N, 2) at angles in degrees."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


@pytest.mark.parametrize(('ratio', 'least'), [(1.0, -1.0), (0.8, -1.0), (0.95, 0.3)])
def test_unlimited_reach_matches_like_all_pairs(ratio, least):
    rng = np.random.default_rng(1)
    a = described(rng.uniform(0, 100, (60, 2)), 2)
    noisy = a.descriptors[rng.permutation(60)[:50]] + rng.normal(0, 0.15, (50, 16))
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    b = Described(rng.uniform(0, 100, (50, 2)).astype(np.float32), noisy.astype(np.float32))
    expected = match_mutual(a.descriptors, b.descriptors, ratio if ratio < 1 else None, least)
    found = match_nearby(a, b, Limits(1e4, ratio, least))
    assert len(found) > 10
    np.testing.assert_array_equal(found, expected)


def test_pairs_farther_apart_than_the_reach_are_not_matched():
    a = Described(np.float32([[0, 0], [50, 0]]), at(0, 90))
    b = Described(np.float32([[20, 0], [6, 8], [50, 3]]), at(2, 10, 91))
    assert match_nearby(a, b, Limits(100, 1.0, -1.0)).tolist() == [[0, 0], [1, 2]]
    assert match_nearby(a, b, Limits(10, 1.0, -1.0)).tolist() == [[0, 1], [1, 2]]
    assert match_nearby(a, b, Limits(9.9, 1.0, -1.0)).tolist() == [[1, 2]]
    # The second neighbour must be near, too: without another there is no ratio.
    assert match_nearby(a, b, Limits(100, 0.3, -1.0)).tolist() == [[0, 0], [1, 2]]
    assert match_nearby(a, b, Limits(100, 0.1, -1.0)).tolist() == [[1, 2]]
    assert match_nearby(a, b, Limits(10, 0.1, -1.0)).tolist() == [[0, 1], [1, 2]]


def test_pairs_in_a_rectangle_are_matched_like_all_pairs_that_may_match():
    rng = np.random.default_rng(3)
    points = rng.uniform(0, 100, (2, 80, 2))
    a, b = described(points[0], 4), described(points[1], 5)
    offsets = np.abs(a.points[:, None] - b.points[None])
    allowed = (offsets[..., 0] <= 30) & (offsets[..., 1] <= 8)
    expected = match_mutual(a.descriptors, b.descriptors, 0.95, 0.1, allowed)
    found = match_nearby(a, b, Limits(np.inf, 0.95, 0.1, width=30, height=8))
    assert len(found) > 10
    np.testing.assert_array_equal(found, expected)


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
    found = match_nearby(
        described(np.zeros((n, 2))), described(np.zeros((m, 2))), Limits(5, 0.8, 0)
    )
    assert found.shape == (0, 2)
    assert found.dtype == np.int64
