# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of tracks show those whose positions are known."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.odometry.odometry_drawing import draw_tracks, TrackTails
from superpoint_ros.odometry.tracker import Tracks


@pytest.mark.parametrize('position', [np.nan, np.inf, 1e9])
def test_tracks_without_a_position_in_the_picture_are_left_out(position):
    tails, places = TrackTails(), np.array([[position, 12], [30, 20]], np.float32)
    for shift in (0, 5):  # the first frame of the tail
        known = np.full(2, np.nan, np.float32)
        tracks = Tracks(
            np.arange(2),
            places + np.float32(shift),
            np.stack([known, known], axis=1),
            known.astype(np.float64),
            np.zeros((2, 2), np.float32),
            np.ones(2, np.int64),
            np.arange(2),
        )
        tails.update(tracks)
    image = np.full((60, 80), 100, np.uint8)
    picture = draw_tracks(image, tracks, tails)
    ys, xs = np.nonzero((picture != 100).any(axis=2))
    assert 26 <= xs.min() < xs.max() <= 39
    assert 16 <= ys.min() < ys.max() <= 29
    assert picture[25, 35, 2] > 200
