# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of tracks show those whose positions are known, plans fit into their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.odometry.odometry_drawing import draw_plan, draw_tracks, TrackTails
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


@pytest.mark.parametrize('plane', [(0, 1), (2, 0)])
def test_a_plan_shows_the_ground_truth_in_the_middle_and_the_estimate_at_its_scale(plane):
    truth, estimate = np.zeros((2, 4, 3))
    truth[:, plane] = np.array([[0, 0], [10, 0], [10, 5], [0, 5]]) + [20, -30]
    estimate[:, plane] = np.array([[2, 1], [8, 1], [8, 4], [2, 4]]) + [20, -30]
    picture = draw_plan(estimate, truth, (300, 240))
    assert picture.shape == (240, 300, 3)
    scale = 300 - 2 * 48  # 10 m
    _, green, red = np.moveaxis(picture[64:].astype(int), 2, 0)  # below the legend
    for drawn, length, width in ((green - red, 1.0, 0.5), (red - green, 0.6, 0.3)):
        rows, columns = np.nonzero(drawn > 40)
        extents = np.ptp(columns), np.ptp(rows)
        assert extents == pytest.approx((length * scale, width * scale), abs=12)
        middle = columns.min() + extents[0] / 2, 64 + rows.min() + extents[1] / 2
        assert middle == pytest.approx((150, 120), abs=6)  # the last position has a circle
    [bar] = np.nonzero((picture[240 - 16] == 32).all(axis=1)[: 300 // 3 + 12])
    assert np.ptp(bar) == pytest.approx(0.2 * scale, abs=3)  # 2 m; 5 m exceed a third
    assert (draw_plan(truth[:0], truth[:2], (300, 240)) != 255).any()
