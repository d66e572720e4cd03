# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Covariances of the poses and velocities of a visual odometry.

The error of a pose has two parts: the noise of its own image, and the drift, the error of the map
from which it was estimated. The noise is that of a least-squares estimate
(`superpoint_ros.odometry.pose_refinement.pose_covariance`). New keyframes add points to the map
with the errors of their own poses, so each keyframe adds a multiple of its noise to the drift.

Covariances are 6x6: position, then rotation (a rotation vector), in the order of ROS.
"""

from __future__ import annotations

import cv2
import numpy as np

KEYFRAME_DRIFT = 3.0
"""Covariance that a keyframe adds to the drift, relative to that of its noise.

Fitted to 22 flights with true poses: with it, squared errors of the motion over 10, 30 and 100
frames, normalised by the covariances, are equally large.
"""


class PoseUncertainty:
    """
    Covariances of the poses of one camera, given its poses one after the other.

    Errors in the rotation at an earlier keyframe move all later positions: the drift in position
    grows with the distance from there.
    """

    def __init__(self):
        self._drift = np.zeros((6, 6))
        self._pose: np.ndarray | None = None
        self._noise = np.zeros((6, 6))
        self._stamp = 0.0
        self._speed = np.zeros(2)  # along the path, and of the rotation

    @property
    def covariance(self) -> np.ndarray:
        """
        Return the covariance of the last pose relative to the first one, float64 (6, 6).

        Position and rotation in the axes of the world: a rotation vector r is the error of a
        camera-to-world rotation R if the true one is exp(r) R. Zeros before the first pose.
        """
        return self._drift + self._noise

    @property
    def noise(self) -> np.ndarray:
        """Return the covariance (6, 6) of the last pose without drift, in the world's axes."""
        return self._noise.copy()

    def update(self, pose: np.ndarray, noise: np.ndarray, stamp: float, is_keyframe: bool) -> None:
        """
        Continue with the next pose of the same map.

        `pose` is camera-to-world (4, 4), `noise` (6, 6) the covariance of its position and
        rotation in the camera's axes, `stamp` in seconds. A keyframe adds points to the map.
        """
        elapsed = stamp - self._stamp
        if self._pose is not None and elapsed > 0:
            self._speed = np.array(_lengths(self._pose, pose)) / elapsed
        self._move(pose, noise, stamp)
        if is_keyframe:
            self._drift += KEYFRAME_DRIFT * self._noise

    def start_map(self, pose: np.ndarray, noise: np.ndarray, stamp: float) -> None:
        """
        Continue with the first pose of another map, arguments as in `update`.

        How the camera moved since the last pose is unknown: the drift grows by as much as the
        camera would have moved at its last speed, along each axis.
        """
        if self._pose is not None:
            lost = (self._speed * (stamp - self._stamp)) ** 2
            self._drift += np.diag(np.repeat(lost, 3))
        self._move(pose, noise, stamp)

    def _move(self, pose: np.ndarray, noise: np.ndarray, stamp: float) -> None:
        """Store a pose, and transport the drift to its position."""
        if self._pose is not None:
            x, y, z = pose[:3, 3] - self._pose[:3, 3]
            transport = np.eye(6)
            transport[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
            self._drift = transport @ self._drift @ transport.T
        self._pose, self._stamp = pose, stamp
        self._noise = rotate_covariance(noise, pose[:3, :3])


def rotate_covariance(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return a covariance (6, 6) of two vectors in axes that `rotation` (3, 3) turns them to."""
    both = np.kron(np.eye(2), rotation)
    return both @ covariance @ both.T


def _lengths(before: np.ndarray, pose: np.ndarray) -> tuple[float, float]:
    """Return the distance and the angle, in radians, between two poses (4, 4)."""
    turn = cv2.Rodrigues(before[:3, :3].T @ pose[:3, :3])[0]
    return np.linalg.norm(pose[:3, 3] - before[:3, 3]), np.linalg.norm(turn)
