# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Two trajectories laid over each other, where one of them has a scale and a place of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_FEWEST = 3


class Alignment(NamedTuple):
    """Take points of one trajectory to another: scale, rotation (3, 3) and translation (3)."""

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Return the points (N, 3) in the other's frame."""
        return self.scale * points @ self.rotation.T + self.translation


def align(estimated: np.ndarray, truth: np.ndarray) -> Alignment:
    """
    Return the similarity that takes estimated positions (N, 3) closest to the true ones (N, 3).

    It has the least sum of squared distances (Umeyama, PAMI 1991). Raises ValueError where there
    are fewer than three positions, or as many in one place.
    """
    estimated, truth = np.asarray(estimated, float), np.asarray(truth, float)
    if estimated.shape != truth.shape or len(estimated) < _FEWEST:
        raise ValueError(
            f'an alignment needs two lists of at least {_FEWEST} positions, as long as each '
            f'other; got {estimated.shape} and {truth.shape}'
        )
    mean_a, mean_b = estimated.mean(axis=0), truth.mean(axis=0)
    a, b = estimated - mean_a, truth - mean_b
    spread = (a**2).sum()
    if not spread > 0:
        raise ValueError('the estimated positions are all in one place: nothing to align')
    left, values, right = np.linalg.svd(b.T @ a)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    scale = float((values * signs).sum() / spread)
    return Alignment(scale, rotation, mean_b - scale * rotation @ mean_a)


def position_errors(estimated: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the distances (N) between true positions and the aligned estimated ones."""
    return np.linalg.norm(align(estimated, truth).apply(np.asarray(estimated)) - truth, axis=1)
