# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Positions of tracks from image patches: refined matches, and points without a match."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.patch_alignment import NO_PATCH, PatchPool, smoothed

KEYPOINT_VARIANCE = 0.25
"""
Variance, in squared pixels, of each coordinate of a keypoint.

In the simulated room, keypoints that patches do not fit are about half a pixel off.
"""

_RENEWED_STRETCH = 1.4  # a patch is renewed when its warp stretches or shrinks by more

# Of tracks that are found again far from where they are expected, many are at a wrong place: in
# rendered scenes 3 to 35 % at 2 px, 53 to 90 % above 6 px. The standard deviation is the square of
# the distance by this factor: 0.2 px at 2 px, 1.4 px at 6 px (fit: see `patch_covariances`).
_INNOVATION_FACTOR = 0.2


class Patches(NamedTuple):
    """Patches of N tracks: slots in the pool, int64 (N,), and warps, float32 (N, 2, 2)."""

    slots: np.ndarray
    warps: np.ndarray

    @classmethod
    def none(cls, count: int) -> Patches:
        """Return `count` times no patch."""
        return cls(np.full(count, NO_PATCH, np.int64), _multiples_of_identity(1.0, count))


class TrackRefiner:
    """
    Aligns the patches of tracks with the images of one camera.

    A patch is taken where a point is first seen. A match where it does not fit is wrong, and is
    rejected: tracks that change to another point with each wrong match look like motion. A patch
    is renewed, at the position found, when the view has changed too much; so errors of position
    do not add up from frame to frame. Covariances are relative to the position where the present
    patch was taken: the error of that position is constant, part of the point that is followed.
    """

    def __init__(self):
        self._pool = PatchPool()
        self._image: np.ndarray | None = None

    def set_image(self, image: np.ndarray | None) -> None:
        """Use an image, uint8 (H, W), or none, in the calls that follow."""
        self._image = None if image is None else smoothed(image, self._image)

    @property
    def has_image(self) -> bool:
        """Return whether there is an image to align patches with."""
        return self._image is not None

    def start(self, points: np.ndarray) -> Patches:
        """Return new patches around points (N, 2)."""
        patches = Patches.none(len(points))
        if self._image is not None and len(points):
            patches.slots[:] = self._pool.add(self._image, points)
        return patches

    def remove(self, slots: np.ndarray) -> None:
        """Remove the patches in these slots."""
        self._pool.remove(slots)

    def refine(
        self,
        patches: Patches,
        keypoints: np.ndarray,
        innovations: np.ndarray,
        settings: TrackerSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Patches]:
        """
        Refine the positions of matched tracks, which start at their keypoints (N, 2).

        `innovations` (N,) are the distances in pixels of matches from the predicted positions of
        tracks that were lost, 0 for other tracks. They enlarge all covariances until the patch is
        renewed: if the match is wrong, later ones are, too.

        Returns which matches are right, bool (N,), and positions, covariances and patches of all.
        A match is wrong if the patch does not fit, moves farther than `max_refinement`, leaves the
        image, or has a standard deviation above `max_sigma`. Tracks without a patch keep their
        keypoints, and get one.
        """
        covariances = keypoint_covariances(len(keypoints))
        if self._image is None or not settings.max_refinement:
            return np.ones(len(keypoints), bool), keypoints, covariances, patches
        found = self._pool.align(self._image, patches.slots, keypoints, patches.warps)
        moved = np.linalg.norm(found.points - keypoints, axis=1)
        variances = (_INNOVATION_FACTOR * innovations) ** 4
        refined = found.covariances + variances[:, None, None] * np.eye(2, dtype=np.float32)
        good = (found.correlations >= settings.min_correlation) & (
            moved <= settings.max_refinement
        )
        good &= _are_precise(refined, settings)
        points = np.where(good[:, None], found.points, keypoints)
        self._pool.add_variances(patches.slots[good], variances[good])
        covariances[good] = refined[good]
        has_none = patches.slots == NO_PATCH
        slots, warps = patches.slots.copy(), found.warps
        renewed = has_none | (good & _is_stretched(warps))
        self._pool.remove(slots[renewed])
        fresh = self.start(points[renewed])
        slots[renewed], warps[renewed] = fresh
        return good | has_none, points, covariances, Patches(slots, warps)

    def bridge(
        self, patches: Patches, expected: np.ndarray, settings: TrackerSettings
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Patches]:
        """
        Search tracks without a match near expected positions (N, 2).

        Returns which are found, bool (N,), and positions, covariances and patches of all.
        """
        found = self._pool.align(self._image, patches.slots, expected, patches.warps)
        moved = np.linalg.norm(found.points - expected, axis=1)
        good = (found.correlations >= settings.min_bridge_correlation) & (
            moved <= settings.max_bridge_motion
        )
        good &= _are_precise(found.covariances, settings)
        return good, found.points, found.covariances, Patches(patches.slots, found.warps)


def keypoint_covariances(count: int) -> np.ndarray:
    """Return covariances, float32 (N, 2, 2), of keypoints that were not refined."""
    return _multiples_of_identity(KEYPOINT_VARIANCE, count)


def position_sigmas(covariances: np.ndarray) -> np.ndarray:
    """Return standard deviations (N,), root mean squares of both axes, from (N, 2, 2)."""
    return np.sqrt(np.trace(covariances, axis1=1, axis2=2) / 2)


def _are_precise(covariances: np.ndarray, settings: TrackerSettings) -> np.ndarray:
    """Return bool (N,): whether positions with these covariances (N, 2, 2) can be used."""
    return position_sigmas(covariances) <= (settings.max_sigma or np.inf)


def _multiples_of_identity(factor: float, count: int) -> np.ndarray:
    """Return matrices, float32 (N, 2, 2)."""
    result = np.zeros((count, 2, 2), np.float32)
    result[:, 0, 0] = result[:, 1, 1] = factor
    return result


def _is_stretched(warps: np.ndarray) -> np.ndarray:
    """Return bool (N,): whether warps (N, 2, 2) stretch or shrink patches too much."""
    squares = (warps**2).sum(axis=(1, 2)) / 2
    area = warps[:, 0, 0] * warps[:, 1, 1] - warps[:, 0, 1] * warps[:, 1, 0]
    spread = np.sqrt(np.maximum(squares**2 - area**2, 0))
    limit = _RENEWED_STRETCH**2
    return (squares + spread > limit) | (squares - spread < 1 / limit)
