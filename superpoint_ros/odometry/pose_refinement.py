# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Refinement of one camera pose from known points, and its covariance, as compiled loops.

Levenberg-Marquardt with the errors of `superpoint_ros.odometry.reprojection_errors`.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part
from superpoint_ros.geometry.cholesky import decompose, solve
from superpoint_ros.geometry.poses import nearest_rotations
from superpoint_ros.odometry.levenberg_marquardt import FIRST_DAMPING, judge_step, LEAST_GAIN
from superpoint_ros.odometry.reprojection_errors import move_pose, weighted_errors

UNKNOWN_SIGMA = 1e3
"""Standard deviation of what is unknown: lengths, and angles in radians."""

_SIZE = 6  # parameters of an update: rotation vector and translation


def refine_pose(
    pose: np.ndarray,
    points: np.ndarray,
    measured: np.ndarray,
    threshold: float,
    iterations: int = 10,
) -> np.ndarray:
    """
    Return the world-to-camera pose with the smallest reprojection errors.

    `points` (N, 3) are in the world, `measured` (N, 5) are `measurement_rows`. The Huber loss is
    linear beyond a third of `threshold`.
    """
    refined = np.array(pose, float)
    points = np.ascontiguousarray(points, float)
    _refine(refined, points, measured, threshold / 3, iterations)
    # Each pose is the initial value of the next: rounding errors would grow.
    refined[:3, :3] = nearest_rotations(refined[:3, :3])
    return refined


def pose_covariance(
    pose: np.ndarray, points: np.ndarray, measured: np.ndarray, threshold: float
) -> np.ndarray:
    """
    Return the covariance of a pose that `refine_pose` found with the same arguments, (6, 6).

    Position of the camera and rotation vector, in the camera's axes: the inverse of the normal
    equations. The standard deviation of an observation with the weight 1 is a third of
    `threshold`; errors of the points are not included. Standard deviations are at most
    `UNKNOWN_SIGMA`, also if the points do not determine the pose.
    """
    information, width = np.empty((_SIZE, _SIZE)), threshold / 3
    pose, points = (np.ascontiguousarray(each, float) for each in (pose, points))
    _linearise(pose, points, measured, width, information, np.empty(_SIZE))
    # Parameters are rotation, translation; the position moves against the translation.
    information = np.roll(information, (3, 3), (0, 1)) / width**2
    values, vectors = np.linalg.eigh(information)
    return vectors / np.maximum(values, UNKNOWN_SIGMA**-2) @ vectors.T


@compiled
def _refine(pose, points, measured, width, iterations):
    """Move a pose (4, 4) to the least cost."""
    normal, right = np.empty((_SIZE, _SIZE)), np.empty(_SIZE)
    new_normal, new_right = np.empty((_SIZE, _SIZE)), np.empty(_SIZE)
    moved, step = np.empty_like(pose), np.empty(_SIZE)
    cost, damping = _linearise(pose, points, measured, width, normal, right), FIRST_DAMPING
    for _ in range(iterations):
        new_cost = np.inf
        if _solve(normal, right, damping, step):
            move_pose(pose, step, moved)
            new_cost = _linearise(moved, points, measured, width, new_normal, new_right)
        is_taken, damping, is_done = judge_step(cost, new_cost, damping, LEAST_GAIN)
        if is_taken:
            pose[:], normal[:], right[:], cost = moved, new_normal, new_right, new_cost
        if is_done:
            break


@compiled
def _linearise(pose, points, measured, width, normal, right):
    """Write the normal equations; return the cost."""
    cost = 0.0
    normal[:] = 0
    right[:] = 0
    jacobian, errors = np.empty((3, _SIZE)), np.empty(3)
    for index in range(len(points)):
        cost += weighted_errors(pose, points[index], measured[index], width, jacobian, errors)
        for row in range(3):
            for a in range(_SIZE):
                right[a] -= jacobian[row, a] * errors[row]
                for b in range(a, _SIZE):
                    normal[a, b] += jacobian[row, a] * jacobian[row, b]
    for a in range(_SIZE):
        for b in range(a):
            normal[a, b] = normal[b, a]
    return cost


@compiled_part
def _solve(normal, right, damping, step):
    """Write the damped solution; return whether there is one."""
    lower = np.zeros((_SIZE, _SIZE))
    if not decompose(normal, (damping, 1e-9), 0.0, _SIZE, lower):
        return False
    solve(lower, right, _SIZE, step)
    return True
