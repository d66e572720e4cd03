# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Points that keep their names: features matched from frame to frame into tracks."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from superpoint_ros.features import Features
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.odometry.odometry_settings import TrackerSettings

LONGEST_GAP = 2.0
"""Seconds between two frames after which tracks begin anew: the clock jumped, or a pause ended."""

_FEWEST_FOR_GEOMETRY = 16  # twice what a fundamental matrix needs: fewer fit anything
_CONFIDENCE, _ITERATIONS = 0.999, 500
_LOST_REACH = 0.3  # of the largest motion: lost tracks are moved along with those that are seen


@dataclass(frozen=True, eq=False)
class Tracks:
    """
    Hold the points that are tracked in one frame, oldest track first.

    `ids` int64 (N,) never name two points, not even after a reset, and ascend. `keypoints` float32
    (N, 2) are in pixels, the centre of the top-left one being (0, 0). `previous` (N, 2) is where
    the point was seen before, `intervals` float64 (N,) how many seconds ago; both are not-a-number
    for new tracks. `velocities` float32 (N, 2) are in pixels a second, 0 for new tracks. `ages`
    int64 (N,) count the frames in which the point was seen, this one among them: 1 is new.
    `indices` int64 (N,) say which of the frame's features each is. `restarted` tells that nothing
    before this frame belongs to it: the first frame, or one after a reset.
    """

    ids: np.ndarray
    keypoints: np.ndarray
    previous: np.ndarray
    intervals: np.ndarray
    velocities: np.ndarray
    ages: np.ndarray
    indices: np.ndarray
    restarted: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, chosen: np.ndarray) -> Tracks:
        """Return those that are chosen, by bool (N,) or by indices."""
        arrays = [getattr(self, field.name)[chosen] for field in fields(self)[:-1]]
        return Tracks(*arrays, self.restarted)


