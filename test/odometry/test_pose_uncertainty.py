# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Covariances of the odometry describe the errors of its poses, drift and lost frames included."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.poses import invert, make_pose
from superpoint_ros.geometry.projection import project
from superpoint_ros.odometry.odometry_settings import OdometrySettings
from superpoint_ros.odometry.pose_refinement import (
    pose_covariance,
    refine_pose,
    UNKNOWN_SIGMA,
)
from superpoint_ros.odometry.pose_uncertainty import (
    KEYFRAME_DRIFT,
    LONGEST_GAP,
    PoseUncertainty,
    rotate_covariance,
    unknown_covariance,
)
from superpoint_ros.odometry.reprojection_errors import measurement_rows
from superpoint_ros.odometry.visual_odometry import VisualOdometry

_SIGMA = 0.002


def make_points(rng, count=40):
    """Return a world-to-camera pose and points (N, 3) in front of it, more to one side."""
    pose = make_pose(cv2.Rodrigues(rng.normal(0, 0.4, 3))[0], rng.normal(0, 1, 3))
    local = rng.uniform([-1, -2, 3], [3, 2, 9], (count, 3))
    world = invert(pose)
    return pose, local @ world[:3, :3].T + world[:3, 3]


def turned(vector):
    return make_pose(cv2.Rodrigues(np.asarray(vector, float))[0], np.zeros(3))


def error_of(pose, true):
    """Return the error in position and rotation of a camera-to-world pose, in the world's axes."""
    rotation = cv2.Rodrigues(pose[:3, :3] @ true[:3, :3].T)[0].ravel()
    return np.r_[pose[:3, 3] - true[:3, 3], rotation]


def squared(error, covariance):
    """Return the squared error, normalised by its covariance and divided by its dimensions."""
    return error @ np.linalg.solve(covariance, error) / len(error)


@pytest.mark.parametrize('with_depths', [False, True])
def test_the_covariance_of_a_pose_is_that_of_repeated_estimates(with_depths):
    rng = np.random.default_rng(1)
    pose, points = make_points(rng)
    exact, z = project(pose, points)
    # A weight of w means a standard deviation smaller by w.
    weights = rng.uniform(0.5, 4, len(points))
    depth_weights = np.where(rng.random(len(points)) < 0.5, 20.0, 0.0)
    errors, squares = [], []
    for _ in range(400):
        seen = exact + rng.normal(0, _SIGMA, exact.shape) / weights[:, None]
        depths = None
        if with_depths:
            noise = rng.normal(0, _SIGMA, len(points)) / np.maximum(depth_weights, 1)
            depths = np.c_[1 / z + noise, depth_weights]
        measured = measurement_rows(seen, depths, weights)
        # With this threshold, the loss is quadratic up to 30 standard deviations.
        found = refine_pose(pose, points, measured, 90 * _SIGMA, 20)
        noise = pose_covariance(found, points, measured, 90 * _SIGMA) / 30**2
        robust = pose_covariance(found, points, measured, 3 * _SIGMA)
        # Observations beyond one standard deviation then count less.
        assert (np.diag(noise) < np.diag(robust)).all()
        assert (np.diag(robust) < 2 * np.diag(noise)).all()
        world = invert(found)
        covariance = rotate_covariance(noise, world[:3, :3])
        errors.append(error_of(world, invert(pose)))
        squares.append(squared(errors[-1], covariance))
    assert np.mean(squares) == pytest.approx(1, abs=0.1)
    sampled = np.cov(np.transpose(errors))
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), np.sqrt(np.diag(sampled)), rtol=0.15)


def test_what_points_do_not_determine_has_a_large_standard_deviation():
    points, measured = np.array([[0.0, 0, 4]]), measurement_rows(np.zeros((1, 2)))
    for count in (0, 1):
        covariance = pose_covariance(np.eye(4), points[:count], measured[:count], 0.01)
        np.testing.assert_array_equal(covariance, covariance.T)
        variances = np.linalg.eigvalsh(covariance)
        assert variances.min() > 0
        assert np.sqrt(variances.max()) == pytest.approx(UNKNOWN_SIGMA, rel=1e-3)
        # One point shows no motion along its ray.
        assert np.sqrt(covariance[2, 2]) == pytest.approx(UNKNOWN_SIGMA, rel=1e-3)


