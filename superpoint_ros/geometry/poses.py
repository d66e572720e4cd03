# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Rigid poses as matrices (4, 4), from and to quaternions (x, y, z, w), and from directions; z is up.

Own code, because scipy, whose `Rotation` does the same, is not a dependency of the base package.
"""

from __future__ import annotations

import numpy as np

OPTICAL_TO_BODY = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""
Pose (4, 4) of a camera (x right, y down, z forward) in a body (x forward, y left, z up).

Source of the axes: REP 103.
"""


def invert(pose: np.ndarray) -> np.ndarray:
    """Return the inverse of a rigid pose (4, 4)."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


def make_pose(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Return the pose (4, 4) of a rotation (3, 3) and a translation (3)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, np.asarray(translation).ravel()
    return pose


def pose_matrix(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """
    Return the pose (4, 4) of a position (3,) and a quaternion x, y, z, w of any length above 0.

    Raises ValueError if a number is not finite or the quaternion is 0.
    """
    position = np.asarray(position, np.float64)
    quaternion = np.asarray(quaternion, np.float64)
    length = np.linalg.norm(quaternion)
    if not np.isfinite(position).all() or not np.isfinite(length) or length < 1e-6:
        raise ValueError(
            f'position {position.tolist()} and quaternion {quaternion.tolist()} are not a pose'
        )
    x, y, z, w = quaternion / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = position
    return pose


def quaternion_of(pose: np.ndarray) -> np.ndarray:
    """
    Return the quaternion x, y, z, w (4,), of length 1 and with w >= 0, of a pose or rotation.

    The eigenvector of the largest eigenvalue is exact to rounding for every rotation (Bar-Itzhack,
    New Method for Extracting the Quaternion from a Rotation Matrix, 2000).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(pose, np.float64)[:3, :3]
    matrix = [
        [xx - yy - zz, yx + xy, zx + xz, zy - yz],
        [yx + xy, yy - xx - zz, zy + yz, xz - zx],
        [zx + xz, zy + yz, zz - xx - yy, yx - xy],
        [zy - yz, xz - zx, yx - xy, xx + yy + zz],
    ]
    quaternion = np.linalg.eigh(np.array(matrix))[1][:, -1]
    return quaternion if quaternion[3] >= 0 else -quaternion


def nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    """Return the rotations (..., 3, 3) that are nearest to matrices that almost are some."""
    left, _, right = np.linalg.svd(matrices)
    return left @ right


def fit_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """
    Return the rotation (3, 3) that takes vectors a (N, 3) closest to b (N, 3).

    It minimises the sum of squared distances (Kabsch, 1976).
    """
    left, _, right = np.linalg.svd(b.T @ a)
    return (left * [1, 1, np.sign(np.linalg.det(left @ right))]) @ right


def unit_vector(azimuth: float, elevation: float) -> np.ndarray:
    """Return the unit vector (3,) of a direction, angles in radians."""
    level = np.cos(elevation)
    return np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])


def camera_pose(position: np.ndarray, forward: np.ndarray, roll: float) -> np.ndarray:
    """
    Return the pose (4, 4), camera to world, of a camera that looks forward (3,), of any length.

    Camera coordinates: x right, y down, z forward.
    """
    z = forward / np.linalg.norm(forward)
    x = np.cross(z, [0, 0, 1.0])
    length = np.linalg.norm(x)
    x = np.array([1.0, 0, 0]) if length < 1e-6 else x / length
    y = np.cross(z, x)
    cos, sin = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = cos * x + sin * y, cos * y - sin * x, z
    pose[:3, 3] = position
    return pose
