# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of the odometry: tracks over an image, and trajectories seen from above."""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.odometry.local_map import shared_ids
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.visualization import fixed_points, SHIFT, to_bgr, write_text

_OLD = 30  # age in frames from which a track has the colour of old tracks
_NEW_COLOR, _OLD_COLOR = np.array([60, 60, 240.0]), np.array([80, 220, 60.0])
_TRUTH, _ESTIMATE, _DARK = (60, 160, 60), (60, 60, 240), (32, 32, 32)
_ABOVE, _BELOW, _BESIDE = 60, 40, 24  # pixels around a plan: caption and legend, scale bar, sides
_LEGEND = (('ground truth', _TRUTH), ('estimate', _ESTIMATE))


class TrackTails:
    """Positions of each track in the last `length` frames."""

    def __init__(self, length: int = 15):
        self.length = length
        self._ids = np.zeros(0, np.int64)
        self._places = np.zeros((0, 0, 2), np.float32)

    def update(self, tracks: Tracks) -> None:
        """Add the tracks of the next frame; tracks that are not in it lose their tails."""
        places = np.full((len(tracks), self.length + 1, 2), np.nan, np.float32)
        places[:, -1] = tracks.keypoints
        before, now = shared_ids(self._ids, tracks.ids)
        frames = self._places.shape[1]
        kept = min(self.length, frames)
        places[now, self.length - kept : -1] = self._places[before, frames - kept :]
        self._ids, self._places = tracks.ids, places

    def of(self, ids: np.ndarray) -> np.ndarray:
        """
        Return the last positions of tracks with ascending ids (N,), float32 (N, K, 2) in pixels.

        The current ones are last; those of frames before a track began are NaN.
        """
        places = np.full((len(ids), *self._places.shape[1:]), np.nan, np.float32)
        known, wanted = shared_ids(self._ids, ids)
        places[wanted] = self._places[known]
        return places


def draw_tracks(image: np.ndarray, tracks: Tracks, tails: TrackTails) -> np.ndarray:
    """
    Return a BGR copy of the uint8 image with the tracks and their tails.

    New tracks are red; tracks of thirty frames or more are green. Positions that are not finite
    are left out.
    """
    canvas = to_bgr(image)
    order = np.argsort(tracks.ages, kind='stable')  # oldest on top
    order = order[np.isfinite(tracks.keypoints[order]).all(axis=1)]
    shares = np.minimum((tracks.ages[order, None] - 1) / _OLD, 1.0)
    colors = (1 - shares) * _NEW_COLOR + shares * _OLD_COLOR
    places = fixed_points(tracks.keypoints[order])
    lines = tails.of(tracks.ids)[order]
    known = np.isfinite(lines).all(axis=2)
    lines = fixed_points(np.where(known[..., None], lines, 0))
    for color, place, line, has_place in zip(
        colors.tolist(), places.tolist(), lines, known, strict=True
    ):
        cv2.polylines(canvas, [line[has_place]], False, color, 1, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, place, 2 << SHIFT, color, -1, cv2.LINE_AA, SHIFT)
    return canvas


def plane_of(points: np.ndarray) -> np.ndarray:
    """Return the two directions (2, 3) in which points (N, 3) extend the most."""
    centred = points - points.mean(axis=0)
    return np.linalg.svd(centred, full_matrices=False)[2][:2]


def draw_plan(
    estimated: np.ndarray, truth: np.ndarray, size: tuple[int, int], caption: str = ''
) -> np.ndarray:
    """
    Return a BGR picture of `size` (width, height) with two trajectories in one frame.

    `estimated` and `truth` are positions (N, 3) in metres; either may be empty. The view direction
    is the one in which the ground truth, or else the estimate, extends least.
    """
    width, height = size
    canvas = np.full((height, width, 3), 255, np.uint8)
    trajectories = [np.asarray(each, float).reshape(-1, 3) for each in (truth, estimated)]
    shown = next((each for each in trajectories if len(each) >= 3), None)
    if shown is None:
        return _with_text(canvas, caption or 'no trajectory yet')
    plane = plane_of(shown)
    low, high = (shown @ plane.T).min(axis=0), (shown @ plane.T).max(axis=0)
    room = np.array([width - 2 * _BESIDE, height - _ABOVE - _BELOW])
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    offset = [_BESIDE, _ABOVE] + room / 2 - scale * (low + high) / 2 * [1, -1]
    _draw_scale_bar(canvas, scale)
    for points, color, thickness in zip(trajectories, (_TRUTH, _ESTIMATE), (3, 1), strict=True):
        if len(points):
            places = points @ plane.T * scale * [1, -1] + offset
            fixed = fixed_points(places)
            cv2.polylines(canvas, [fixed[:, None]], False, color, thickness, cv2.LINE_AA, SHIFT)
            cv2.circle(canvas, fixed[-1].tolist(), 5 << SHIFT, color, -1, cv2.LINE_AA, SHIFT)
    for column, (name, color) in zip((12, 160), _LEGEND, strict=True):
        cv2.line(canvas, (column, 42), (column + 24, 42), color, 2, cv2.LINE_AA)
        write_text(canvas, name, (column + 32, 46), 0.45, _DARK)
    return _with_text(canvas, caption)


def _draw_scale_bar(canvas: np.ndarray, scale: float) -> None:
    """Draw a scale bar of a round length."""
    lengths = [factor * 10.0**power for power in range(-4, 5) for factor in (1, 2, 5)]
    fitting = [length for length in lengths if length * scale <= canvas.shape[1] / 3]
    if not fitting:
        return
    length, bottom = fitting[-1], canvas.shape[0] - 16
    end = 12 + round(length * scale)
    cv2.line(canvas, (12, bottom), (end, bottom), _DARK, 2, cv2.LINE_AA)
    write_text(canvas, f'{length:g} m', (end + 8, bottom + 4), 0.45, _DARK)


def _with_text(canvas: np.ndarray, text: str) -> np.ndarray:
    write_text(canvas, text, (12, 22), 0.5, _DARK)
    return canvas