def test_keyframes_add_drift_and_rotation_at_a_keyframe_moves_later_positions():
    uncertainty, noise = PoseUncertainty(), np.diag([1e-4, 1e-4, 1e-4, 1e-6, 4e-6, 9e-6])
    np.testing.assert_array_equal(uncertainty.covariance, np.zeros((6, 6)))
    pose = turned([0, 0, np.pi / 2])  # the camera's x is the world's y
    uncertainty.start_map(pose, noise, 0.0)
    upright = np.diag([1e-4, 1e-4, 1e-4, 4e-6, 1e-6, 9e-6])
    np.testing.assert_allclose(uncertainty.covariance, upright, atol=1e-15)
    uncertainty.update(pose, noise, 0.1)
    np.testing.assert_allclose(uncertainty.covariance, upright, atol=1e-15)
    uncertainty.update(pose, noise, 0.2, is_keyframe=True)
    np.testing.assert_allclose(uncertainty.covariance, (1 + KEYFRAME_DRIFT) * upright, atol=1e-15)
    np.testing.assert_allclose(uncertainty.noise, upright, atol=1e-15)
    moved = pose.copy()
    moved[0, 3] = 10.0
    uncertainty.update(moved, noise, 0.3)
    sigmas = np.sqrt(np.diag(uncertainty.covariance - upright) / KEYFRAME_DRIFT)
    # Ten metres along x: rotation about y moves z, rotation about z moves y.
    far = np.sqrt(1e-4 + 100 * np.array([0, 9e-6, 1e-6]))
    np.testing.assert_allclose(sigmas, [*far, 2e-3, 1e-3, 3e-3])
    # Back at the keyframe, the drift is again as small as there.
    uncertainty.update(pose, noise, 0.4)
    np.testing.assert_allclose(uncertainty.covariance, (1 + KEYFRAME_DRIFT) * upright, atol=1e-14)


def test_drift_moves_poses_as_a_rotation_and_a_translation_of_the_map_would():
    rng = np.random.default_rng(2)
    root = rng.normal(0, 1e-3, (6, 6))
    noise = root @ root.T / KEYFRAME_DRIFT
    start, end = (turned(rng.normal(0, 1, 3)) for _ in range(2))
    start[:3, 3], end[:3, 3] = rng.normal(0, 5, (2, 3))
    uncertainty = PoseUncertainty()
    uncertainty.start_map(start, noise, 0.0)
    uncertainty.update(start, noise, 0.1, is_keyframe=True)
    uncertainty.update(end, np.zeros((6, 6)), 0.2)
    world_root = np.kron(np.eye(2), start[:3, :3]) @ root
    errors = []
    for column in world_root.T:
        wrong = turned(column[3:])[:3, :3] @ start[:3, :3]
        wrong_start = make_pose(wrong, start[:3, 3] + column[:3])
        errors.append(error_of(wrong_start @ invert(start) @ end, end))
    expected = np.transpose(errors) @ errors
    scale = np.abs(expected).max()
    np.testing.assert_allclose(uncertainty.covariance, expected, atol=5e-3 * scale)


