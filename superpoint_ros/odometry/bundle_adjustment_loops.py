# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Compiled loops of the bundle adjustment: Levenberg-Marquardt with eliminated points.

With few cameras and many points, each seen by few cameras, the blocks of the points are inverted
one after the other (Schur complement), and the equations of the poses are solved densely.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.common.compiled import compiled, compiled_part, inlined
from superpoint_ros.geometry.cholesky import decompose, solve
from superpoint_ros.odometry.levenberg_marquardt import FIRST_DAMPING, judge_step
from superpoint_ros.odometry.reprojection_errors import move_pose, weighted_errors


class SortedObservations(NamedTuple):
    """
    Observations, those of each point one after the other.

    Attributes:
        measured: rows of `measurement_rows`, float64 (O, 5).
        cameras: indices of the cameras, int64 (O,).
        slots: indices of the cameras among the free ones, int64 (O,); -1 if fixed.
        starts: index of the first observation of each point, and their number, int64 (M + 1,).
        free: indices of the free cameras, int64 (F,).

    """

    measured: np.ndarray
    cameras: np.ndarray
    slots: np.ndarray
    starts: np.ndarray
    free: np.ndarray


class _Normal(NamedTuple):
    """
    Blocks of the normal equations.

    Attributes:
        poses: J'J of the free poses (F, 6, 6), lower halves.
        points: J'J of the points (M, 3, 3).
        mixed: J'J of the point and the pose of each observation (O, 3, 6).
        poses_right: -J'r of the free poses (F, 6).
        points_right: -J'r of the points (M, 3).

    """

    poses: np.ndarray
    points: np.ndarray
    mixed: np.ndarray
    poses_right: np.ndarray
    points_right: np.ndarray


@compiled
def refine_all(poses, points, observed, limits, iterations):
    """
    Move free world-to-camera poses (K, 4, 4) and points (M, 3), float64, to the least cost.

    `observed` are `SortedObservations`; `limits` are the error beyond which the Huber loss is
    linear, and the relative decrease of the cost below which iterations end.
    """
    width, least_gain = limits
    count, size = len(points), len(observed.free)
    normal, moved_normal = _blocks(observed, count, size), _blocks(observed, count, size)
    moved_poses, moved_points = poses.copy(), points.copy()
    pose_steps, point_steps = np.zeros((size, 6)), np.zeros((count, 3))
    cost, damping = _linearise(poses, points, observed, width, normal), FIRST_DAMPING
    for _ in range(iterations):
        new_cost = np.inf
        if _solve(normal, observed, damping, pose_steps, point_steps):
            for slot, camera in enumerate(observed.free):
                move_pose(poses[camera], pose_steps[slot], moved_poses[camera])
            moved_points[:] = points + point_steps
            new_cost = _linearise(moved_poses, moved_points, observed, width, moved_normal)
        is_taken, damping, is_done = judge_step(cost, new_cost, damping, least_gain)
        if is_taken:
            poses[:], points[:], cost = moved_poses, moved_points, new_cost
            normal, moved_normal = moved_normal, normal
        if is_done:
            break


@compiled_part
def _blocks(observed, count, size):
    """Return normal equations to be filled in."""
    return _Normal(
        np.empty((size, 6, 6)),
        np.empty((count, 3, 3)),
        np.empty((len(observed.cameras), 3, 6)),
        np.empty((size, 6)),
        np.empty((count, 3)),
    )


@compiled_part
def _linearise(poses, points, observed, width, normal):
    """Write the normal equations; return the cost."""
    cost = 0.0
    for blocks in (normal.poses, normal.points, normal.mixed):
        blocks[:] = 0
    for right in (normal.poses_right, normal.points_right):
        right[:] = 0
    jacobian, errors, by_point = np.empty((3, 6)), np.empty(3), np.empty(3)
    for index in range(len(points)):
        for seen in range(observed.starts[index], observed.starts[index + 1]):
            measured, slot = observed.measured[seen], observed.slots[seen]
            pose = poses[observed.cameras[seen]]
            cost += weighted_errors(pose, points[index], measured, width, jacobian, errors)
            for row in range(3 if measured[4] > 0 else 2):
                _turn(jacobian[row], pose, by_point)
                _add_to_point(by_point, errors[row], index, normal)
                if slot >= 0:
                    _add_to_pose(jacobian[row], by_point, errors[row], (seen, slot), normal)
    return cost


@inlined
def _turn(by_pose, pose, by_point):
    """Write the derivatives by the point in the world (3,), of those by its camera's pose (6,)."""
    for a in range(3):
        by_point[a] = by_pose[3] * pose[0, a] + by_pose[4] * pose[1, a] + by_pose[5] * pose[2, a]


