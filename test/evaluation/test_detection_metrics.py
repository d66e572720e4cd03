# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Average precision and localisation, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.evaluation.detection_metrics import (
    average_precision,
    best_score,
    match_to_truth,
    precision_recall,
)


def test_each_point_gets_its_distance_to_the_true_point_that_it_found():
    truth = np.array([[10, 10], [50, 20]])
    points = np.array([[13, 14], [50, 21], [80, 80]])
    assert match_to_truth(points, truth, 5.0).tolist() == [5.0, 1.0, np.inf]
    assert match_to_truth(points, truth, 4.9).tolist() == [np.inf, 1.0, np.inf]


def test_two_detections_of_one_point_count_once_and_the_better_one_counts():
    truth = np.array([[10, 10]])
    assert match_to_truth(np.array([[12, 10], [10, 10]]), truth, 4.0).tolist() == [2.0, np.inf]


def test_a_detection_falls_back_to_the_next_point_when_its_nearest_is_taken():
    truth = np.array([[10, 10], [13, 10]])
    points = np.array([[10, 10], [11, 10]])
    assert match_to_truth(points, truth, 4.0).tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ('points', 'truth'), [((0, 2), (3, 2)), ((2, 2), (0, 2)), ((0, 2), (0, 2))]
)
def test_without_points_or_without_truth_nothing_is_right(points, truth):
    found = match_to_truth(np.zeros(points), np.zeros(truth), 4.0)
    assert found.tolist() == [np.inf] * points[0]


def test_average_precision_of_a_case_worked_out_by_hand():
    # In order of score: right, wrong, right, wrong; three true points.
    curve = precision_recall(
        np.array([0.6, 0.9, 0.8, 0.7]), np.array([False, True, False, True]), 3
    )
    assert curve.scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert curve.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    # A third of the recall at precision 1, a third at 2/3, a third never.
    assert average_precision(curve) == pytest.approx(1 / 3 + 2 / 9)
    # F1: 0.5, 0.4, 2/3, 4/7.
    assert best_score(curve) == 0.7


def test_detections_of_one_score_count_together_in_any_order():
    for correct in ([True, False], [False, True]):
        curve = precision_recall(np.array([0.5, 0.5]), np.array(correct), 1)
        assert curve.precision.tolist() == [0.5]
        assert average_precision(curve) == pytest.approx(0.5)


def test_perfect_and_useless_detectors_have_one_and_zero():
    scores = np.array([3.0, 2.0, 1.0])
    assert average_precision(precision_recall(scores, np.ones(3, bool), 3)) == 1.0
    useless = precision_recall(scores, np.zeros(3, bool), 3)
    assert average_precision(useless) == 0.0
    assert best_score(useless) == np.inf
    nothing = precision_recall(np.zeros(0), np.zeros(0, bool), 3)
    assert average_precision(nothing) == 0.0
    assert best_score(nothing) == np.inf
