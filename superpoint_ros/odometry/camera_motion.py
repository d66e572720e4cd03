# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Motion of a camera from frame to frame, and where it leads while no pose is found."""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.geometry.poses import make_pose

LONGEST_COAST = 2.0
"""Seconds without a pose for which a camera is expected to move on; with 1 s, positions were less
accurate."""


class CameraMotion:
    """
    Motion of a camera between its last two poses; without arguments, an unknown one.

    `motion` (4, 4) multiplied by the first pose, world-to-camera (4, 4), gives the second one,
    `seconds` later.
    """

    def __init__(self, motion: np.ndarray | None = None, seconds: float = 0.0):
        self._motion = np.eye(4) if motion is None else motion
        self._seconds = seconds
        self._coasted = 0.0  # seconds without a pose

    def next_pose(self, pose: np.ndarray) -> np.ndarray:
        """Return the pose that is expected in the frame after that of `pose`."""
        return self._motion @ pose

    def coast(
        self, pose: np.ndarray, seconds: float, rotation: np.ndarray | None = None
    ) -> np.ndarray:
        """
        Return the expected pose of a frame in which none is found, `seconds` after `pose`.

        The camera moves on as before until `LONGEST_COAST` seconds have passed in such frames, but
        turns by `rotation` (3, 3) if it is known.
        """
        moving = max(min(seconds, LONGEST_COAST - self._coasted), 0.0)
        self._coasted += seconds
        share = moving / self._seconds if self._seconds > 0 else 0.0
        if rotation is None:
            rotation = cv2.Rodrigues(cv2.Rodrigues(self._motion[:3, :3])[0] * share)[0]
        return make_pose(rotation, self._motion[:3, 3] * share) @ pose
