# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The homography benchmark measures methods with known features correctly."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from superpoint_ros.data.benchmark_from_photographs import BenchmarkPlan, make_benchmark
from superpoint_ros.data.hpatches import (
    HomographySequence,
    list_homography_sequences,
    read_sequence,
)
from superpoint_ros.evaluation.baselines import described_method, Method
from superpoint_ros.evaluation.homography_benchmark import (
    evaluate_homographies,
    homography_markdown,
    summarise,
    write_homography_report,
)
from superpoint_ros.features import Features
from superpoint_ros.geometry.homography import warp_points
from superpoint_ros.wide_matching import MatchedImages
from support.noise_pictures import noise_picture, write_pictures


@pytest.fixture(scope='module')
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp('benchmark')
    plan = BenchmarkPlan(viewpoint=2, illumination=2, pairs=2)
    make_benchmark(write_pictures(folder), folder / 'made', plan)
    return folder / 'made'


class Grid:
    """Detector that finds a grid in the first image, and its warped points in the others."""

    def __init__(self, sequence, offset=0.0):
        xs, ys = np.meshgrid(np.arange(20, 141, 20.0), np.arange(20, 101, 20.0))
        points = np.stack([xs.ravel(), ys.ravel()], axis=1)
        rng = np.random.default_rng(0)
        descriptors = rng.normal(size=(len(points), 32))
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        homographies = [np.eye(3), *sequence.homographies]
        self.answers = {}
        for image, homography in zip(sequence.images, homographies, strict=True):
            moved = warp_points(points, homography) + [offset * (homography != np.eye(3)).any(), 0]
            scores = np.linspace(1, 0.5, len(points))
            self.answers[image.tobytes()] = Features(moved, scores, descriptors)

    def __call__(self, image):
        return self.answers[image.tobytes()]


def known_sequence():
    shift = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1.0]])
    pictures = [noise_picture(1), noise_picture(2)]
    return HomographySequence('v_known', 'viewpoint', pictures, [shift], [2])


def test_homography_benchmark_of_known_detections_has_the_hand_computed_values():
    sequence = known_sequence()
    methods = [
        Method('exact', Grid(sequence)),
        Method('two off', Grid(sequence, 2.0)),
        Method('four off', Grid(sequence, 4.0)),
    ]
    result = evaluate_homographies(methods, [sequence], keypoints=100)
    for counting in ('all', 'shared'):
        exact, two, four = (
            result['methods'][method.name][counting]['viewpoint'] for method in methods
        )
        assert exact['repeatability'] == two['repeatability'] == 1.0
        assert four['repeatability'] == four['matching_accuracy'] == 0.0
        assert exact['localisation'] == pytest.approx(0, abs=1e-4)
        assert two['localisation'] == pytest.approx(2.0, abs=1e-4)
        assert four['localisation'] is None
        # All points have the same error, and so have the corners.
        assert exact['homography_1px'] == 1.0
        assert [two[f'homography_{n}px'] for n in (1, 3, 5)] == [0, 1, 1]
        assert [four[f'homography_{n}px'] for n in (1, 3, 5)] == [0, 0, 1]
        assert two['homography_auc_5px'] == pytest.approx(1 - 2 / 5, abs=1e-3)
        assert four['homography_auc_5px'] == pytest.approx(1 - 4 / 5, abs=1e-3)
    assert result['methods']['exact']['all']['illumination'] is None


def test_homography_benchmark_measures_the_matches_of_a_method_that_matches():
    sequence = known_sequence()
    find = Grid(sequence)

    def match(first, second):
        a, b = find(first), find(second)
        return MatchedImages(a, b, np.array([[0, 0], [1, 1], [2, 7], [3, 9]]))

    result = evaluate_homographies([Method('known', find, match)], [sequence], keypoints=100)
    measured = result['methods']['known']['all']['viewpoint']
    assert (measured['matches'], measured['matching_accuracy']) == (4, 0.5)
    assert measured['repeatability'] == 1.0


def test_homography_benchmark_counts_the_best_keypoints():
    sequence = known_sequence()
    result = evaluate_homographies([Method('exact', Grid(sequence))], [sequence], keypoints=10)
    assert result['methods']['exact']['all']['both']['points'] == 10


def test_homography_benchmark_counts_a_failed_estimate_as_wrong():
    row = {'repeatability': 1.0, 'localisation': None, 'nn_map': 0.0, 'matching_score': 0.0}
    row |= {'matching_accuracy': 0.0, 'matches': 4, 'points': 9, 'corner_error': 2.0}
    means = summarise([row, row | {'corner_error': None, 'localisation': 0.5}])
    assert means['homography_3px'] == 0.5
    assert means['homography_auc_5px'] == pytest.approx((1 - 2 / 5) / 2)
    assert means['localisation'] == 0.5
    assert means['pairs'] == 2


def test_sift_does_well_on_the_homography_benchmark_and_the_report_shows_it(benchmark, tmp_path):
    method = described_method('sift', 200)
    sequences = [read_sequence(folder) for folder in list_homography_sequences(benchmark)]
    result = evaluate_homographies([method], sequences, keypoints=200)
    both = result['methods']['SIFT']['shared']['both']
    assert both['pairs'] == 8
    assert both['homography_3px'] >= 0.75
    assert both['matching_accuracy'] > 0.5
    files = write_homography_report(result, [method], sequences[:1], tmp_path)
    assert [file.name for file in files] == [
        'homography.json',
        'homography.md',
        f'matches_{sequences[0].name}.png',
    ]
    assert json.loads(files[0].read_text())['keypoints'] == 200
    picture = cv2.imread(str(files[2]))
    assert picture.shape[1] >= 2 * 160
    text = homography_markdown(result)
    assert 'Viewpoint, 4 pairs:' in text
    assert 'Illumination, 4 pairs:' in text
    assert text.count('| SIFT |') == 6


def test_homography_benchmark_needs_sequences_and_keypoints():
    with pytest.raises(ValueError, match='no sequences to evaluate'):
        evaluate_homographies([], [], 10)
    with pytest.raises(ValueError, match='max_keypoints must lie between 1 and 100000, got 0'):
        evaluate_homographies([], [], 0)
