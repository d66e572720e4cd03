# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""True poses that were measured at other times than the images were taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.geometry.rotations import pose_matrix, quaternion_of

LONGEST_GAP = 0.15
"""Seconds between two measurements, above which what was in between is not known."""


class Truth:
    """
    Hold poses, camera to world, at times, and give those in between.

    `stamps` (N,) in seconds may stand in any order, `poses` (N, 4, 4) belong to them.
    """

    def __init__(self, stamps: Sequence[float], poses: Sequence[np.ndarray]):
        order = np.argsort(np.asarray(stamps, np.float64), kind='stable')
        self._stamps = np.asarray(stamps, np.float64)[order]
        self._positions = np.array([poses[index][:3, 3] for index in order]).reshape(-1, 3)
        quaternions = [quaternion_of(poses[index]) for index in order]
        self._quaternions = np.array(quaternions).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self._stamps)

    def at(self, stamp: float) -> np.ndarray | None:
        """Return the pose (4, 4) at a time; None where it is too far from those measured."""
        after = int(np.searchsorted(self._stamps, stamp))
        if after < len(self) and self._stamps[after] == stamp:
            return pose_matrix(self._positions[after], self._quaternions[after])
        if not 0 < after < len(self):
            return None
        a, b = self._stamps[after - 1], self._stamps[after]
        if b - a > LONGEST_GAP:
            return None
        share = (stamp - a) / (b - a)
        p, q = self._quaternions[after - 1], self._quaternions[after]
        # Of the two quaternions of a rotation, the one that is nearer. Over so short a time the
        # mean of quaternions is as good as the rotation in between.
        q = q if p @ q >= 0 else -q
        position = (1 - share) * self._positions[after - 1] + share * self._positions[after]
        return pose_matrix(position, (1 - share) * p + share * q)
