# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of tracks show those whose positions are known, plans fit into their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.odometry.odometry_drawing import draw_plan, draw_tracks, TrackTails
from superpoint_ros.odometry.tracker import Tracks


def test_tails_are_the_last_positions_of_tracks_that_were_never_lost():
    tails = TrackTails(2)
    assert tails.of(np.arange(3)).shape == (3, 0, 2)
    for frame, ids in enumerate(([1, 4], [1, 4, 5], [], [4, 6], [4, 6], [4, 6])):
        tails.update(Tracks.new(ids, [(number, frame) for number in ids]))
    unknown = [np.nan, np.nan]
    np.testing.assert_array_equal(
        tails.of(np.array([1, 4, 6])), [[unknown] * 3, *([[k, 3], [k, 4], [k, 5]] for k in (4, 6))]
    )
    for frame, length, first in ((6, 1, 5), (7, 3, 5), (8, 0, 8), (9, 2, 8)):
        tails.length = length
        tails.update(Tracks.new([4], [(4, frame)]))
        expected = [
            [4, each] if each >= first else unknown for each in range(frame - length, frame + 1)
        ]
        np.testing.assert_array_equal(tails.of(np.array([4])), [expected])


@pytest.mark.parametrize('position', [np.nan, np.inf, 1e9])
def test_tracks_without_a_position_in_the_picture_are_left_out(position):
    tails, places = TrackTails(), np.array([[position, 12], [30, 20]], np.float32)
    for shift in (0, 5):  # the first frame of the tail
        tracks = Tracks.new(np.arange(2), places + np.float32(shift))
        tails.update(tracks)
    image = np.full((60, 80), 100, np.uint8)
    picture = draw_tracks(image, tracks, tails)
    ys, xs = np.nonzero((picture != 100).any(axis=2))
    assert 26 <= xs.min() < xs.max() <= 39
    assert 16 <= ys.min() < ys.max() <= 29
    assert picture[25, 35, 2] > 200


@pytest.mark.parametrize('plane', [(0, 1), (2, 0)])
def test_a_plan_shows_the_ground_truth_below_the_legend_and_the_estimate_at_its_scale(plane):
    truth, estimate = np.zeros((2, 4, 3))
    truth[:, plane] = np.array([[0, 0], [10, 0], [10, 5], [0, 5]]) + [20, -30]
    estimate[:, plane] = np.array([[2, 1], [8, 1], [8, 4], [2, 4]]) + [20, -30]
    picture = draw_plan(estimate, truth, (300, 240))
    assert picture.shape == (240, 300, 3)
    scale = (300 - 2 * 24) / 10  # pixels per metre
    _, green, red = np.moveaxis(picture[50:].astype(int), 2, 0)  # below the legend
    for drawn, length, width in ((green - red, 10, 5), (red - green, 6, 3)):
        rows, columns = np.nonzero(drawn > 40)
        extents = np.ptp(columns), np.ptp(rows)
        assert extents == pytest.approx((length * scale, width * scale), abs=12)
        middle = columns.min() + extents[0] / 2, 50 + rows.min() + extents[1] / 2
        assert middle == pytest.approx((150, 130), abs=6)  # the last position has a circle
    [bar] = np.nonzero((picture[240 - 16] == 32).all(axis=1)[: 300 // 3 + 12])
    assert np.ptp(bar) == pytest.approx(2 * scale, abs=3)  # 2 m; 5 m exceed a third
    # A text instead of trajectories, and an estimate alone.
    for few in ((truth[:0], truth[:2]), (truth[:0], truth[:0]), (estimate, truth[:0])):
        assert (draw_plan(*few, (300, 240)) != 255).any()


@pytest.mark.parametrize('size', [(320, 240), (640, 480), (320, 480)])
def test_a_trajectory_of_any_shape_does_not_cross_the_texts_of_a_plan(size):
    legend = draw_plan(*np.zeros((2, 3, 3)), size, 'caption')[:50]
    for width, height in ((3, 3), (9, 1), (1, 9)):
        corners = [[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0], [0, 0, 0]]
        plan = draw_plan(np.array(corners), np.array(corners), size, 'caption')
        np.testing.assert_array_equal(plan[:50], legend)
        assert (plan[-33:-26] == 255).all()  # above the scale bar
