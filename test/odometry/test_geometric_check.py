# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matches that do not fit the motion of the others are found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.odometry.geometric_check import fit_geometry
from superpoint_ros.odometry.odometry_settings import TrackerSettings


@pytest.fixture
def views():
    """Return the positions of 80 points in two frames, and a random generator."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-3, -2, 3], [3, 2, 9], (80, 3))
    turn = cv2.Rodrigues(np.array([0.02, 0.15, -0.05]))[0]
    moved = points @ turn.T + [0.3, -0.1, 0.2]
    before, now = (400 * each[:, :2] / each[:, 2:] + [320, 240] for each in (points, moved))
    return before, now + rng.normal(0, 0.3, now.shape), rng


def test_wrong_matches_are_found_although_most_points_are_fixed_to_the_camera(views):
    before, now, rng = views
    now[:20] = rng.uniform([0, 0], [640, 480], (20, 2))
    fixed = rng.uniform([0, 300], [640, 480], (150, 2))
    still = fixed + rng.normal(0, 0.1, fixed.shape)
    fits = fit_geometry(
        np.concatenate([before, fixed]), np.concatenate([now, still]), TrackerSettings()
    )
    assert fits[20:80].mean() > 0.97
    assert fits[:20].mean() < 0.2
    assert fits[80:].all()


def test_all_points_count_if_hardly_any_moves(views):
    before, _, rng = views
    now = before + rng.normal(0, 0.1, before.shape)
    now[:10] += 30
    assert fit_geometry(before, now, TrackerSettings())[10:].mean() > 0.9
