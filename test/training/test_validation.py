# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Counts of found and true points, worked out by hand."""

import numpy as np
import pytest

from superpoint_ros.training.validation import draw_prediction, in_columns, PointScore


def test_precision_recall_and_distance():
    score = PointScore()
    score.add(np.array([[10, 10], [13, 10], [30, 30]]), np.array([[10, 11], [50, 50]]))
    score.add(np.zeros((0, 2)), np.array([[5.0, 5]]))
    score.add(np.array([[5.0, 5]]), np.zeros((0, 2)))
    # (13, 10) lies sqrt(10) from (10, 11): just too far.
    assert score.precision == pytest.approx(1 / 4)
    assert score.recall == pytest.approx(1 / 3)
    assert score.localisation == pytest.approx(1.0)


def test_no_points_at_all_are_no_error():
    score = PointScore()
    score.add(np.zeros((0, 2)), np.zeros((0, 2)))
    assert (score.precision, score.recall, score.localisation) == (0, 0, 0)


def test_the_picture_shows_image_points_and_heatmap():
    image = np.full((48, 64), 100, np.uint8)
    heatmap = np.zeros((48, 64), np.float32)
    heatmap[10, 20] = 1
    picture = draw_prediction(image, heatmap, np.zeros((0, 2)), np.array([[20, 10]]))
    assert picture.shape == (240, 640, 3)
    assert picture[52, 102].tolist() == [0, 0, 255]  # the keypoint, five times enlarged
    assert picture[0, 0].tolist() == [100, 100, 100]
    assert picture[52, 320 + 102].sum() > picture[0, 320].sum()
    assert in_columns([picture] * 3).shape == (480, 1280, 3)
