# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Refinement of one camera pose from known points, and its covariance, as compiled loops.

Levenberg-Marquardt with the losses of `superpoint_ros.odometry.bundle_adjustment`, whose array
operations take ten times as long for one camera and some hundred points.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.compiled import compiled, compiled_part
from superpoint_ros.geometry.cholesky import decompose, solve

NEAREST = 1e-3
"""Least depth of a usable point."""

LEAST_GAIN = 1e-3
"""Relative decrease of the cost below which iterations end."""

UNKNOWN_SIGMA = 1e3
"""Standard deviation of what is unknown: lengths, and angles in radians."""

_SIZE = 6  # parameters of an update: rotation vector and translation


def refine_pose(
    pose: np.ndarray,
    points: np.ndarray,
    seen: np.ndarray,
    threshold: float,
    iterations: int = 10,
    depths: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return the world-to-camera pose with the smallest reprojection errors.

    `points` (N, 3) are in the world, `seen` (N, 2) are normalised coordinates, `depths` (N, 2) and
    `weights` (N,) as in `superpoint_ros.odometry.bundle_adjustment.Observations`. The Huber loss
    is linear beyond a third of `threshold`.
    """
    refined = np.array(pose, float)
    _refine(refined, _rows(points, seen, depths, weights), threshold / 3, iterations)
    # Each pose is the initial value of the next: rounding errors would grow.
    left, _, right = np.linalg.svd(refined[:3, :3])
    refined[:3, :3] = left @ right
    return refined


def pose_covariance(
    pose: np.ndarray,
    points: np.ndarray,
    seen: np.ndarray,
    threshold: float,
    depths: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return the covariance of a pose that `refine_pose` found with the same arguments, (6, 6).

    Position of the camera and rotation vector, in the camera's axes: the inverse of the normal
    equations. The standard deviation of an observation with the weight 1 is a third of
    `threshold`; errors of the points are not included. Standard deviations are at most
    `UNKNOWN_SIGMA`, also if the points do not determine the pose.
    """
    information, width = np.empty((_SIZE, _SIZE)), threshold / 3
    rows = _rows(points, seen, depths, weights)
    _linearise(np.asarray(pose, float), rows, width, information, np.empty(_SIZE))
    # Parameters are rotation, translation; the position moves against the translation.
    information = np.roll(information, (3, 3), (0, 1)) / width**2
    values, vectors = np.linalg.eigh(information)
    return vectors / np.maximum(values, UNKNOWN_SIGMA**-2) @ vectors.T


def _rows(points, seen, depths, weights):
    """Return observations as `_add_point` reads them, (N, 8)."""
    rows = np.zeros((len(points), 8))
    rows[:, :3], rows[:, 3:5] = points, seen
    rows[:, 5] = 1 if weights is None else weights
    if depths is not None:
        rows[:, 6:] = depths
    return rows


@compiled
def _refine(pose, observed, width, iterations):
    """Move a pose (4, 4) to the least cost; rows of `observed` as `_add_point` reads them."""
    normal, right = np.empty((_SIZE, _SIZE)), np.empty(_SIZE)
    new_normal, new_right = np.empty((_SIZE, _SIZE)), np.empty(_SIZE)
    moved, step = np.empty_like(pose), np.empty(_SIZE)
    cost, damping = _linearise(pose, observed, width, normal, right), 1e-4
    for _ in range(iterations):
        cheaper = False
        if _solve(normal, right, damping, step):
            _move(pose, step, moved)
            new_cost = _linearise(moved, observed, width, new_normal, new_right)
            cheaper = new_cost < cost
        if not cheaper:
            damping *= 10
            if damping > 1e3:
                break
            continue
        gain, before = cost - new_cost, cost
        pose[:], normal[:], right[:] = moved, new_normal, new_right
        cost, damping = new_cost, max(damping / 5, 1e-9)
        if gain < LEAST_GAIN * before:
            break


@compiled
def _linearise(pose, observed, width, normal, right):
    """Write the normal equations; return the cost."""
    cost = 0.0
    normal[:] = 0
    right[:] = 0
    row = np.empty(_SIZE)
    for index in range(len(observed)):
        cost += _add_point(pose, observed[index], width, row, normal, right)
    for a in range(_SIZE):
        for b in range(a):
            normal[a, b] = normal[b, a]
    return cost


@compiled_part
def _add_point(pose, observed, width, row, normal, right):
    """
    Add a point to the upper half of the normal equations; return its cost.

    `observed` is the point in the world (3), its image (2) and the weight of that, its inverse
    depth and the weight of that.
    """
    px, py, pz = observed[0], observed[1], observed[2]
    x = pose[0, 0] * px + pose[0, 1] * py + pose[0, 2] * pz + pose[0, 3]
    y = pose[1, 0] * px + pose[1, 1] * py + pose[1, 2] * pz + pose[1, 3]
    z = pose[2, 0] * px + pose[2, 1] * py + pose[2, 2] * pz + pose[2, 3]
    if not z > NEAREST:
        return 2 * width  # large and constant: no gradient
    inverse, weight = 1 / z, observed[5]
    u, v = x * inverse, y * inverse
    error_u, error_v = weight * (u - observed[3]), weight * (v - observed[4])
    length = np.sqrt(error_u * error_u + error_v * error_v)
    factor = min(1.0, width / max(length, 1e-12))
    # A small rotation w moves a point p by w x p.
    along = weight * inverse
    row[0], row[1], row[2] = -along * u * y, along * (z + u * x), -along * y
    row[3], row[4], row[5] = along, 0.0, -along * u
    _add_row(row, error_u, factor, normal, right)
    row[0], row[1], row[2] = -along * (z + v * y), along * v * x, along * x
    row[3], row[4], row[5] = 0.0, along, -along * v
    _add_row(row, error_v, factor, normal, right)
    cost = _huber(length, width)
    if observed[7] > 0:
        error = observed[7] * (inverse - observed[6])
        # Its own loss: a wrong depth leaves the position in the image valid.
        factor = min(1.0, width / max(abs(error), 1e-12))
        along = -observed[7] * inverse * inverse
        row[0], row[1], row[2] = along * y, -along * x, 0.0
        row[3], row[4], row[5] = 0.0, 0.0, along
        _add_row(row, error, factor, normal, right)
        cost += _huber(abs(error), width)
    return cost


@compiled_part
def _add_row(row, error, factor, normal, right):
    """Add one weighted residual to the upper half of the normal equations."""
    for a in range(_SIZE):
        scaled = factor * row[a]
        right[a] -= scaled * error
        for b in range(a, _SIZE):
            normal[a, b] += scaled * row[b]


@compiled_part
def _huber(error, width):
    """Return the Huber loss of an error that is not negative."""
    return error * error if error <= width else 2 * width * error - width * width


@compiled_part
def _solve(normal, right, damping, step):
    """Write the damped solution; return whether there is one."""
    lower = np.zeros((_SIZE, _SIZE))
    if not decompose(normal, (damping, 1e-9), 0.0, _SIZE, lower):
        return False
    solve(lower, right, _SIZE, step)
    return True


@compiled_part
def _move(pose, step, moved):
    """Write the pose after an update: its rotation vector (Rodrigues), then its translation."""
    angle = np.sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2])
    # Of sin(angle) / angle and (1 - cos(angle)) / angle^2, the limits at 0.
    sine = np.sin(angle) / angle if angle > 1e-8 else 1.0
    half = np.sin(angle / 2) / angle if angle > 1e-8 else 0.5
    versed = 2 * half * half
    x, y, z = step[0], step[1], step[2]
    rotation = np.empty((3, 3))
    rotation[0, 0], rotation[0, 1] = 1 - versed * (y * y + z * z), versed * x * y - sine * z
    rotation[0, 2], rotation[1, 0] = versed * x * z + sine * y, versed * x * y + sine * z
    rotation[1, 1], rotation[1, 2] = 1 - versed * (x * x + z * z), versed * y * z - sine * x
    rotation[2, 0], rotation[2, 1] = versed * x * z - sine * y, versed * y * z + sine * x
    rotation[2, 2] = 1 - versed * (x * x + y * y)
    for a in range(3):
        for b in range(4):
            total = 0.0
            for k in range(3):
                total += rotation[a, k] * pose[k, b]
            moved[a, b] = total
        moved[a, 3] += step[3 + a]
    moved[3] = pose[3]