@inlined
def _add_to_point(by_point, error, index, normal):
    """Add an error to the equations of its point."""
    for a in range(3):
        normal.points_right[index, a] -= by_point[a] * error
        for b in range(3):
            normal.points[index, a, b] += by_point[a] * by_point[b]


@inlined
def _add_to_pose(by_pose, by_point, error, place, normal):
    """Add an error to the equations of its pose; `place` is its observation and free pose."""
    seen, slot = place
    for a in range(6):
        normal.poses_right[slot, a] -= by_pose[a] * error
        for b in range(a + 1):
            normal.poses[slot, a, b] += by_pose[a] * by_pose[b]
    for a in range(3):
        for b in range(6):
            normal.mixed[seen, a, b] += by_point[a] * by_pose[b]


@compiled_part
def _solve(normal, observed, damping, pose_steps, point_steps):
    """Write the damped solution; return whether there is one."""
    size, inverse = len(pose_steps), np.empty((3, 3))
    reduced, right = np.zeros((size, 6, size, 6)), normal.poses_right.copy()
    for slot in range(size):
        reduced[slot, :, slot] = normal.poses[slot]
        for a in range(6):
            reduced[slot, a, slot, a] += damping * normal.poses[slot, a, a] + 1e-9
    eliminated = np.empty_like(normal.mixed)
    for index in range(len(point_steps)):
        if not _invert(normal.points[index], damping, inverse):
            return False
        _multiply(inverse, normal.points_right[index], point_steps[index])
        first, end = observed.starts[index], observed.starts[index + 1]
        slots, mixed = observed.slots[first:end], normal.mixed[first:end]
        _eliminate(mixed, inverse, eliminated[first:end])
        _subtract(mixed, slots, point_steps[index], right)
        _reduce(mixed, slots, eliminated[first:end], reduced)
    lower = np.empty((6 * size, 6 * size))
    if not decompose(reduced.reshape(lower.shape), (0.0, 0.0), 0.0, 6 * size, lower):
        return False
    solve(lower, right.reshape(6 * size), 6 * size, pose_steps.reshape(6 * size))
    for index in range(len(point_steps)):
        for seen in range(observed.starts[index], observed.starts[index + 1]):
            if observed.slots[seen] >= 0:
                pose_step = pose_steps[observed.slots[seen]]
                _subtract_product(eliminated[seen], pose_step, point_steps[index])
    return True


@inlined
def _invert(matrix, damping, inverse):
    """Write the inverse of a damped matrix (3, 3); return whether it is positive definite."""
    lower, unit = np.empty((3, 3)), np.zeros(3)
    if not decompose(matrix, (damping, 1e-9), 0.0, 3, lower):
        return False
    for a in range(3):
        unit[a] = 1
        solve(lower, unit, 3, inverse[a])
        unit[a] = 0
    return True


@inlined
def _multiply(matrix, vector, product):
    """Write the product of a matrix (3, 3) and a vector."""
    for a in range(3):
        product[a] = matrix[a, 0] * vector[0] + matrix[a, 1] * vector[1] + matrix[a, 2] * vector[2]


@inlined
def _subtract_product(matrix, vector, difference):
    """Subtract the product of a matrix (3, 6) and a vector from a vector."""
    for k in range(3):
        for a in range(6):
            difference[k] -= matrix[k, a] * vector[a]


@inlined
def _eliminate(mixed, inverse, eliminated):
    """Write the products (N, 3, 6) of the inverse (3, 3) of a point's block with its others."""
    for seen in range(len(mixed)):
        block = mixed[seen]
        for k in range(3):
            for a in range(6):
                eliminated[seen, k, a] = (
                    inverse[k, 0] * block[0, a]
                    + inverse[k, 1] * block[1, a]
                    + inverse[k, 2] * block[2, a]
                )


@inlined
def _subtract(mixed, slots, step, right):
    """Subtract what the step (3,) of a point contributes to the right sides of its poses."""
    for seen in range(len(mixed)):
        if slots[seen] >= 0:
            for k in range(3):
                for a in range(6):
                    right[slots[seen], a] -= mixed[seen, k, a] * step[k]


@inlined
def _reduce(mixed, slots, eliminated, reduced):
    """Subtract what a point contributes to the lower half of the equations of the poses."""
    for seen in range(len(mixed)):
        slot, left = slots[seen], eliminated[seen]
        for other in range(len(mixed)):
            column, right = slots[other], mixed[other]
            if 0 <= column <= slot:
                for a in range(6):
                    for b in range(6):
                        reduced[slot, a, column, b] -= (
                            left[0, a] * right[0, b]
                            + left[1, a] * right[1, b]
                            + left[2, a] * right[2, b]
                        )
