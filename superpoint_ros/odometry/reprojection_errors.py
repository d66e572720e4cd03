# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Reprojection errors and their derivatives, as parts of compiled loops.

The error of a point in normalised image coordinates, and that of its inverse depth if it was
measured, each have a Huber loss.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.compiled import compiled_part, inlined

NEAREST = 1e-3
"""Least depth of a usable point."""


def measurement_rows(
    seen: np.ndarray, depths: np.ndarray | None = None, weights: np.ndarray | None = None
) -> np.ndarray:
    """
    Return what was measured of some points, float64 (N, 5), as all refinements need it.

    A row is `seen` (2), the weight of its error, the inverse depth and the weight of its error.

    Args:
        seen: normalised image coordinates (N, 2).
        depths: inverse depths and weights of their errors (N, 2); all unknown by default. The
            weight is the standard deviation of the image coordinates divided by that of the
            inverse depth, so that both errors have one unit; 0 if the depth is unknown.
        weights: of the errors in the image (N,); 1 by default.

    """
    rows = np.zeros((len(seen), 5))
    rows[:, :2] = seen
    rows[:, 2] = 1 if weights is None else weights
    if depths is not None:
        rows[:, 3:] = depths
    return rows


@inlined
def weighted_errors(pose, point, measured, width, jacobian, errors):
    """
    Write the errors (3,) of a point and their derivatives (3, 6); return the sum of its losses.

    Both are multiplied by the square roots of the weights of the Huber loss, which is linear
    beyond `width`. The derivatives are those by a rotation vector and a translation that follow
    the world-to-camera pose; the latter are also those by the point in the axes of the camera.
    `measured` is a row of `measurement_rows`.
    """
    px, py, pz = point[0], point[1], point[2]
    x = pose[0, 0] * px + pose[0, 1] * py + pose[0, 2] * pz + pose[0, 3]
    y = pose[1, 0] * px + pose[1, 1] * py + pose[1, 2] * pz + pose[1, 3]
    z = pose[2, 0] * px + pose[2, 1] * py + pose[2, 2] * pz + pose[2, 3]
    jacobian[:] = 0
    errors[:] = 0
    if not z > NEAREST:
        return 2 * width  # large and constant: no gradient
    inverse, weight = 1 / z, measured[2]
    u, v = x * inverse, y * inverse
    error_u, error_v = weight * (u - measured[0]), weight * (v - measured[1])
    length = np.sqrt(error_u * error_u + error_v * error_v)
    factor = np.sqrt(min(1.0, width / max(length, 1e-12)))
    errors[0], errors[1] = factor * error_u, factor * error_v
    # A small rotation w moves a point p by w x p.
    along = factor * weight * inverse
    jacobian[0, 0], jacobian[0, 1], jacobian[0, 2] = (
        -along * u * y,
        along * (z + u * x),
        -along * y,
    )
    jacobian[1, 0], jacobian[1, 1], jacobian[1, 2] = -along * (z + v * y), along * v * x, along * x
    jacobian[0, 3], jacobian[0, 5] = along, -along * u
    jacobian[1, 4], jacobian[1, 5] = along, -along * v
    loss = _huber(length, width)
    if measured[4] > 0:
        error = measured[4] * (inverse - measured[3])
        # Its own loss: a wrong depth leaves the position in the image valid.
        factor = np.sqrt(min(1.0, width / max(abs(error), 1e-12)))
        errors[2] = factor * error
        along = -factor * measured[4] * inverse * inverse
        jacobian[2, 0], jacobian[2, 1], jacobian[2, 5] = along * y, -along * x, along
        loss += _huber(abs(error), width)
    return loss


@compiled_part
def _huber(error, width):
    """Return the Huber loss of an error that is not negative."""
    return error * error if error <= width else 2 * width * error - width * width


@compiled_part
def move_pose(pose, step, moved):
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
