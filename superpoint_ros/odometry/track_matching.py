# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matching of tracks with the features of a frame, near their expected positions."""

from __future__ import annotations

import numpy as np

from superpoint_ros.features import Features
from superpoint_ros.geometry.guided_matching import Described, Limits, match_groups
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.odometry.geometric_check import FEWEST_MATCHES, fit_geometry
from superpoint_ros.odometry.motion_prediction import move_with
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.track_state import TrackState

FEW_FOUND = 0.1
"""Share of the tracks of a frame; if fewer are found, the motion was sudden or the view is new."""

_SUDDEN = 0.5
"""Number of found tracks, relative to the frame before, below which the motion was sudden. In a
first frame, all points count as found."""

_FEW_BACK = 0.05  # share of the tracks before an interruption; with fewer, it goes on
_LOST_REACH = 0.3  # share of max_motion for lost tracks, whose positions are predicted
_LONGEST_REACH = 3  # times max_motion, for tracks that nothing but their velocity predicts


def match_tracks(
    memory: TrackState, features: Features, elapsed: float, settings: TrackerSettings
) -> np.ndarray:
    """
    Return matches, int64 (K, 2): index of the track and index of the feature.

    Tracks that were last seen in the same frame are matched together, the newest frame first. So a
    lost point that has restarted as a new track keeps its new id, and each group can be checked
    with the geometry of two frames. The tracks before an interruption come first of all. `elapsed`
    are the seconds since the last frame; expected positions of the tracks are moved to this one.
    """
    return _TrackMatching(memory, features, elapsed, settings).match()


