# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Motion of a camera along a path: pose and velocity at any time."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from superpoint_ros.data.scenes.cameras import pose_of
from superpoint_ros.data.scenes.flight_settings import Motion

TICK = 0.02
"""Seconds between the knots of the splines of a motion."""

STEPS_PER_SECOND = 1.8
"""Frequency of the steps of a person who walks, in Hz."""

_SPEED_PERIOD, _SPEED_SHARE = 9.0, 0.3  # slow changes of the speed
_PERIODS = (5.3, 3.7, 4.3)  # seconds, of yaw, pitch and roll


class CameraTrajectory:
    """
    Poses of a camera that follows `path` (N, 3), in metres, for `seconds`.

    Camera coordinates: x right, y down, z forward. Raises ValueError if the path is too short.
    """

    def __init__(self, path: np.ndarray, motion: Motion, seconds: float, rng: np.random.Generator):
        phases = rng.uniform(0, 2 * np.pi, 5)
        times = np.arange(-0.5, seconds + 1.0, TICK)
        speed = 1 + _SPEED_SHARE * np.sin(2 * np.pi * times / _SPEED_PERIOD + phases[0])
        gone = np.concatenate([[0.0], np.cumsum(motion.speed * TICK * speed[:-1])])
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        if along[-1] < gone[-1]:
            raise ValueError(
                f'a path of {along[-1]:.1f} m is too short: {gone[-1]:.1f} m are needed'
            )
        places = np.stack([np.interp(gone, along, axis) for axis in path.T], axis=1)
        width = motion.turning / TICK
        # The path consists of short straight pieces: smooth away their corners.
        places = gaussian_filter1d(places, 3, axis=0, mode='nearest')
        ahead = np.gradient(places, axis=0)
        yaw = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
        pitch = np.arctan2(ahead[:, 2], np.hypot(ahead[:, 0], ahead[:, 1])) / 2
        waves = [
            np.deg2rad(angle) * np.sin(2 * np.pi * times / period + phase)
            for angle, period, phase in zip(motion.swing, _PERIODS, phases[1:4], strict=True)
        ]
        yaw = gaussian_filter1d(yaw, width, mode='nearest') + waves[0]
        pitch = gaussian_filter1d(pitch, width, mode='nearest') + waves[1]
        places[:, 2] += motion.bob * np.sin(2 * np.pi * STEPS_PER_SECOND * times + phases[4])
        self._position = CubicSpline(times, places)
        self._velocity = self._position.derivative()
        self._angles = CubicSpline(times, np.stack([yaw, pitch, waves[2]], axis=1))

    def pose(self, seconds: float) -> np.ndarray:
        """Return the pose, camera to world, at a time: (4, 4)."""
        return pose_of(self._position(seconds), *self._angles(seconds))

    def velocity(self, seconds: float) -> np.ndarray:
        """Return the velocity in the world, in metres per second, at a time: (3,)."""
        return self._velocity(seconds)
