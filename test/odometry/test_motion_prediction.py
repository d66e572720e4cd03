# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The motion of points follows that of others near them."""

from __future__ import annotations

import numpy as np

from superpoint_ros.odometry.motion_prediction import find_nearest, move_with, predict_motion


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
