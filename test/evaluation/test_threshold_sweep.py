# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The threshold sweep measures each threshold as if the detector had been run with it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros import Detector
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.evaluation.evaluation_plans import ThresholdPlan
from superpoint_ros.evaluation.threshold_sweep import (
    evaluate_thresholds,
    thresholds_table,
)
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.resources import demo_photographs
from support.small_networks import SMALL


@pytest.fixture(scope='module')
def images():
    found = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in demo_photographs()[:2]]
    return [cv2.resize(image, (240, 180), interpolation=cv2.INTER_AREA) for image in found]


@pytest.fixture(scope='module')
def detector():
    return Detector.from_weights(device='cpu', precision='float32', max_keypoints=2000)


def test_higher_threshold_gives_fewer_keypoints_and_matches(detector, images):
    result = evaluate_thresholds(detector, images, ThresholdPlan((0.05, 0.005, 0.99), views=2))
    low, middle, high = result['rows']
    assert [row['threshold'] for row in result['rows']] == [0.005, 0.05, 0.99]
    assert low['keypoints'] > middle['keypoints'] > high['keypoints']
    assert low['right_matches'] > middle['right_matches']
    for row in (low, middle):
        assert 0.3 < row['repeatability'] <= 1
        assert 0 < row['localisation'] < 3
        assert row['right_matches'] <= row['matches'] <= row['keypoints']
    assert high == {'threshold': 0.99, 'keypoints': 0, 'matches': 0, 'right_matches': 0} | {
        'repeatability': 0.0,
        'localisation': None,
    }
    assert '| 0.99 | 0 | 0.000 | - | 0 | 0 |' in thresholds_table(result)


def test_threshold_row_has_the_keypoints_of_a_detector_with_this_threshold(detector, images):
    both = evaluate_thresholds(detector, images, ThresholdPlan((0.004, 0.03), views=1))['rows'][1]
    alone = evaluate_thresholds(detector, images, ThresholdPlan((0.03,), views=1))['rows'][0]
    assert both == alone
    settings = replace(detector.settings, threshold=0.03)
    counts = [len(detector(image, settings=settings)) for image in images]
    assert min(counts) * 0.5 < alone['keypoints'] < max(counts) * 1.5


def test_thresholds_of_a_network_in_memory_are_measured(images):
    detector = Detector.from_model(SuperPoint(SMALL).eval(), max_keypoints=50)
    result = evaluate_thresholds(detector, images[:1], ThresholdPlan((0.001,), views=1))
    assert result['weights'] == 'network in memory'
    assert result['rows'][0]['keypoints'] == 50


def test_thresholds_on_both_sides_of_the_default_one_are_compared_by_default():
    compared, default = ThresholdPlan().thresholds, DetectionSettings().threshold
    assert min(compared) < default < max(compared)
    assert default in compared  # marked in the chart


def test_thresholds_out_of_range_and_missing_images_are_refused(detector):
    with pytest.raises(ValueError, match='thresholds must be greater than 0.0 and less than 1.0'):
        ThresholdPlan((0.5, 1.0))
    with pytest.raises(ValueError, match='thresholds must have at least one value'):
        ThresholdPlan(())
    with pytest.raises(ValueError, match='views must be at least 1, got 0'):
        ThresholdPlan(views=0)
    with pytest.raises(ValueError, match='no images to evaluate'):
        evaluate_thresholds(detector, [], ThresholdPlan())


def test_a_threshold_that_is_given_twice_counts_once():
    assert ThresholdPlan((0.5, 0.1, 0.5)).thresholds == (0.5, 0.1)
