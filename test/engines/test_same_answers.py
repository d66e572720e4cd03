# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Each engine and precision finds what PyTorch finds in float32, within stated tolerances."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.data.hpatches import HomographySequence
from superpoint_ros.data.random_homographies import sample_homography
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.homography_benchmark import evaluate_homographies


class Tolerance(NamedTuple):
    """
    Allowed differences from PyTorch in float32.

    Attributes:
        lost: share of keypoints without a counterpart within 1 px.
        cosine: lowest mean cosine of the descriptors of the other keypoints.
        measures: largest decrease of repeatability, matching score and homography AUC (5 px).

    """

    lost: float
    cosine: float
    measures: float


TOLERANCES = {
    ('torch', 'float32'): Tolerance(0.001, 0.99999, 0.002),
    ('torch', 'bfloat16'): Tolerance(0.04, 0.998, 0.03),
    ('openvino', 'float32'): Tolerance(0.005, 0.9999, 0.005),
    ('openvino', 'bfloat16'): Tolerance(0.04, 0.998, 0.03),
    ('openvino', 'int8'): Tolerance(0.05, 0.995, 0.04),
    ('onnxruntime', 'float32'): Tolerance(0.005, 0.9999, 0.005),
    ('cuda', 'float32'): Tolerance(0.005, 0.9999, 0.005),
    ('cuda', 'float16'): Tolerance(0.02, 0.9995, 0.02),
}
MEASURES = ('repeatability', 'matching_score', 'homography_auc_5px')


def make_detector(engine, precision, **settings):
    """Return a detector with an engine and a precision; skip the test if that is impossible."""
    if engine == 'cuda' and not torch.cuda.is_available():
        pytest.skip('there is no CUDA device')
    if engine in ('openvino', 'onnxruntime') and find_spec(engine) is None:
        pytest.skip(f'{engine} is not installed')
    device = 'cuda' if engine == 'cuda' else 'cpu'
    name = 'torch' if engine == 'cuda' else engine
    detector = Detector.from_weights(device=device, precision=precision, engine=name, **settings)
    assert (detector.engine.name, detector.engine.precision) == (name, precision)
    return detector


def compare(found, expected):
    """Return the share of lost keypoints, and the cosines of the descriptors of the others."""
    lost, total, cosines = 0, 0, []
    for got, wanted in zip(found, expected, strict=True):
        distance = np.linalg.norm(wanted.keypoints[:, None] - got.keypoints[None], axis=2)
        same, nearest = distance.min(axis=1) < 1, distance.argmin(axis=1)
        lost += (~same).sum()
        total += len(wanted)
        cosines.append((wanted.descriptors[same] * got.descriptors[nearest[same]]).sum(axis=1))
    assert total > 300
    return lost / total, np.concatenate(cosines)


@pytest.mark.parametrize(('engine', 'precision'), TOLERANCES)
def test_engine_finds_the_keypoints_and_descriptors_of_float32(
    photographs, reference, engine, precision
):
    detector = make_detector(engine, precision)
    found = [detector(image) for image in photographs]
    lost, cosines = compare(found, [reference(image) for image in photographs])
    assert lost <= TOLERANCES[engine, precision].lost
    assert cosines.mean() >= TOLERANCES[engine, precision].cosine


@pytest.fixture(scope='module')
def scenes(photographs):
    """Photographs with views of them under random homographies."""
    rng = np.random.default_rng(0)
    result = []
    for index, image in enumerate(photographs):
        size = image.shape[::-1]
        homographies = [sample_homography(rng, size) for _ in range(15)]
        views = [cv2.warpPerspective(image, homography, size) for homography in homographies]
        images, numbers = [image, *views], range(2, 17)
        result.append(HomographySequence(f'v_{index}', 'viewpoint', images, homographies, numbers))
    return result


@pytest.fixture(scope='module')
def expected_measures(scenes):
    return measure(make_detector('torch', 'float32', threshold=0.001), scenes)


def measure(detector, scenes):
    result = evaluate_homographies([Method('ours', detector)], scenes, keypoints=300)
    return {name: result['methods']['ours']['all']['both'][name] for name in MEASURES}


@pytest.mark.parametrize(('engine', 'precision'), TOLERANCES)
def test_engine_estimates_homographies_as_well_as_float32(
    scenes, expected_measures, engine, precision
):
    measures = measure(make_detector(engine, precision, threshold=0.001), scenes)
    assert expected_measures['repeatability'] > 0.3
    decrease = {name: expected_measures[name] - measures[name] for name in MEASURES}
    allowed = TOLERANCES[engine, precision].measures
    assert {name: value for name, value in decrease.items() if value > allowed} == {}
