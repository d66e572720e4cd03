# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Relative poses of two views: estimates, errors, and their summary."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.evaluation.relative_pose import (
    estimate_pose,
    NO_POSE,
    pose_error,
    PoseError,
    summarise_errors,
)


def pose(rotation=(0, 0, 0), translation=(0, 0, 0)):
    result = np.eye(4)
    result[:3, :3], _ = cv2.Rodrigues(np.radians(np.array(rotation, float)))
    result[:3, 3] = translation
    return result


def two_views(truth, count=200, wrong=0):
    """Return normalised coordinates in cameras a and b; `truth` is the pose from a to b."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-2, -2, 3), (2, 2, 7), (count, 3))
    in_b = points @ truth[:3, :3].T + truth[:3, 3]
    a, b = points[:, :2] / points[:, 2:], in_b[:, :2] / in_b[:, 2:]
    b[:wrong] = rng.uniform(-0.5, 0.5, (wrong, 2))
    return a, b


def test_relative_pose_is_found_among_wrong_matches():
    truth = pose((3, -8, 5), (0.4, 0.1, -0.2))
    a, b = two_views(truth, count=201, wrong=60)
    a[-1] = b[-2] = np.nan  # unknown directions
    views = estimate_pose(a, b, 500)
    assert 139 <= views.inliers <= 160
    error = pose_error(views.pose, truth)
    assert error.rotation < 0.1
    assert error.direction < 0.5
    # The sign, too: from a to b.
    assert views.pose[:3, 3] @ truth[:3, 3] > 0


def test_relative_pose_of_a_slow_camera_is_found():
    truth = pose((0, 1, 0), (0.02, 0, 0.01))  # points are 150 to 350 times as far away
    error = pose_error(estimate_pose(*two_views(truth), 500).pose, truth)
    assert error.largest < 1


def test_relative_pose_of_too_few_matches_is_unknown():
    a, b = two_views(pose((0, 5, 0), (1, 0, 0)), count=7)
    assert estimate_pose(a, b, 500).pose is None
    assert estimate_pose(a[:0], b[:0], 500).inliers == 0


def test_pose_errors_are_angles_and_ignore_the_sign_of_the_translation():
    truth = pose((0, 0, 0), (1, 0, 0))
    error = pose_error(pose((0, 10, 0), (2, 0, 0)), truth)
    assert error.rotation == pytest.approx(10)
    assert error.direction == pytest.approx(0, abs=1e-5)
    turned = pose_error(pose((0, 0, 0), (-1, np.tan(np.radians(30)), 0)), truth)
    assert turned.rotation == pytest.approx(0)
    assert turned.direction == pytest.approx(30)
    assert turned.largest == pytest.approx(30)
    assert pose_error(None, truth) == NO_POSE
    assert pose_error(np.full((4, 4), np.nan), truth) == NO_POSE
    assert pose_error(np.eye(4), truth) == PoseError(0.0, 90.0)


def test_pose_error_summary_has_areas_and_medians():
    errors = [PoseError(1, 0), PoseError(0, 4), PoseError(15, 1), NO_POSE]
    summary = summarise_errors(errors)
    # Errors 1, 4, 15, 180 add max(0, 1 - e / limit).
    assert summary['auc_5'] == pytest.approx((0.8 + 0.2) / 4)
    assert summary['auc_10'] == pytest.approx((0.9 + 0.6) / 4)
    assert summary['auc_20'] == pytest.approx((0.95 + 0.8 + 0.25) / 4)
    assert summary['rotation_median'] == 8.0
    assert summary['direction_median'] == 2.5
    assert summary['pairs'] == 4
    with pytest.raises(ValueError, match='no pairs'):
        summarise_errors([])
