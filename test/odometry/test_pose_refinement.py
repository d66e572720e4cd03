# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A pose is refined to the least reprojection errors, robustly, and by depths if it has them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.poses import invert, make_pose
from superpoint_ros.geometry.projection import project
from superpoint_ros.odometry.pose_refinement import refine_pose
from superpoint_ros.odometry.reprojection_errors import measurement_rows

_WIDE = 10.0  # a threshold that no error reaches: least squares


def make_view(rng, count=200, noise=0.001):
    """Return a pose, points (N, 3) in front of it, and their noisy images (N, 2)."""
    pose = make_pose(cv2.Rodrigues(rng.normal(0, 0.4, 3))[0], rng.normal(0, 1, 3))
    local = rng.uniform([-2, -2, 3], [2, 2, 9], (count, 3))
    world = invert(pose)
    points = local @ world[:3, :3].T + world[:3, 3]
    return pose, points, project(pose, points)[0] + rng.normal(0, noise, (count, 2))


def nearby(pose, rng):
    """Return a pose that is some degrees and decimetres off."""
    return make_pose(cv2.Rodrigues(rng.normal(0, 0.05, 3))[0], rng.normal(0, 0.1, 3)) @ pose


@pytest.mark.parametrize('seed', range(3))
def test_a_refined_pose_is_the_least_squares_pose_of_opencv(seed):
    rng = np.random.default_rng(seed)
    pose, points, seen = make_view(rng)
    found = refine_pose(nearby(pose, rng), points, measurement_rows(seen), _WIDE, iterations=50)
    vector = cv2.Rodrigues(pose[:3, :3])[0]
    vector, translation = cv2.solvePnPRefineLM(
        points, seen, np.eye(3), None, vector, pose[:3, 3:].copy()
    )
    np.testing.assert_allclose(found[:3, :3], cv2.Rodrigues(vector)[0], atol=2e-6)
    np.testing.assert_allclose(found[:3, 3], translation.ravel(), atol=2e-5)
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-14)


def test_outliers_hardly_move_a_refined_pose():
    rng = np.random.default_rng(3)
    pose, points, seen = make_view(rng, noise=0.0)
    seen[:40] += rng.uniform(0.1, 0.3, (40, 2))
    measured = measurement_rows(seen)
    plain = refine_pose(pose, points, measured, _WIDE)
    robust = refine_pose(nearby(pose, rng), points, measured, 0.003, iterations=50)
    assert np.linalg.norm(plain[:3, 3] - pose[:3, 3]) > 0.05
    assert np.linalg.norm(robust[:3, 3] - pose[:3, 3]) < 0.005


def test_depths_make_a_refined_pose_more_accurate_and_wrong_ones_do_not_matter():
    rng = np.random.default_rng(4)
    errors = []
    for _ in range(10):
        pose, points, seen = make_view(rng, 60, noise=0.002)
        inverse = 1 / project(pose, points)[1]
        depths = np.c_[inverse + rng.normal(0, 1e-4, 60), np.full(60, 20.0)]
        depths[:6, 0] *= 1.5
        start = nearby(pose, rng)
        rows = (measurement_rows(seen, each) for each in (None, depths))
        found = (refine_pose(start, points, each, 0.01, 20) for each in rows)
        errors.append([np.linalg.norm(each[:3, 3] - pose[:3, 3]) for each in found])
    without, with_depths = np.mean(errors, axis=0)
    assert with_depths < 0.7 * without


def test_a_pose_without_usable_points_stays():
    points, measured = np.array([[0.0, 0, -1]] * 5), measurement_rows(np.zeros((5, 2)))
    for count in (0, 5):
        found = refine_pose(np.eye(4), points[:count], measured[:count], 0.01)
        np.testing.assert_array_equal(found, np.eye(4))
