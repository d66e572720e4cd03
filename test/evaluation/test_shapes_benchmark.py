# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The shapes benchmark measures detectors with known detections correctly."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.data.synthetic_shapes.shapes import SHAPES
from superpoint_ros.evaluation.baselines import harris, Method
from superpoint_ros.evaluation.evaluation_plans import ShapesPlan
from superpoint_ros.evaluation.shapes_benchmark import (
    evaluate_shapes,
    shape_sample,
    shapes_markdown,
    write_shapes_report,
)
from superpoint_ros.features import Features

IMAGES = 2


def oracle(shift, extra=False, false=0):
    """
    Return a detector of the ground truth shifted by `shift` px, perhaps with a weak false point.

    In images without points it finds `false` ones.
    """
    truth = {}
    for condition in ('clean', 'noisy'):
        for category in SHAPES:
            for index in range(IMAGES):
                sample = shape_sample(category, index, 0, condition)
                truth[sample.image.tobytes()] = sample.points

    def find(image):
        points = truth[image.tobytes()] + [shift, 0]
        if not len(points):
            points = np.full((false, 2), 9.0)
        scores = np.ones(len(points))
        if extra:  # a lower score, far from all points
            points, scores = np.vstack([points, [[-50, -50]]]), np.append(scores, 0.5)
        return Features(points, scores, np.zeros((len(points), 0)))

    return find


def blind(image):
    return Features.empty(0)


@pytest.fixture(scope='module')
def result():
    methods = [
        Method('exact', oracle(0)),
        Method('shifted', oracle(3, extra=True)),
        Method('deceived', oracle(0, false=3)),
        Method('blind', blind),
        Method('Harris', harris),
    ]
    return evaluate_shapes(methods, ShapesPlan(IMAGES))


@pytest.mark.parametrize('condition', ['clean', 'noisy'])
def test_detector_of_the_ground_truth_is_perfect_on_shapes(result, condition):
    exact = result['methods']['exact'][condition]
    assert exact['map'] == 1.0
    assert exact['localisation'] == 0.0
    assert exact['false_per_image'] == 0.0


def test_shapes_localisation_error_is_in_pixels_and_ignores_weak_false_points(result):
    shifted = result['methods']['shifted']['clean']
    # Points closer than 3 px to another shifted detection may be assigned to it.
    assert shifted['localisation'] == pytest.approx(3.0, abs=0.3)
    assert shifted['map'] > 0.9
    assert shifted['false_per_image'] == 0.0


def test_false_detections_are_counted_per_image_without_points(result):
    deceived = result['methods']['deceived']['clean']
    assert deceived['map'] == 1.0
    assert deceived['false_per_image'] == 3.0
    assert deceived['categories']['ellipses'] == {'false_per_image': 3.0}


def test_detector_without_detections_has_zero_map_and_no_localisation_error(result):
    blind_result = result['methods']['blind']['clean']
    assert blind_result['map'] == 0.0
    assert blind_result['localisation'] is None
    assert blind_result['categories']['ellipses'] == {'false_per_image': 0.0}


def test_noise_lowers_the_map_of_harris_on_shapes(result):
    by = result['methods']['Harris']
    assert by['clean']['map'] > by['noisy']['map'] > 0


def test_shape_samples_are_reproducible_and_noise_keeps_the_points():
    clean, noisy = (shape_sample('cube', 3, 7, condition) for condition in ('clean', 'noisy'))
    again, other = shape_sample('cube', 3, 7, 'clean'), shape_sample('cube', 4, 7, 'clean')
    assert (clean.image == again.image).all()
    assert (clean.points == noisy.points).all()
    assert (clean.image != noisy.image).any()
    assert (clean.image != other.image).any()


def test_shapes_report_has_json_tables_and_pictures(result, tmp_path):
    result = {**result, 'weights': 'tiny'}
    files = write_shapes_report(result, Method('Harris', harris), tmp_path)
    assert [file.name for file in files] == [
        'shapes.json',
        'shapes.md',
        'shapes.png',
        'shapes_examples.png',
    ]
    assert all(file.stat().st_size > 500 for file in files)
    assert json.loads(files[0].read_text()) == result
    text = shapes_markdown(result)
    assert '| exact | 1.000 | 1.000 | 0.000 | 0.000 | 0.000 | 0.000 |' in text
    assert '| blind | 0.000 | 0.000 | - | - | 0.000 | 0.000 |' in text
    assert text.count('| checkerboard |') == 2
    assert text.count('| ellipses |') == 1


def test_shapes_plan_needs_at_least_one_image():
    with pytest.raises(ValueError, match='images must be at least 1, got 0'):
        ShapesPlan(images=0)
