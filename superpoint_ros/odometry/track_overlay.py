# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Tracks as a picture: each point with the way that it took through the last frames."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.visualization import to_bgr

_SHIFT = 4  # cv2 draws at sixteenths of a pixel
_OLD = 30  # frames at which a track has the colour of old ones
_NEW_COLOR, _OLD_COLOR = np.array([60, 60, 240.0]), np.array([80, 220, 60.0])


class Tails:
    """Remember where each track was in the last `length` frames in which it was seen."""

    def __init__(self, length: int = 15):
        self.length = length
        self._places: dict[int, deque] = {}

    def update(self, tracks: Tracks) -> None:
        """Take in the next frame's tracks; those that are not in it lose their tails."""
        before = self._places
        self._places = {}
        for number, point in zip(tracks.ids.tolist(), tracks.keypoints, strict=True):
            places = before.get(number)
            if places is None or places.maxlen != self.length + 1:
                places = deque(places or (), maxlen=self.length + 1)
            places.append(point)
            self._places[number] = places

    def of(self, number: int) -> np.ndarray:
        """Return where the track was, (K, 2) in pixels, the present place last."""
        return np.array(self._places.get(number, ()), np.float32).reshape(-1, 2)


def draw_tracks(image: np.ndarray, tracks: Tracks, tails: Tails) -> np.ndarray:
    """
    Return a BGR copy of the uint8 image with the tracks and their tails.

    New tracks are red and those of thirty frames and more green.
    """
    canvas = to_bgr(image)
    order = np.argsort(tracks.ages, kind='stable')  # the oldest on top
    for index in order:
        share = min((tracks.ages[index] - 1) / _OLD, 1.0)
        color = tuple(((1 - share) * _NEW_COLOR + share * _OLD_COLOR).tolist())
        tail = np.rint(tails.of(int(tracks.ids[index])) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(canvas, [tail[:, None]], False, color, 1, cv2.LINE_AA, _SHIFT)
        place = np.rint(tracks.keypoints[index] * 2**_SHIFT).astype(int).tolist()
        cv2.circle(canvas, place, 2 * 2**_SHIFT, color, -1, cv2.LINE_AA, _SHIFT)
    return canvas
