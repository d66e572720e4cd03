# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Alignment of an estimated trajectory, of unknown scale and frame, with the ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from superpoint_ros.geometry.poses import fit_rotation

MIN_POSES = 10
"""Smallest number of poses whose alignment and error are reported."""

Stamp = tuple[int, int]

_MIN_POSITIONS = 3


class TrajectoryAlignment(NamedTuple):
    """Similarity between trajectories: scale, rotation (3, 3) and translation (3,)."""

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Return points (N, 3) in the frame of the other trajectory."""
        return self.scale * points @ self.rotation.T + self.translation


def align(estimated: np.ndarray, ground_truth: np.ndarray) -> TrajectoryAlignment:
    """
    Return the similarity that takes estimated positions (N, 3) closest to the true ones (N, 3).

    It minimises the sum of squared distances (Umeyama, PAMI 1991). Raises ValueError if there are
    fewer than three positions or the estimated ones are all equal.
    """
    estimated, ground_truth = np.asarray(estimated, float), np.asarray(ground_truth, float)
    if estimated.shape != ground_truth.shape or len(estimated) < _MIN_POSITIONS:
        raise ValueError(
            f'an alignment needs two lists of the same length with at least {_MIN_POSITIONS} '
            f'positions; got {estimated.shape} and {ground_truth.shape}'
        )
    # Not by the distances from the mean, which has a rounding error.
    if not np.ptp(estimated, axis=0).any():
        raise ValueError('the estimated positions are all equal: nothing can be aligned')
    mean_a, mean_b = estimated.mean(axis=0), ground_truth.mean(axis=0)
    a, b = estimated - mean_a, ground_truth - mean_b
    rotation = fit_rotation(a, b)
    scale = float((a @ rotation.T * b).sum() / (a**2).sum())
    return TrajectoryAlignment(scale, rotation, mean_b - scale * rotation @ mean_a)


def position_errors(estimated: np.ndarray, ground_truth: np.ndarray) -> np.ndarray:
    """Return the distances (N) between true positions and the aligned estimated ones."""
    aligned = align(estimated, ground_truth).apply(np.asarray(estimated))
    return np.linalg.norm(aligned - ground_truth, axis=1)


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