def test_the_motion_while_tracking_was_lost_is_unknown():
    uncertainty, noise = PoseUncertainty(), np.eye(6) * 1e-6
    uncertainty.start_map(np.eye(4), noise, 10.0)
    np.testing.assert_allclose(uncertainty.covariance, noise)  # nothing was before
    pose = turned([0, 0.01, 0])
    pose[2, 3] = 0.2
    uncertainty.update(pose, noise, 10.1)
    uncertainty.start_map(pose, noise, 10.6)
    sigmas = np.sqrt(np.diag(uncertainty.covariance - noise))
    np.testing.assert_allclose(sigmas, [1.0] * 3 + [0.05] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ('stamp', 'counted'), [(1.7e9, LONGEST_GAP), (-1.7e9, LONGEST_GAP), (8.1, 2.0)]
)
def test_a_clock_that_was_set_adds_the_drift_of_a_bounded_time(stamp, counted):
    uncertainty, noise = PoseUncertainty(), np.eye(6) * 1e-6
    uncertainty.start_map(np.eye(4), noise, 10.0)
    pose = np.eye(4)
    pose[2, 3] = 0.2
    uncertainty.update(pose, noise, 10.1)
    uncertainty.start_map(pose, noise, stamp)
    sigmas = np.sqrt(np.diag(uncertainty.covariance - noise)[:3])
    np.testing.assert_allclose(sigmas, 2 * counted, rtol=1e-6)


def test_errors_of_the_calibration_grow_with_the_path_and_the_angle():
    uncertainty, noise = PoseUncertainty(), np.eye(6) * 1e-8
    uncertainty.start_map(np.eye(4), noise, 0.0)
    pose = np.eye(4)
    for number in range(1, 21):
        pose = turned([0, 0.1 * number, 0])
        pose[0, 3] = number % 2  # to and fro: the path gets longer all the same
        uncertainty.update(pose, noise, 0.5 * number, calibration_error=0.02)
    sigmas = np.sqrt(np.diag(uncertainty.covariance - noise))
    np.testing.assert_allclose(sigmas, [0.02 * 20] * 3 + [0.02 * 2.0] * 3, rtol=1e-6)
    # 2 m/s and 0.2 rad/s; the noise is that of two poses, half a second apart.
    sigmas = np.sqrt(np.diag(uncertainty.velocity - 2 * noise / 0.5**2))
    np.testing.assert_allclose(sigmas, [0.04] * 3 + [0.004] * 3, rtol=1e-6)


def test_the_velocity_is_unknown_without_an_earlier_pose_of_the_map():
    uncertainty, noise = PoseUncertainty(), np.eye(6) * 1e-6
    unknown = unknown_covariance()
    np.testing.assert_array_equal(uncertainty.velocity, unknown)
    uncertainty.start_map(np.eye(4), noise, 1.0)
    np.testing.assert_array_equal(uncertainty.velocity, unknown)
    uncertainty.update(np.eye(4), noise, 1.0)  # no time has passed
    np.testing.assert_array_equal(uncertainty.velocity, unknown)
    uncertainty.update(np.eye(4), noise, 1.1)
    np.testing.assert_allclose(uncertainty.velocity, 2 * noise / 0.1**2)
    uncertainty.start_map(np.eye(4), noise, 1.2)
    np.testing.assert_array_equal(uncertainty.velocity, unknown)


@pytest.mark.parametrize('options', [{}, {'depth_error': 0.005}])
def test_errors_of_simulated_flights_are_as_large_as_their_covariances(make_flight, options):
    squares = []
    for seed in range(6):
        # Two thirds of a pixel: the standard deviation of tracks without covariances.
        flight = make_flight(noise=2 / 3, seed=seed, **options)
        odometry = VisualOdometry(flight.camera_model, OdometrySettings(calibration_error=0.0))
        poses, covariances = [], []
        for frame in zip(flight.tracks, flight.stamps, strict=True):
            poses.append(odometry.update(*frame))
            covariances.append(odometry.uncertainty.covariance)
        first = next(number for number, pose in enumerate(poses) if pose is not None)
        motion = invert(flight.poses[first]) @ flight.poses[-1]
        if not odometry.metric:
            # The first keyframe is the origin.
            length = np.linalg.norm(flight.poses[-1][:3, 3] - flight.poses[0][:3, 3])
            motion[:3, 3] *= np.linalg.norm(poses[-1][:3, 3]) / length
        error = error_of(poses[-1], poses[first] @ motion)
        squares.append(squared(error, covariances[-1] + covariances[first]))
    assert 0.3 < np.mean(squares) < 3
