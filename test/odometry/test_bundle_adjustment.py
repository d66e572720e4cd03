# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bundle adjustment finds the minimum of the cost that it describes, written here as a loop."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.poses import make_pose
from superpoint_ros.odometry import bundle_adjustment
from superpoint_ros.odometry.bundle_adjustment import Observations, refine
from superpoint_ros.odometry.reprojection_errors import measurement_rows

THRESHOLD = 0.006
CAMERAS, POINTS = 4, 30


@pytest.fixture(autouse=True)
def to_the_end(monkeypatch):
    """Let iterations go on as long as the cost falls."""
    monkeypatch.setattr(bundle_adjustment, 'LEAST_GAIN', 0.0)


def moved(pose, step):
    """Return a pose after a rotation vector and a translation (6,)."""
    return make_pose(cv2.Rodrigues(step[:3])[0], step[3:]) @ pose


@pytest.fixture
def scene():
    """Return true poses and points, and observations with noise, outliers and unequal weights."""
    rng = np.random.default_rng(0)
    poses = np.array([moved(np.eye(4), rng.normal(0, 0.2, 6)) for _ in range(CAMERAS)])
    poses[:, 0, 3] += np.arange(CAMERAS)
    points = rng.uniform([-3, -2, 5], [3, 2, 9], (POINTS, 3))
    cameras, indices = (grid.ravel() for grid in np.mgrid[:CAMERAS, :POINTS])
    chosen = rng.random(len(cameras)) < 0.8
    cameras, indices = cameras[chosen], indices[chosen]
    rotations, positions = poses[cameras, :3, :3], poses[cameras, :3, 3]
    local = np.einsum('oij,oj->oi', rotations, points[indices]) + positions
    seen = local[:, :2] / local[:, 2:] + rng.normal(0, 1e-3, (len(local), 2))
    seen[::9] += 0.02
    precisions = rng.uniform(5, 20, len(local))
    depths = np.c_[1 / local[:, 2] + rng.normal(0, 1e-4, len(local)), precisions]
    depths[::7, 0] *= 1.3
    depths[::5, 1] = 0
    weights = rng.uniform(0.3, 2, len(local))
    return poses, points, Observations(cameras, indices, measurement_rows(seen, depths, weights))


def huber(error):
    width = THRESHOLD / 3
    return error**2 if error <= width else 2 * width * error - width**2


def cost(poses, points, observations):
    """Return the sum of the losses, one observation after the other."""
    total = 0.0
    for camera, point, (*seen, weight, inverse, precision) in zip(*observations, strict=True):
        x, y, z = poses[camera, :3, :3] @ points[point] + poses[camera, :3, 3]
        total += huber(weight * np.linalg.norm(np.array([x / z, y / z]) - seen))
        total += huber(abs(precision * (1 / z - inverse)))
    return total


def gradient(poses, points, observations, free):
    """Return the derivatives of the cost by free poses (6 each) and all points (3 each)."""
    step, result = 1e-6, []

    def difference(change):
        forward, backward = (cost(*change(sign * step), observations) for sign in (1, -1))
        result.append((forward - backward) / (2 * step))

    for camera in np.flatnonzero(free):
        for axis in np.eye(6):

            def change(size, camera=camera, axis=axis):
                turned = poses.copy()
                turned[camera] = moved(poses[camera], size * axis)
                return turned, points

            difference(change)
    for point in range(len(points)):
        for axis in np.eye(3):
            shift = axis * (np.arange(len(points)) == point)[:, None]
            difference(lambda size, shift=shift: (poses, points + size * shift))
    return np.array(result)


@pytest.mark.parametrize('parts', ['positions', 'weights', 'depths', 'depths and weights'])
def test_bundle_adjustment_ends_where_the_cost_has_no_slope(scene, parts):
    poses, points, observations = scene
    if 'depths' not in parts:
        observations.measured[:, 3:] = 0
    if 'weights' not in parts:
        observations.measured[:, 2] = 1
    rng = np.random.default_rng(1)
    free = np.arange(CAMERAS) >= 2
    start = np.array([moved(pose, rng.normal(0, 0.01, 6)) for pose in poses])
    start[~free] = poses[~free]
    near = points + rng.normal(0, 0.05, points.shape)
    found = refine(start, near, observations, free, THRESHOLD, iterations=200)
    np.testing.assert_array_equal(found[0][~free], poses[~free])
    turns = found[0][:, :3, :3]
    np.testing.assert_allclose(
        turns @ turns.transpose(0, 2, 1), np.eye(3)[None].repeat(4, 0), atol=1e-12
    )
    before, after = (gradient(*each, observations, free) for each in ((start, near), found))
    assert np.abs(after).max() < 1e-4 * np.abs(before).max()
    assert np.abs(found[0] - poses).max() < 0.1


def test_bundle_adjustment_refines_points_if_all_poses_are_fixed(scene):
    poses, points, observations = scene
    near = points + np.random.default_rng(1).normal(0, 0.05, points.shape)
    free = np.zeros(CAMERAS, bool)
    found = refine(poses, near, observations, free, THRESHOLD, iterations=200)
    np.testing.assert_array_equal(found[0], poses)
    before, after = (gradient(poses, each, observations, free) for each in (near, found[1]))
    assert np.abs(after).max() < 1e-4 * np.abs(before).max()


def test_iterations_end_when_the_cost_falls_by_less_than_the_least_gain(scene, monkeypatch):
    poses, points, observations = scene
    start = points + np.random.default_rng(1).normal(0, 0.05, points.shape)
    free = np.arange(CAMERAS) >= 2

    def refined(iterations):
        return refine(poses, start, observations, free, THRESHOLD, iterations)

    one, two = refined(1), refined(2)
    costs = [cost(*each, observations) for each in ((poses, start), one, two)]
    assert costs[0] > costs[1] > costs[2]
    gain = 1 - costs[1] / costs[0]
    for least, expected in (((1 + 1e-6) * gain, one), ((1 - 1e-6) * gain, two)):
        monkeypatch.setattr(bundle_adjustment, 'LEAST_GAIN', least)
        for found, part in zip(refined(2), expected, strict=True):
            np.testing.assert_array_equal(found, part)
