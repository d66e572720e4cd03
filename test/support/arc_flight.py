# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Poses of a camera that flies along an arc."""

import cv2
import numpy as np

COUNT = 24
"""Number of frames."""


def arc_pose(index):
    """Return the pose (4, 4), camera to world, of a frame."""
    result = np.eye(4)
    result[:3, :3], _ = cv2.Rodrigues(np.array([0, np.radians(index), 0]))
    result[:3, 3] = [0.1 * index, 0.02 * np.sin(index / 5), 0.03 * index]
    return result
