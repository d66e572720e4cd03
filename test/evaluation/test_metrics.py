# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detection, repeatability, matching and homography metrics on hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.evaluation.detection_metrics import (
    average_precision,
    best_score,
    match_to_truth,
    precision_recall,
)
from superpoint_ros.evaluation.pair_metrics import (
    area_under_accuracy,
    corner_error,
    in_view,
    judged_matches,
    match_distances,
    matching_accuracy,
    matching_score,
    measure_pair,
    nearest_distances,
    nearest_neighbour_precision,
    Pair,
    repeatability,
    shared_view,
)
from superpoint_ros.features import Features

SIZE = (100, 80)
SHIFT = np.array([[1, 0, 10], [0, 1, 0], [0, 0, 1.0]])  # b is a shifted by 10 px to the right
DOUBLE = np.diag([2.0, 2.0, 1.0])


def directions(*degrees):
    angles = np.radians(np.array(degrees, np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def features(points, descriptors=None):
    """Return features with descending scores."""
    points = np.array(points, np.float64).reshape(-1, 2)
    if descriptors is None:
        descriptors = np.zeros((len(points), 0))
    return Features(points, np.linspace(1, 0.5, len(points)), descriptors)


def pair(a, b, homography=SHIFT, size_a=SIZE, size_b=SIZE):
    return Pair(a, b, homography, size_a, size_b)


def test_repeatability_counts_points_of_both_images():
    # a: (20, 20) falls on (30, 20), 1 px from b's; (50, 50) on (60, 50), 4 px from b's.
    one = pair(features([[20, 20], [50, 50]]), features([[31, 20], [60, 54], [5, 5]]))
    assert nearest_distances(one).tolist() == [1.0, 4.0]
    assert repeatability(one) == pytest.approx((2 / 5, 1.0))
    nearer = one._replace(b=features([[31, 20], [60, 53], [5, 5]]))
    assert repeatability(nearer) == pytest.approx((4 / 5, 2.0))


def test_keypoint_distances_are_measured_in_the_other_image():
    # One pixel in a is two in b: from a to b 2 px, from b to a 1 px.
    one = pair(features([[10, 10]]), features([[22, 20]]), DOUBLE, SIZE, (200, 160))
    assert nearest_distances(one).tolist() == [2.0]
    assert nearest_distances(one.swapped()) == pytest.approx([1.0])
    assert repeatability(one) == pytest.approx((1.0, 1.5))
    further = one._replace(b=features([[24, 20]]))
    assert repeatability(further) == pytest.approx((0.5, 2.0))


def test_repeatability_allows_one_keypoint_to_repeat_several():
    several = pair(features([[20, 20], [21, 20]]), features([[30, 20]]))
    assert repeatability(several)[0] == 1.0
    nothing = features([])
    for empty in (pair(nothing, nothing), pair(nothing, features([[1, 1]]))):
        assert repeatability(empty) == (0.0, None)


def test_shared_view_keeps_keypoints_inside_both_images():
    # a's x = 95 falls on 105, outside b (0 to 99); b's x = 5 comes from -5, outside a.
    one = shared_view(pair(features([[95, 5], [89, 5]]), features([[5, 5], [10, 5], [99, 5]])))
    assert one.a.keypoints.tolist() == [[89, 5]]
    assert one.b.keypoints.tolist() == [[10, 5], [99, 5]]
    assert in_view(np.array([[0, 0], [89, 79], [89.5, 79]]), SHIFT, SIZE).tolist() == [
        True,
        True,
        False,
    ]


def test_in_view_excludes_points_behind_the_horizon():
    tilt = np.array([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1.0]])  # the horizon is at x = 50
    assert in_view(np.array([[0.0, 0.0], [60.0, 10.0]]), tilt, SIZE).tolist() == [True, False]


def test_swapped_pairs_map_back_also_if_the_centre_of_the_image_is_behind_the_horizon():
    tilt = np.array([[1, 0, 0], [0, 1, 0], [-0.025, 0, 1.0]])  # the horizon is at x = 40
    one = pair(features([[20, 20], [60, 20]]), features([[40, 40]]), tilt)
    assert nearest_distances(one).tolist() == [0, np.inf]
    assert nearest_distances(one.swapped()).tolist() == [0]


def test_match_distances_are_measured_with_the_homography():
    one = pair(features([[20, 20], [50, 50]]), features([[33, 24], [60, 50]]))
    distances = match_distances(one, np.array([[0, 0], [1, 1]]))
    assert distances.tolist() == [5.0, 0.0]
    assert matching_accuracy(distances <= 3) == 0.5
    assert matching_accuracy(np.zeros(0, bool)) == 0.0
    assert match_distances(one, np.zeros((0, 2), int)).shape == (0,)


def test_matching_score_divides_by_the_features_in_the_shared_view():
    # In the shared view are 2 of a's 3 points and 4 of b's 5; one match is right.
    a = features([[20, 20], [50, 50], [95, 5]])
    b = features([[30, 20], [60, 70], [70, 70], [80, 70], [5, 5]])
    assert matching_score(pair(a, b), np.array([True, False])) == pytest.approx(
        (1 / 2 + 1 / 4) / 2
    )
    assert matching_score(pair(features([]), b), np.zeros(0, bool)) == 0.0


def test_nearest_neighbour_precision_of_a_hand_computed_case():
    # a's three points have their counterparts in b. By descriptor the first is most sure and
    # right, the second wrong (it takes b's third), the third right: precisions 1, -, 2/3.
    a = features([[20, 20], [40, 40], [60, 60]], directions(0, 80, 90))
    b = features([[30, 20], [50, 40], [70, 60]], directions(1, 200, 86))
    # Similarities of a: 1 degree, 6 degrees, 4 degrees: the order is first, third, second.
    forward = (1 / 3) * 1 + (1 / 3) * 1
    # Of b: 1 degree right; 200 is nearest to 90 (110 away), wrong; 86 is nearest to 90, right.
    backward = (1 / 3) * 1 + (1 / 3) * 1
    found = nearest_neighbour_precision(pair(a, b))
    assert found == pytest.approx((forward + backward) / 2)


def test_nearest_neighbour_precision_falls_with_a_more_similar_wrong_neighbour():
    a = features([[20, 20], [40, 40]], directions(0, 90))
    b = features([[30, 20], [90, 70]], directions(10, 92))
    # From a: the second, more sure, is wrong: precision 1/2 at recall 1 of 1. From b: its second
    # is more sure too and wrong.
    assert nearest_neighbour_precision(pair(a, b)) == pytest.approx(0.5)


def test_nearest_neighbour_precision_without_correspondences_is_zero():
    a, b = features([[20, 20]], directions(0)), features([[80, 70]], directions(0))
    assert nearest_neighbour_precision(pair(a, b)) == 0.0
    empty = features([], np.zeros((0, 2)))
    assert nearest_neighbour_precision(pair(empty, b)) == 0.0
    assert nearest_neighbour_precision(pair(a, empty)) == 0.0


def test_corner_error_is_the_mean_over_the_four_corners():
    assert corner_error(SHIFT, SHIFT, SIZE) == 0.0
    moved = SHIFT.copy()
    moved[:2, 2] += [3, 4]
    assert corner_error(moved, SHIFT, SIZE) == pytest.approx(5.0)
    # Enlarged by 1 %: the corners (0, 0), (99, 0), (99, 79), (0, 79) move by a hundredth.
    scaled = np.diag([1.01, 1.01, 1.0])
    expected = (0 + 0.99 + np.hypot(0.99, 0.79) + 0.79) / 4
    assert corner_error(scaled, np.eye(3), SIZE) == pytest.approx(expected)
    assert corner_error(None, SHIFT, SIZE) == np.inf
    assert corner_error(np.zeros((3, 3)), SHIFT, SIZE) == np.inf


def test_area_under_accuracy_is_exact():
    # Errors 1 and 3 of two, limit 5: nothing below 1, half from 1 to 3, all from 3 to 5.
    assert area_under_accuracy([1, 3], 5) == pytest.approx((0.5 * 2 + 1 * 2) / 5)
    assert area_under_accuracy([0, np.inf], 5) == 0.5
    assert area_under_accuracy([], 5) == 0.0


def test_given_matches_are_measured_and_follow_the_features_that_are_kept():
    a = features([[95, 5], [20, 20], [50, 50], [60, 60]], directions(0, 10, 20, 30))
    b = features([[5, 5], [60, 50], [30, 20], [9, 70]], directions(0, 10, 20, 30))
    one = pair(a, b)._replace(matches=np.array([[0, 0], [1, 2], [2, 1], [3, 3]]))
    assert judged_matches(one)[0] is one.matches
    assert measure_pair(one)['matching_accuracy'] == 0.5  # the nearest descriptors are wrong
    seen = shared_view(one)  # without the first of a and the first and last of b
    assert seen.matches.tolist() == [[0, 1], [1, 0]]
    assert matching_accuracy(match_distances(seen, seen.matches) <= 1) == 1.0
    assert one.best(2).matches.tolist() == [[0, 0]]
    assert one.swapped().matches.tolist() == [[0, 0], [2, 1], [1, 2], [3, 3]]
    assert judged_matches(pair(a, b))[0].tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_measurements_of_a_perfect_pair_are_perfect():
    rng = np.random.default_rng(1)
    points = rng.uniform([0, 0], [89, 79], (50, 2))
    descriptors = rng.normal(size=(50, 16))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    a, b = features(points, descriptors), features(points + [10, 0], descriptors)
    measured = measure_pair(pair(a, b))
    assert measured['repeatability'] == 1.0
    assert measured['localisation'] == pytest.approx(0, abs=1e-4)
    assert measured['nn_map'] == pytest.approx(1.0)
    assert measured['matching_score'] == 1.0
    assert measured['matching_accuracy'] == 1.0
    assert measured['corner_error'] == pytest.approx(0, abs=1e-3)
    assert (measured['matches'], measured['points']) == (50, 50)


@pytest.mark.parametrize('count', [0, 1])
def test_measurements_of_a_pair_with_no_or_one_keypoint_are_valid(count):
    some = features([[20, 20]][:count], directions(0)[:count])
    measured = measure_pair(pair(some, some, np.eye(3)))
    assert measured['corner_error'] is None
    assert measured['repeatability'] == count
    assert measured['matching_accuracy'] == count
    assert measured['matches'] == count


@pytest.mark.parametrize(
    ('points', 'truth', 'epsilon', 'expected'),
    [
        ([[13, 14], [50, 21], [80, 80]], [[10, 10], [50, 20]], 5.0, [5, 1, np.inf]),
        ([[13, 14], [50, 21], [80, 80]], [[10, 10], [50, 20]], 4.9, [np.inf, 1, np.inf]),
        # A point is assigned once, to the higher score, even if the other one is nearer.
        ([[12, 10], [10, 10]], [[10, 10]], 4.0, [2, np.inf]),
        # The nearest point is assigned already: the next one is taken.
        ([[10, 10], [11, 10]], [[10, 10], [13, 10]], 4.0, [0, 2]),
        ([], [[1, 1]], 4.0, []),
        ([[1, 1]], [], 4.0, [np.inf]),
        ([], [], 4.0, []),
    ],
)
def test_match_to_truth_gives_the_distance_to_the_assigned_point(points, truth, epsilon, expected):
    points, truth = (np.reshape(np.array(each, float), (-1, 2)) for each in (points, truth))
    assert match_to_truth(points, truth, epsilon).tolist() == expected


def test_average_precision_of_a_hand_computed_case():
    # By descending score: correct, wrong, correct, wrong; three ground-truth points.
    curve = precision_recall(
        np.array([0.6, 0.9, 0.8, 0.7]), np.array([False, True, False, True]), 3
    )
    assert curve.scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert curve.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    # A third of the recall at precision 1, a third at 2/3, a third not reached.
    assert average_precision(curve) == pytest.approx(1 / 3 + 2 / 9)
    # F1: 0.5, 0.4, 2/3, 4/7.
    assert best_score(curve) == 0.7


def test_precision_recall_adds_equal_scores_together_in_any_order():
    for correct in ([True, False], [False, True]):
        curve = precision_recall(np.array([0.5, 0.5]), np.array(correct), 1)
        assert curve.precision.tolist() == [0.5]
        assert average_precision(curve) == pytest.approx(0.5)


def test_average_precision_of_perfect_and_useless_detectors_is_one_and_zero():
    scores = np.array([3.0, 2.0, 1.0])
    assert average_precision(precision_recall(scores, np.ones(3, bool), 3)) == 1.0
    useless = precision_recall(scores, np.zeros(3, bool), 3)
    assert average_precision(useless) == 0.0
    assert best_score(useless) == np.inf
    nothing = precision_recall(np.zeros(0), np.zeros(0, bool), 3)
    assert average_precision(nothing) == 0.0
    assert best_score(nothing) == np.inf
