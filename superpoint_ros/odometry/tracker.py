# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Tracker: features matched from frame to frame, with an id for each point."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.features import Depths, Features
from superpoint_ros.odometry.geometric_check import FEWEST_MATCHES
from superpoint_ros.odometry.motion_prediction import find_nearest, move_with, predict_motion
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.patch_alignment import NO_PATCH
from superpoint_ros.odometry.track_matching import FEW_FOUND, match_tracks
from superpoint_ros.odometry.track_refinement import keypoint_covariances, TrackRefiner
from superpoint_ros.odometry.track_state import Sightings, TrackState

MAX_PAUSE = 2.0
"""Seconds between two frames after which all tracks restart, if interruptions are not longer."""

_SAME_PLACE = 16.0  # pixels; a lost track this near one of the last frame may be the same point
_SAME_POINT = 2.0  # pixels; a keypoint this near a bridged track is the same point


@dataclass(frozen=True, eq=False, repr=False)
class Tracks:
    """
    The points that are tracked in one frame, oldest track first.

    Attributes:
        ids: int64 (N,), ascending; never reused, not even after a reset.
        keypoints: float32 (N, 2), pixels; the centre of the top-left pixel is (0, 0).
        previous: float32 (N, 2), keypoint at the last observation; NaN for new tracks.
        intervals: float64 (N,), seconds since the last observation; NaN for new tracks.
        velocities: float32 (N, 2), pixels per second; 0 for new tracks.
        ages: int64 (N,), number of frames in which the point was seen; 1 for new tracks.
        indices: int64 (N,), index of each track's feature in the frame; -1 for a track that was
            found by its image patch alone.
        restarted: whether tracking restarted with this frame (first frame, or after a reset).
        depths: depth of each track in this frame, None if the features have no depths.
        covariances: float32 (N, 2, 2), of the keypoints in squared pixels; None if the frame has
            no image. For a refined position, it is relative to the position where the patch of the
            track was taken: the first one, or that of its last renewal.

    """

    ids: np.ndarray
    keypoints: np.ndarray
    previous: np.ndarray
    intervals: np.ndarray
    velocities: np.ndarray
    ages: np.ndarray
    indices: np.ndarray
    restarted: bool = False
    depths: Depths | None = None
    covariances: np.ndarray | None = None

    @classmethod
    def new(cls, ids: np.ndarray, keypoints: np.ndarray, **known: object) -> Tracks:
        """Return tracks that are seen for the first time; `known` are other fields by name."""
        count = len(ids)
        first = {
            'previous': np.full((count, 2), np.nan, np.float32),
            'intervals': np.full(count, np.nan),
            'velocities': np.zeros((count, 2), np.float32),
            'ages': np.ones(count, np.int64),
            'indices': np.arange(count),
        }
        keypoints = np.asarray(keypoints, np.float32).reshape(count, 2)
        return cls(np.asarray(ids, np.int64), keypoints, **(first | known))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f'Tracks({counted(len(self), "track")}, {(self.ages > 1).sum()} seen before)'

    def select(self, chosen: np.ndarray) -> Tracks:
        """Return the chosen tracks, by bool (N,) or by indices."""
        arrays = [getattr(self, field.name)[chosen] for field in fields(self)[:-3]]
        depths = None if self.depths is None else self.depths.select(chosen)
        covariances = None if self.covariances is None else self.covariances[chosen]
        return Tracks(*arrays, self.restarted, depths, covariances)


