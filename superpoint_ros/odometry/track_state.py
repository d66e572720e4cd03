# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the tracker stores of each track, and what it finds in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from superpoint_ros.odometry.track_refinement import Patches

_Rows = TypeVar('_Rows', bound='_Arrays')


class _Arrays:
    """Base of dataclasses whose fields are arrays of equal length."""

    def select(self: _Rows, chosen: np.ndarray) -> _Rows:
        """Return the chosen rows, by bool (N,) or by indices."""
        return type(self)(*(array[chosen] for array in vars(self).values()))

    def join(self: _Rows, other: _Rows) -> _Rows:
        """Return these rows, then those of another."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return type(self)(*(np.concatenate(pair) for pair in pairs))


@dataclass(eq=False)
class TrackState(_Arrays):
    """
    State of N tracks, in the order of their ids.

    Attributes:
        ids: int64 (N,).
        keypoints: float32 (N, 2), where the track was last seen, in pixels.
        expected: float32 (N, 2), expected position in the last frame; the keypoint itself if the
            track was seen there.
        velocities: float32 (N, 2), pixels per second; for new tracks, that of the others there.
        descriptors: float32 (N, D), of the last feature.
        ages: int64 (N,), number of frames in which the point was seen.
        stamps: float64 (N,), of the frame in which it was last seen, in seconds.
        unseen: int64 (N,), number of frames since then: 0 if that was the last frame.
        bridged: int64 (N,), number of frames, up to the last one, in which the point was found by
            its image patch alone.
        interrupted: float32 (N, 2), expected position in the last frame before an interruption
            that goes on; NaN for tracks that are new or had been lost for long.
        slots: int64 (N,), see `Patches`.
        warps: float32 (N, 2, 2), see `Patches`.

    """

    ids: np.ndarray
    keypoints: np.ndarray
    expected: np.ndarray
    velocities: np.ndarray
    descriptors: np.ndarray
    ages: np.ndarray
    stamps: np.ndarray
    unseen: np.ndarray
    bridged: np.ndarray
    interrupted: np.ndarray
    slots: np.ndarray
    warps: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_interrupted(self) -> np.ndarray:
        """Return bool (N,): which tracks are searched after an interruption."""
        return np.isfinite(self.interrupted[:, 0])

    def patches_of(self, rows: np.ndarray) -> Patches:
        """Return the patches of some tracks."""
        return Patches(self.slots[rows], self.warps[rows])

    @classmethod
    def empty(cls, descriptor_size: int) -> TrackState:
        """Return the state of no tracks, with descriptors of this length."""
        points, ids = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        descriptors = np.zeros((0, descriptor_size), np.float32)
        return cls.new(ids, points, descriptors, 0.0, Patches.none(0))

    @classmethod
    def new(
        cls,
        ids: np.ndarray,
        points: np.ndarray,
        descriptors: np.ndarray,
        stamp: float,
        patches: Patches,
    ) -> TrackState:
        """Return the state of tracks that start in a frame with this stamp."""
        count = len(ids)
        zeros = np.zeros(count, np.int64)
        return cls(
            *(ids, points, points, np.zeros_like(points), descriptors),
            *(np.ones_like(ids), np.full(count, stamp), zeros, zeros.copy()),
            *(np.full((count, 2), np.nan, np.float32), *patches),
        )


@dataclass(eq=False)
class Sightings(_Arrays):
    """
    N tracks that were found in a frame.

    Attributes:
        rows: int64 (N,), indices into the state.
        indices: int64 (N,), indices of features; -1 for tracks found by their image patch alone.
        keypoints: float32 (N, 2), positions in pixels.
        covariances: float32 (N, 2, 2), of the positions in squared pixels; NaN if unknown.
        slots: int64 (N,), see `Patches`.
        warps: float32 (N, 2, 2), see `Patches`.

    """

    rows: np.ndarray
    indices: np.ndarray
    keypoints: np.ndarray
    covariances: np.ndarray
    slots: np.ndarray
    warps: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)
