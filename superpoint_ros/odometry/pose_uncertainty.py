# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Covariances of the poses and velocities of a visual odometry.

The error of a pose is the sum of three errors. The noise is the error of a pose that is estimated
from an exact map (`superpoint_ros.odometry.pose_refinement.pose_covariance`). The drift is the
error of the map: new keyframes add points that have the errors of these keyframes' poses, so each
keyframe adds a multiple of its noise. An inexact calibration changes all distances and angles by
the same share, so that its errors add up along the path.

Covariances are 6x6: position, then rotation (a rotation vector), in the order of ROS.
"""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.odometry.pose_refinement import UNKNOWN_SIGMA

KEYFRAME_DRIFT = 3.0
"""Covariance that a keyframe adds to the drift, relative to that of its noise.

Fitted to 22 flights with true poses: with it, squared errors of the motion over 10, 30 and 100
frames, normalised by the covariances, are equally large.
"""

LONGEST_GAP = 60.0
"""Largest number of seconds between two maps that counts: a longer time means that the clock was
set, for example by NTP after the start of a computer without a battery for its clock."""


class PoseUncertainty:
    """
    Covariances of the poses and velocities of one camera, given its poses one after the other.

    Errors in the rotation at an earlier keyframe move all later positions: the drift in position
    grows with the distance from there.

    `noise` (6, 6) is the covariance of the last pose without drift and calibration, in the world's
    axes. `velocity` (6, 6) is that of the linear and the angular velocity since the pose before,
    in the camera's axes; its standard deviations are `UNKNOWN_SIGMA` if the motion is unknown.
    """

    def __init__(self):
        self.noise = np.zeros((6, 6))
        self.velocity = unknown_covariance()
        self._drift = np.zeros((6, 6))
        self._calibration = np.zeros(2)  # standard deviations of position and rotation
        self._pose: np.ndarray | None = None
        self._stamp = 0.0
        self._speed = np.zeros(2)  # along the path, and of the rotation

    @property
    def covariance(self) -> np.ndarray:
        """
        Return the covariance of the last pose relative to the first one, float64 (6, 6).

        Position and rotation in the axes of the world: a rotation vector r is the error of a
        camera-to-world rotation R if the true one is exp(r) R. Zeros before the first pose.
        """
        return self._drift + self.noise + _equal_axes(self._calibration)

    def update(
        self,
        pose: np.ndarray,
        noise: np.ndarray,
        stamp: float,
        is_keyframe: bool = False,
        calibration_error: float = 0.0,
    ) -> None:
        """
        Continue with the next pose of the map that `start_map` began.

        `pose` is camera-to-world (4, 4), `noise` (6, 6) the covariance of its position and
        rotation in the camera's axes, `stamp` in seconds. A keyframe adds points to the map.
        `calibration_error` is the standard deviation, due to the calibration, of distances and
        angles, as a share of them.
        """
        before, elapsed = self.noise, stamp - self._stamp
        lengths = _lengths(self._pose, pose)
        self._calibration += calibration_error * lengths
        self._move(pose, noise, stamp)
        if is_keyframe:
            self._drift += KEYFRAME_DRIFT * self.noise
        if not elapsed > 0:
            self.velocity = unknown_covariance()
            return
        self._speed = lengths / elapsed
        both = rotate_covariance(before + self.noise, pose[:3, :3].T)
        self.velocity = both / elapsed**2 + _equal_axes(calibration_error * self._speed)

    def start_map(self, pose: np.ndarray, noise: np.ndarray, stamp: float) -> None:
        """
        Continue with the first pose of another map, arguments as in `update`.

        How the camera moved since the last pose is unknown: the drift grows by as much as the
        camera would have moved at its last speed, along each axis, in the time since then, at most
        `LONGEST_GAP`. A clock that goes back counts as one that goes ahead by as much.
        """
        if self._pose is not None:
            elapsed = min(abs(stamp - self._stamp), LONGEST_GAP)
            self._drift += _equal_axes(self._speed * elapsed)
        self._move(pose, noise, stamp)
        self.velocity = unknown_covariance()

    def _move(self, pose: np.ndarray, noise: np.ndarray, stamp: float) -> None:
        """Store a pose, and transport the drift to its position."""
        if self._pose is not None:
            x, y, z = pose[:3, 3] - self._pose[:3, 3]
            transport = np.eye(6)
            transport[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
            self._drift = transport @ self._drift @ transport.T
        self._pose, self._stamp = pose, stamp
        self.noise = rotate_covariance(noise, pose[:3, :3])


def unknown_covariance() -> np.ndarray:
    """Return the covariance (6, 6) of what is unknown."""
    return np.eye(6) * UNKNOWN_SIGMA**2


def rotate_covariance(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return a covariance (6, 6) of two vectors in axes that `rotation` (3, 3) turns them to."""
    blocks = covariance.reshape(2, 3, 2, 3).swapaxes(1, 2)
    return (rotation @ blocks @ rotation.T).swapaxes(1, 2).reshape(6, 6)


def _equal_axes(sigmas: np.ndarray) -> np.ndarray:
    """Return the covariance of position and rotation with these two standard deviations."""
    return np.diag(np.repeat(sigmas**2, 3))


def _lengths(before: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Return the distance and the angle, in radians, between two poses (4, 4)."""
    turn = cv2.Rodrigues(before[:3, :3].T @ pose[:3, :3])[0]
    return np.array([np.linalg.norm(pose[:3, 3] - before[:3, 3]), np.linalg.norm(turn)])