@dataclass(eq=False)
class _Memory:
    """What is known of each track, in the order of their ids: arrays of one length."""

    ids: np.ndarray
    keypoints: np.ndarray
    expected: np.ndarray
    """Where the point should be in the last frame: at its keypoint, if it was seen there."""
    velocities: np.ndarray
    descriptors: np.ndarray
    ages: np.ndarray
    stamps: np.ndarray
    unseen: np.ndarray
    """Frames since the track was seen last: 0 where it was in the last one."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, descriptor_size: int) -> _Memory:
        points, numbers = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        descriptors = np.zeros((0, descriptor_size), np.float32)
        return cls(numbers, points, points, points, descriptors, numbers, np.zeros(0), numbers)

    def select(self, chosen: np.ndarray) -> _Memory:
        return _Memory(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def join(self, other: _Memory) -> _Memory:
        names = [field.name for field in fields(self)]
        return _Memory(
            *(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        )


class Tracker:
    """
    Give features the same id in every frame of one camera.

    `settings` may be replaced between two frames. A frame that the detector dropped does no harm:
    what counts is the time between the stamps.
    """

    def __init__(self, settings: TrackerSettings | None = None):
        self.settings = settings or TrackerSettings()
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; later ones have other ids."""
        self._memory: _Memory | None = None
        self._stamp: float | None = None
        self._image_size: tuple[int, int] | None = None

    def update(
        self, features: Features, stamp: float, image_size: tuple[int, int] | None = None
    ) -> Tracks:
        """
        Return the tracks of the next frame.

        `stamp` is in seconds. Where it goes back or `LONGEST_GAP` ahead, or where the image's size
        (width, height), if it is told, or the descriptors' length is another than before, all
        tracks begin anew.
        """
        if self._must_restart(features, stamp, image_size):
            self.reset()
        restarted = self._memory is None
        if restarted:
            self._memory = _Memory.empty(features.descriptors.shape[1])
        self._image_size = image_size or self._image_size
        elapsed = stamp - self._stamp if self._stamp is not None else 0.0
        self._stamp = stamp
        matches = self._match(features, elapsed)
        return self._advance(features, stamp, matches, restarted)

    def _must_restart(self, features: Features, stamp: float, image_size) -> bool:
        """Return whether the frame does not continue what came before."""
        if self._memory is None or self._stamp is None:
            return False
        return (
            not 0 <= stamp - self._stamp <= LONGEST_GAP
            or self._memory.descriptors.shape[1] != features.descriptors.shape[1]
            or (image_size or self._image_size) != (self._image_size or image_size)
        )

    def _match(self, features: Features, elapsed: float) -> np.ndarray:
        """
        Return int64 (K, 2): which track, by its place in the memory, is which feature.

        Tracks that were seen in one frame are matched together, those of the newest frame first:
        a point that was lost and has begun anew is not confused with its former self, and the
        points of two frames have one geometry.
        """
        memory, found = self._memory, []
        free = np.ones(len(features), dtype=bool)
        moved = False
        for unseen in np.unique(memory.unseen):
            rows, columns = np.flatnonzero(memory.unseen == unseen), np.flatnonzero(free)
            if not moved:
                memory.expected[rows] += (memory.velocities[rows] * elapsed).astype(np.float32)
            pairs = self._match_group(
                memory.select(rows),
                features.keypoints[columns],
                features.descriptors[columns],
                self.settings.max_motion * (_LOST_REACH if moved else min(unseen + 1, 3)),
            )
            pairs = np.stack([rows[pairs[:, 0]], columns[pairs[:, 1]]], axis=1)
            pairs = self._check_geometry(pairs, features.keypoints)
            free[pairs[:, 1]] = False
            found.append(pairs)
            if unseen == 0 and len(pairs) >= _FEWEST_FOR_GEOMETRY:
                self._move_along(pairs, features.keypoints)
                moved = True
        if not found:
            return np.zeros((0, 2), np.int64)
        # What was found again has to go first, where there are too many.
        return np.concatenate(found)[: self.settings.max_tracks or None]

    def _match_group(self, group: _Memory, keypoints, descriptors, reach: float) -> np.ndarray:
        """Return which of the group's tracks is which of the features: mutual neighbours."""
        settings, allowed = self.settings, None
        if settings.max_motion:
            x, y = (
                np.subtract.outer(a, b) for a, b in zip(group.expected.T, keypoints.T, strict=True)
            )
            allowed = x**2 + y**2 <= reach**2
        ratio = settings.ratio if settings.ratio < 1 else None
        return match_mutual(
            group.descriptors, descriptors, ratio, settings.min_similarity, allowed
        )

    def _move_along(self, pairs: np.ndarray, keypoints: np.ndarray) -> None:
        """Expect the tracks that were not found to have moved as those that were."""
        memory = self._memory
        before = np.c_[memory.keypoints[pairs[:, 0]], np.ones(len(pairs))]
        affine = np.linalg.lstsq(before, keypoints[pairs[:, 1]], rcond=None)[0]
        lost = np.ones(len(memory), dtype=bool)
        lost[pairs[:, 0]] = False
        # Those that are lost only now were moved by their velocities already.
        start = np.where(memory.unseen[:, None] == 0, memory.keypoints, memory.expected)[lost]
        memory.expected[lost] = np.c_[start, np.ones(len(start))] @ affine

    def _check_geometry(self, pairs: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """Return the matches that fit what most of them have in common."""
        settings, threshold = self.settings, self.settings.geometric_threshold
        if settings.geometric_check == 'none' or len(pairs) < _FEWEST_FOR_GEOMETRY:
            return pairs
        before, now = self._memory.keypoints[pairs[:, 0]], keypoints[pairs[:, 1]]
        cv2.setRNGSeed(0)  # results repeat
        try:
            if settings.geometric_check == 'homography':
                _, inliers = cv2.findHomography(before, now, cv2.USAC_FAST, threshold)
            else:
                _, inliers = cv2.findFundamentalMat(
                    before, now, cv2.USAC_FAST, threshold, _CONFIDENCE, _ITERATIONS
                )
        except cv2.error:  # OpenCV 4.14 fails an assertion where its refined model is none
            return pairs
        if inliers is None:  # all in one place: nothing to tell them apart by
            return pairs
        return pairs[inliers.ravel().astype(bool)]

    def _advance(
        self, features: Features, stamp: float, matches: np.ndarray, restarted: bool
    ) -> Tracks:
        """Return the frame's tracks, old and new, and remember them."""
        old = self._memory
        matches = matches[np.argsort(matches[:, 0])]
        rows, columns = matches.T
        seen = old.select(rows)
        keypoints = features.keypoints[columns]
        intervals = stamp - seen.stamps
        with np.errstate(divide='ignore', invalid='ignore'):
            velocities = (keypoints - seen.keypoints) / intervals[:, None]
        velocities[~(intervals > 0)] = 0  # frames without stamps have no velocities
        new = self._choose_new(features, columns)
        count, size = len(new), len(matches) + len(new)
        ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        nowhere = np.full((count, 2), np.nan, np.float32)
        points = np.zeros((count, 2), np.float32)
        indices = np.concatenate([columns, new])
        tracks = Tracks(
            np.concatenate([seen.ids, ids]),
            features.keypoints[indices],
            np.concatenate([seen.keypoints, nowhere]),
            np.concatenate([intervals, nowhere[:, 0]]),
            np.concatenate([velocities, points]).astype(np.float32),
            np.concatenate([seen.ages + 1, np.ones(count, np.int64)]),
            indices,
            restarted,
        )
        lost = np.ones(len(old), dtype=bool)
        lost[rows] = False
        lost &= old.unseen < self.settings.max_lost_frames
        old.unseen = old.unseen + 1
        current = _Memory(
            tracks.ids,
            tracks.keypoints,
            tracks.keypoints,
            tracks.velocities,
            features.descriptors[indices],
            tracks.ages,
            np.full(size, stamp),
            np.zeros(size, np.int64),
        )
        memory = old.select(lost).join(current)
        self._memory = memory.select(np.argsort(memory.ids))
        return tracks

    def _choose_new(self, features: Features, taken: np.ndarray) -> np.ndarray:
        """Return the indices of the features at which tracks begin."""
        settings = self.settings
        free = np.ones(len(features), dtype=bool)
        free[taken] = False
        candidates = np.flatnonzero(free)  # best first, as the features are
        room = settings.max_tracks - len(taken) if settings.max_tracks else len(candidates)
        if not settings.min_spacing:
            return candidates[: max(room, 0)]
        chosen: list[int] = []
        for candidate in candidates:
            if len(chosen) >= room:
                break
            others = features.keypoints[np.concatenate([taken, chosen]).astype(np.int64)]
            gaps = np.linalg.norm(others - features.keypoints[candidate], axis=1)
            if not (gaps < settings.min_spacing).any():
                chosen.append(candidate)
        return np.array(chosen, np.int64)
