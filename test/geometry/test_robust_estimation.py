# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Estimates among wrong matches repeat, whatever random numbers a program takes from OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.evaluation.relative_pose import estimate_pose
from superpoint_ros.geometry.alignment import fit_alignment
from superpoint_ros.geometry.homography import estimate_homography
from superpoint_ros.geometry.pose_estimation import find_pose, two_views
from superpoint_ros.geometry.poses import make_pose
from superpoint_ros.geometry.robust_estimation import estimate_robustly
from superpoint_ros.odometry.geometric_check import fit_geometry
from superpoint_ros.odometry.odometry_settings import TrackerSettings

FOCAL, SIZE = 500, (640, 480)


def estimates():
    """Return arrays: all estimates from one set of matches, half of which are wrong."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-2, -2, 3], [2, 2, 8], (120, 3))
    pose = make_pose(cv2.Rodrigues(np.array([0.1, -0.2, 0.05]))[0], [0.5, 0.1, 0.2])
    moved = points @ pose[:3, :3].T + pose[:3, 3]
    a, b = points[:, :2] / points[:, 2:], moved[:, :2] / moved[:, 2:]
    b += rng.normal(0, 0.002, b.shape)
    b[::2] = rng.uniform(-1, 1, (60, 2))
    in_a, in_b = (FOCAL * each + (320, 240) for each in (a, b))
    checks = [TrackerSettings(geometric_check=name) for name in ('fundamental', 'homography')]
    return [
        estimate_homography(in_a, in_b),
        fit_alignment(in_a, in_b, SIZE, SIZE).to_b,
        two_views(a, b, 3 / FOCAL).pose,
        find_pose(points, b, 3 / FOCAL, np.eye(4)),
        estimate_pose(a, b, FOCAL).pose,
        *(fit_geometry(in_a, in_b, settings) for settings in checks),
    ]


def test_estimates_do_not_depend_on_random_numbers_of_opencv():
    cv2.setRNGSeed(1)
    expected = estimates()
    for found, again in zip(expected, estimates(), strict=True):
        np.testing.assert_array_equal(again, found)


def test_estimates_do_not_change_random_numbers_of_opencv():
    cv2.setRNGSeed(1)
    expected = cv2.randu(np.zeros(8), 0, 1)
    cv2.setRNGSeed(1)
    estimates()
    assert cv2.randu(np.zeros(8), 0, 1) == pytest.approx(expected, abs=0)


def test_points_that_fit_an_estimate_are_marked_and_none_is_without_an_estimate():
    a = np.random.default_rng(0).uniform(0, 100, (20, 2))
    b = a + [5, 3]
    b[::4] += 40
    found, fit = estimate_robustly(cv2.findHomography, a, b, cv2.USAC_ACCURATE, 1.0)
    np.testing.assert_allclose(found, [[1, 0, 5], [0, 1, 3], [0, 0, 1]], atol=1e-3)
    assert fit.tolist() == [index % 4 > 0 for index in range(20)]
    for points in (a[:3], np.ones((9, 2))):  # too few, and coincident ones
        found, fit = estimate_robustly(cv2.findHomography, points, points, cv2.USAC_ACCURATE)
        assert found is None
        assert fit.tolist() == [False] * len(points)
