# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How the camera flies: smoothly, without end, different for each seed."""

from __future__ import annotations

import math

import numpy as np

from superpoint_ros.simulation.layout import FREE, ROOM

_PERIODS = (19.0, 15.0, 11.0)  # seconds, of x, y and z; never in step
_SECOND = 0.25  # share of a second, faster wave in each
_TURN = 75.0  # seconds for a turn about the vertical
_YAW, _PITCH, _ROLL = (math.radians(angle) for angle in (25, 8, 5))
_YAW_PERIOD, _PITCH_PERIOD, _ROLL_PERIOD = 23.0, 13.0, 11.0


class Trajectory:
    """
    A flight through the room's middle, about 0.5 m/s and 7 degrees/s: as a camera in a hand.

    The seed sets where it begins, and which way it turns.
    """

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        self._phases = rng.uniform(0, 2 * math.pi, (2, 3))
        self._angles = rng.uniform(0, 2 * math.pi, 4)
        self._direction = float(rng.choice((-1, 1)))

    def pose(self, seconds: float) -> np.ndarray:
        """Return the pose at a time, (4, 4): from the camera's coordinates to the world's."""
        pose = np.eye(4)
        pose[:3, :3] = self._rotation(seconds)
        pose[:3, 3] = self._position(seconds)
        return pose

    def _position(self, seconds: float) -> np.ndarray:
        """Return where the camera is (3,), in metres."""
        phase = 2 * math.pi * seconds / np.array(_PERIODS)
        slow, fast = np.sin(phase + self._phases[0]), np.sin(2.3 * phase + self._phases[1])
        middle = np.array([0, 0, ROOM[2] / 2])
        return middle + np.array(FREE) * ((1 - _SECOND) * slow + _SECOND * fast)

    def _rotation(self, seconds: float) -> np.ndarray:
        """Return the rotation (3, 3) from the camera (x right, y down, z forward) to the world."""

        def wave(number: int, period: float) -> float:
            return math.sin(2 * math.pi * seconds / period + self._angles[number])

        yaw = self._angles[3] + self._direction * 2 * math.pi * seconds / _TURN
        yaw += _YAW * wave(0, _YAW_PERIOD)
        pitch, roll = _PITCH * wave(1, _PITCH_PERIOD), _ROLL * wave(2, _ROLL_PERIOD)
        forward = np.array(
            [
                math.cos(pitch) * math.cos(yaw),
                math.cos(pitch) * math.sin(yaw),
                math.sin(pitch),
            ]
        )
        right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
        down = np.cross(forward, right)
        c, s = math.cos(roll), math.sin(roll)
        return np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