class _TrackMatching:
    """Matching of one frame, see `match_tracks`."""

    def __init__(
        self, memory: TrackState, features: Features, elapsed: float, settings: TrackerSettings
    ):
        self._memory, self._elapsed, self._settings = memory, elapsed, settings
        self._features = Described(features.keypoints, features.descriptors)
        self._free = np.ones(len(features), dtype=bool)  # features without a match

    def match(self) -> np.ndarray:
        """Return the matches, see `match_tracks`."""
        memory, settings = self._memory, self._settings
        returned, followed = self._match_interrupted(), self._match_last()
        found = [returned, followed]
        has_moved = max(map(len, found)) >= FEWEST_MATCHES
        if len(returned):
            self._predict_lost(returned, memory.interrupted)
        elif has_moved:
            is_last = (memory.unseen == 0)[:, None]
            self._predict_lost(followed, np.where(is_last, memory.keypoints, np.nan))
        is_found = np.zeros(len(memory), bool)
        is_found[returned[:, 0]] = True
        unseen, last = 1, min(memory.unseen.max(initial=0), settings.max_lost_frames)
        while unseen <= last:
            groups = np.where(memory.unseen <= last, memory.unseen, -1)
            groups[(groups < unseen) | is_found] = -1
            if not has_moved:  # one group at a time
                groups[groups > unseen] = -1
                self._predict_by_velocity(groups == unseen)
            reach = _LOST_REACH if has_moved else min(unseen + 1, _LONGEST_REACH)
            pairs, checked = self._match_groups(groups, reach * settings.max_motion)
            if checked is not None and not has_moved:
                self._expect_where_found(pairs)
            found.append(pairs)
            unseen = 1 + (checked if checked is not None else groups.max(initial=unseen))
        # If there are too many, tracks that were lost are dropped first.
        return np.concatenate(found)[: settings.max_tracks or None]

    def _match_interrupted(self) -> np.ndarray:
        """
        Return the matches of the tracks before an interruption, if there are enough of them.

        They are searched in the whole image, not near where they were seen first: of objects that
        look alike, that may find the wrong one.
        """
        memory, settings, features = self._memory, self._settings, self._features
        rows = np.flatnonzero(memory.is_interrupted)
        ratio = settings.ratio if settings.ratio < 1 else None
        limits = (ratio, settings.min_similarity)
        pairs = match_mutual(memory.descriptors[rows], features.descriptors, *limits)
        fewest = max(_FEW_BACK * len(rows), FEWEST_MATCHES)
        if len(pairs) >= fewest:
            pairs[:, 0] = rows[pairs[:, 0]]
            before, now = memory.interrupted[pairs[:, 0]], features.points[pairs[:, 1]]
            pairs = pairs[fit_geometry(before, now, settings)]
        if len(pairs) < fewest:
            return pairs[:0]
        self._free[pairs[:, 1]] = False
        self._expect_where_found(pairs)
        return pairs

    def _match_last(self) -> np.ndarray:
        """
        Return the matches of the tracks of the last frame, see `_match_groups`.

        If few of them are found within `max_motion` of where their velocities lead, those within
        `max_jump` of where they were seen count, if they are at least twice as many and enough for
        a geometric model. Less than a tenth are few, and less than half as many as in the frame
        before.
        """
        memory, settings, last = self._memory, self._settings, self._memory.unseen == 0
        self._predict_by_velocity(last)
        groups, free = np.where(last, 0, -1), self._free.copy()
        pairs, _ = self._match_groups(groups, settings.max_motion)
        if not settings.max_motion or not settings.max_jump:
            return pairs
        count, found_before = last.sum(), (memory.ages[last] > 1).sum()
        # In a first frame, all tracks are new.
        if len(pairs) >= max(FEW_FOUND * count, _SUDDEN * (found_before or count)):
            return pairs
        near, self._free = self._free, free
        expected = memory.expected[last]
        memory.expected[last] = memory.keypoints[last]
        far, _ = self._match_groups(groups, settings.max_jump)
        if len(far) >= max(2 * len(pairs), FEWEST_MATCHES):
            return far
        memory.expected[last], self._free = expected, near
        return pairs

    def _expect_where_found(self, pairs: np.ndarray) -> None:
        """
        Replace the expected positions of matched tracks, as these do not tell which are wrong.

        If nothing but velocities before a gap predicted them, their distances are those that the
        camera has moved otherwise.
        """
        self._memory.expected[pairs[:, 0]] = self._features.points[pairs[:, 1]]

    def _match_groups(self, groups: np.ndarray, reach: float) -> tuple[np.ndarray, int | None]:
        """
        Return matches and the group that was checked with the geometric model, None if none was.

        See `match_groups`: the last group is the first one with enough matches for a model, and
        those which do not fit it are left out. `reach` is the largest distance of a match from
        the expected position of its track; 0: unlimited.
        """
        settings, memory, features = self._settings, self._memory, self._features
        tracks = Described(memory.expected, memory.descriptors)
        limits = Limits(reach or np.inf, settings.ratio, settings.min_similarity)
        pairs = match_groups(tracks, features, groups, self._free, limits, FEWEST_MATCHES)
        numbers = groups[pairs[:, 0]]
        newest = numbers == numbers[-1:]
        if newest.sum() < FEWEST_MATCHES:
            return pairs, None
        candidates = pairs[newest]
        before, now = memory.keypoints[candidates[:, 0]], features.points[candidates[:, 1]]
        fitting = candidates[fit_geometry(before, now, settings)]
        self._free[candidates[:, 1]], self._free[fitting[:, 1]] = True, False
        return np.concatenate([pairs[~newest], fitting]), int(numbers[-1])

    def _predict_by_velocity(self, chosen: np.ndarray) -> None:
        """Move the expected positions of the chosen tracks, bool (N,), by their velocities."""
        memory = self._memory
        memory.expected[chosen] += (memory.velocities[chosen] * self._elapsed).astype(np.float32)

    def _predict_lost(self, pairs: np.ndarray, positions: np.ndarray) -> None:
        """
        Predict the positions of lost tracks by the affine motion of the matched ones.

        `positions` (N, 2) are those of all tracks in the frame from which the matched ones moved,
        NaN for tracks that were not seen there: their expected positions count.
        """
        memory = self._memory
        lost = np.ones(len(memory), dtype=bool)
        lost[pairs[:, 0]] = False
        lost = np.flatnonzero(lost)
        # The expected positions of tracks of that frame were already moved by their velocities.
        start = np.where(np.isfinite(positions[lost]), positions[lost], memory.expected[lost])
        before, after = positions[pairs[:, 0]], self._features.points[pairs[:, 1]]
        memory.expected[lost] = move_with(start, before, after)