class Tracker:
    """
    Tracker of the features of one camera.

    `settings` may be replaced between two frames. Dropped frames are tolerated: predictions use
    the time between the stamps. `restart_reason` is why all tracks restarted with the last frame;
    empty if they did not, and after `reset`.
    """

    def __init__(self, settings: TrackerSettings | None = None):
        self.settings = settings or TrackerSettings()
        self._next_id = 0
        self.restart_reason = ''
        self.reset()

    @staticmethod
    def warm_up() -> None:
        """Compile the loops, or load them from the cache, so that this delays no frame."""
        rng, tracker, count = np.random.default_rng(0), Tracker(), FEWEST_MATCHES + 4
        image = rng.integers(0, 256, (64, 64), np.uint8)
        points = Features(rng.uniform(12, 52, (count, 2)), np.ones(count), np.eye(count))
        for stamp, features in enumerate((points, points, points.best(count - 2))):
            tracker.update(features, stamp, None, image)

    def reset(self) -> None:
        """Forget all tracks; later tracks get new ids."""
        self._memory: TrackState | None = None
        self._refiner = TrackRefiner()
        self._stamp: float | None = None
        self._image_size: tuple[int, int] | None = None

    def update(
        self,
        features: Features,
        stamp: float,
        image_size: tuple[int, int] | None = None,
        image: np.ndarray | None = None,
    ) -> Tracks:
        """
        Return the tracks of the next frame.

        All tracks restart if the stamp goes back or too far ahead (`MAX_PAUSE`, or the setting
        `max_interruption` if longer), or if the size of the image or of the descriptors changes.
        Raises ValueError for an invalid image.

        Args:
            features: of the frame.
            stamp: of the frame, in seconds.
            image_size: (width, height) of the image, if known; that of `image` by default.
            image: gray levels of the frame, uint8 (H, W). Without it, matches are not refined and
                tracks without a match are not bridged.

        """
        if image is not None:
            if image.ndim != 2 or image.dtype != np.uint8:
                raise ValueError(
                    'the image of a tracker must be uint8 of the shape (H, W); '
                    f'got {image.dtype} of the shape {image.shape}'
                )
            image_size = image_size or (image.shape[1], image.shape[0])
        self.restart_reason = self._why_restart(features, stamp, image_size)
        if self.restart_reason:
            self.reset()
        self._refiner.set_image(image)
        restarted = self._memory is None
        if restarted:
            self._memory = TrackState.empty(features.descriptors.shape[1])
        self._image_size = image_size or self._image_size
        elapsed = stamp - self._stamp if self._stamp is not None else 0.0
        self._stamp = stamp
        expected = self._memory.expected.copy()
        matches = match_tracks(self._memory, features, elapsed, self.settings)
        found = self._locate(features, matches)
        self._mark_interruption(stamp, found, expected)
        return self._advance(features, stamp, found, restarted)

    def _why_restart(
        self, features: Features, stamp: float, image_size: tuple[int, int] | None
    ) -> str:
        """Return why the frame does not continue the previous ones; empty if it does."""
        if self._memory is None or self._stamp is None:
            return ''
        elapsed = stamp - self._stamp
        if elapsed < 0:
            return f'the stamps went back by {-elapsed:.3f} s'
        if elapsed > max(MAX_PAUSE, self._max_interruption):
            return f'the stamps of two frames differ by {elapsed:.3f} s'
        length = features.descriptors.shape[1]
        if length != self._memory.descriptors.shape[1]:
            return f'descriptors have {length} numbers now'
        old = self._image_size
        if image_size and old and image_size != old:
            return 'images have {} x {} px now'.format(*image_size)
        return ''

    @property
    def _max_interruption(self) -> float:
        """Return the longest interruption in seconds; 0 if lost tracks do not come back."""
        return self.settings.max_interruption if self.settings.max_lost_frames else 0.0

    def _locate(self, features: Features, matches: np.ndarray) -> Sightings:
        """Return the tracks that are found in the frame, by a match or by their image patch."""
        memory, settings = self._memory, self.settings
        rows, columns = matches.T
        keypoints = features.keypoints[columns]
        innovations = np.zeros(len(rows), np.float32)
        lost = np.flatnonzero(memory.unseen[rows])
        innovations[lost] = np.linalg.norm(keypoints[lost] - memory.expected[rows[lost]], axis=1)
        right, points, covariances, patches = self._refiner.refine(
            memory.patches_of(rows), keypoints, innovations, settings
        )
        found = Sightings(rows, columns, points, covariances, *patches).select(right)
        if self._refiner.has_image and settings.max_bridged_frames:
            found = found.join(self._bridge(features, found))
        return found.select(np.argsort(found.rows))

    def _bridge(self, features: Features, found: Sightings) -> Sightings:
        """Return tracks of the last frame that have no match but are found by their patch."""
        memory, settings = self._memory, self.settings
        able = (memory.unseen == 0) & (memory.slots != NO_PATCH)
        able &= memory.bridged < settings.max_bridged_frames
        able[found.rows] = False
        rows = np.flatnonzero(able)
        if settings.max_tracks:
            rows = rows[: max(settings.max_tracks - len(found), 0)]
        recent = memory.unseen[found.rows] == 0
        expected = memory.expected[rows]
        if recent.sum() >= FEWEST_MATCHES:
            lost, before = memory.keypoints[rows], memory.keypoints[found.rows[recent]]
            expected = lost + predict_motion(lost, before, found.keypoints[recent] - before)
        good, points, covariances, patches = self._refiner.bridge(
            memory.patches_of(rows), expected, settings
        )
        # Two tracks that meet cannot be told apart: the one with a match remains.
        good &= find_nearest(points, found.keypoints, _SAME_POINT) < 0
        free = np.ones(len(features), dtype=bool)
        free[found.indices] = False
        columns = np.flatnonzero(free)
        nearest = find_nearest(points, features.keypoints[columns], _SAME_POINT)
        indices = np.where(good, np.append(columns, -1)[nearest], -1)
        is_first = np.zeros(len(rows), bool)
        is_first[np.unique(indices, return_index=True)[1]] = True
        indices[~is_first] = -1  # one track for each feature
        bridged = Sightings(rows, indices, points, covariances, *patches)
        return bridged.select(good)

    def _advance(
        self, features: Features, stamp: float, found: Sightings, restarted: bool
    ) -> Tracks:
        """Return the old and new tracks of the frame, and store their states."""
        old, rows = self._memory, found.rows
        before, intervals = old.keypoints[rows], stamp - old.stamps[rows]
        with np.errstate(divide='ignore', invalid='ignore'):
            velocities = (found.keypoints - before) / intervals[:, None]
        velocities[~(intervals > 0)] = 0  # frames without stamps
        new = self._choose_new(features, found)
        count = len(new)
        ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        unknown = np.full((count, 2), np.nan, np.float32)
        points = features.keypoints[new]
        indices = np.concatenate([found.indices, new])
        covariances = None
        if self._refiner.has_image:
            covariances = np.concatenate([found.covariances, keypoint_covariances(count)])
        tracks = Tracks(
            ids=np.concatenate([old.ids[rows], ids]),
            keypoints=np.concatenate([found.keypoints, points]),
            previous=np.concatenate([before, unknown]),
            intervals=np.concatenate([intervals, unknown[:, 0]]),
            velocities=np.concatenate([velocities, np.zeros_like(points)]).astype(np.float32),
            ages=np.concatenate([old.ages[rows] + 1, np.ones(count, np.int64)]),
            indices=indices,
            restarted=restarted,
            depths=features.depths_at(indices),
            covariances=covariances,
        )
        self._update_old(features, stamp, found, tracks.velocities[: len(rows)])
        started = TrackState.new(
            ids, points, features.descriptors[new], stamp, self._refiner.start(points)
        )
        moved = (old.unseen[rows] == 0) & (intervals > 0)
        if moved.sum() >= FEWEST_MATCHES:  # new tracks are expected to move like the others
            origins = move_with(points, found.keypoints[moved], before[moved])
            started.velocities[:] = (points - origins) / intervals[moved][0]
        self._memory = self._memory.join(started)
        return tracks

    def _update_old(
        self, features: Features, stamp: float, found: Sightings, velocities: np.ndarray
    ) -> None:
        """Store what was found, and forget the tracks that have been lost for too long."""
        old = self._memory
        kept = (old.unseen < self.settings.max_lost_frames) | old.is_interrupted
        kept[found.rows] = True
        self._refiner.remove(old.slots[~kept])
        state = self._memory = old.select(kept)
        rows = np.cumsum(kept)[found.rows] - 1
        state.unseen += 1
        state.unseen[rows] = 0
        state.keypoints[rows] = state.expected[rows] = found.keypoints
        state.velocities[rows], state.stamps[rows] = velocities, stamp
        state.slots[rows], state.warps[rows] = found.slots, found.warps
        state.ages[rows] += 1
        state.bridged[rows] += 1
        has_feature = found.indices >= 0
        matched = rows[has_feature]
        state.bridged[matched] = 0
        state.descriptors[matched] = features.descriptors[found.indices[has_feature]]

    def _mark_interruption(self, stamp: float, found: Sightings, expected: np.ndarray) -> None:
        """
        Mark recent tracks if hardly any of the last frame was found in this one.

        They stay marked until enough of them are found again, or the interruption is too long.
        Tracks that were lost some frames before count: an object that covers the view may enter it
        slowly. `expected` (N, 2) are the positions in the last frame.
        """
        state, limit = self._memory, self._max_interruption
        is_found = np.zeros(len(state), bool)
        is_found[found.rows] = True
        marked = state.is_interrupted
        ended = np.zeros(len(state), bool)
        if not marked.any():
            last = state.unseen == 0
            recent = (state.ages > 1) & (state.unseen < self.settings.max_lost_frames) & ~is_found
            # A lost point that has started again: two similar tracks could not be told apart.
            recent[recent] = last[recent] | (
                find_nearest(expected[recent], expected[last], _SAME_PLACE) < 0
            )
            fewest = max(FEW_FOUND * last.sum(), FEWEST_MATCHES)
            if limit and recent.sum() >= 2 * FEWEST_MATCHES and (last & is_found).sum() < fewest:
                state.interrupted[recent] = expected[recent]
        elif (marked & is_found).sum() >= FEWEST_MATCHES:
            state.unseen[marked] = 0  # those that are not found are lost in this frame
            ended = marked
        else:
            elapsed = stamp - state.stamps
            # Frames without stamps: the time is unknown.
            ended = is_found | (elapsed <= 0) | (elapsed > limit)
        state.interrupted[ended] = np.nan

    def _choose_new(self, features: Features, found: Sightings) -> np.ndarray:
        """Return the indices of the features that start new tracks."""
        settings = self.settings
        free = np.ones(len(features), dtype=bool)
        free[found.indices[found.indices >= 0]] = False
        candidates = np.flatnonzero(free)  # highest score first, like the features
        room = settings.max_tracks - len(found) if settings.max_tracks else len(candidates)
        if not settings.min_spacing:
            return candidates[: max(room, 0)]
        points, spacing, chosen = features.keypoints, settings.min_spacing, []
        is_far = find_nearest(points[candidates], found.keypoints, spacing) < 0
        for candidate in candidates[is_far]:
            if len(chosen) >= room:
                break
            gaps = np.linalg.norm(points[chosen] - points[candidate], axis=1)
            if not (gaps < spacing).any():
                chosen.append(candidate)
        return np.array(chosen, np.int64)
