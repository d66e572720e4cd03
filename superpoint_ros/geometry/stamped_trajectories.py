# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Estimated and true positions that arrive separately and belong together by their stamps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from superpoint_ros.geometry.trajectory_alignment import align

MIN_POSES = 10
"""Smallest number of poses whose alignment and error are reported."""

Stamp = tuple[int, int]


@dataclass
class StampedTrajectories:
    """Estimated and true positions (3,) in metres, by stamp (seconds, nanoseconds)."""

    estimated: dict[Stamp, np.ndarray] = field(default_factory=dict)
    truth: dict[Stamp, np.ndarray] = field(default_factory=dict)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return estimated and true positions (N, 3) of equal stamps."""
        both = [stamp for stamp in self.estimated if stamp in self.truth]
        estimated, truth = (
            np.array([positions[stamp] for stamp in both]).reshape(-1, 3)
            for positions in (self.estimated, self.truth)
        )
        return estimated, truth

    def aligned(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated positions (N, 3) in the frame of the true ones, and these."""
        truth = np.array(list(self.truth.values())).reshape(-1, 3)
        estimated = np.array(list(self.estimated.values())).reshape(-1, 3)
        return self.in_frame_of_truth(estimated), truth

    def in_frame_of_truth(self, positions: np.ndarray) -> np.ndarray:
        """
        Transform positions (N, 3) from the frame of the estimates to that of the ground truth.

        Without true positions, they are returned unchanged; if the frame is unknown, none is.
        """
        if not self.truth:
            return positions
        pairs = self.pairs()
        try:
            return align(*pairs).apply(positions) if len(pairs[0]) >= MIN_POSES else positions[:0]
        except ValueError:  # the camera has not moved
            return positions[:0]
