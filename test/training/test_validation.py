# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Validation during training: counts of found and known points, and pictures."""

import numpy as np
import pytest
import torch

from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import default_weights
from superpoint_ros.training.validation import draw_prediction, PairValidation, PointValidation
from support.noise_pictures import noise_picture


def test_precision_recall_and_distance_of_validation_points():
    score = PointValidation()
    score.add(np.array([[10, 10], [13, 10], [30, 30]]), np.array([[10, 11], [50, 50]]))
    score.add(np.zeros((0, 2)), np.array([[5.0, 5]]))
    score.add(np.array([[5.0, 5]]), np.zeros((0, 2)))
    # (13, 10) lies sqrt(10) from (10, 11): just too far.
    expected = {'precision': 1 / 4, 'recall': 1 / 3, 'localisation_px': 1.0}
    assert score.results == pytest.approx(expected)


def test_validation_without_points_is_not_an_error():
    score = PointValidation()
    score.add(np.zeros((0, 2)), np.zeros((0, 2)))
    assert set(score.results.values()) == {0}


def test_a_validation_pair_without_a_homography_counts_as_wrong():
    network, _ = load_weights(default_weights())
    score = PairValidation(network, torch.device('cpu'))
    picture = noise_picture(1)
    moved = np.array([[1, 0, 8], [0, 1, 0], [0, 0, 1.0]])
    score.add((picture[:, 8:], picture[:, :-8]), moved)
    assert score.results['homography_auc'] > 0.9
    assert score.results['matching_accuracy'] > 0.9
    alone = score.results
    blank = np.full_like(picture, 90)
    score.add((picture, blank), moved)
    assert score.measured[1]['corner_error'] is None
    assert score.results['homography_auc'] == pytest.approx(alone['homography_auc'] / 2)
    assert score.results['matching_accuracy'] == pytest.approx(alone['matching_accuracy'] / 2)
    assert score.results['localisation'] == alone['localisation']  # that of the pair that has one


def test_the_validation_picture_shows_image_points_and_heatmap():
    image = np.full((48, 64), 100, np.uint8)
    heatmap = np.zeros((48, 64), np.float32)
    heatmap[10, 20] = 1
    picture = draw_prediction(image, heatmap, np.zeros((0, 2)), np.array([[20, 10]]))
    assert picture.shape == (240, 640, 3)
    red = np.argwhere(picture[:, :320, 2] > picture[:, :320, 1])
    assert red.mean(axis=0) == pytest.approx([52, 102], abs=0.3)  # five times enlarged
    assert picture[0, 0].tolist() == [100, 100, 100]
    assert picture[52, 320 + 102].sum() > picture[0, 320].sum()
