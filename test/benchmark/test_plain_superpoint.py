# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The plain baseline finds the features of the package: the comparison is fair."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from superpoint_ros import Detector
from superpoint_ros.benchmark.candidates import frames_of, read_photographs
from superpoint_ros.benchmark.plain_superpoint import PlainDetector, PlainSuperPoint, simple_nms
from superpoint_ros.detection.heatmap import heatmap_from_logits
from superpoint_ros.detection.nms import suppress_non_maxima
from superpoint_ros.model.config import CONFIGURATIONS
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import default_weights

THRESHOLD = 0.015


@pytest.fixture(scope='module')
def found():
    """Return the features of a photograph by the baseline and by the detector."""
    model, _ = load_weights(default_weights())
    [frame] = frames_of(read_photographs()[:1], (320, 240))
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    detector = Detector.from_model(
        model,
        device='cpu',
        threshold=THRESHOLD,
        subpixel=False,
        keypoints='heatmap',
        nms_radius=4,
    )
    baseline = PlainDetector(model, radius=4, keypoints=1000, margin=4)
    return baseline(gray, THRESHOLD), detector(gray)


@pytest.mark.parametrize('name', sorted(CONFIGURATIONS))
def test_plain_network_has_the_layers_of_every_configuration(name):
    model = SuperPoint(CONFIGURATIONS[name]).eval()
    plain = PlainSuperPoint(CONFIGURATIONS[name]).eval()
    plain.load_state_dict(model.state_dict())
    image = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        heatmap, descriptors = plain(image)
        expected = model(image)
    torch.testing.assert_close(heatmap, heatmap_from_logits(expected.logits))
    dense = expected.descriptors
    if expected.fine is not None:
        dense = expected.fine + F.interpolate(dense, scale_factor=2.0, mode='bilinear')
    torch.testing.assert_close(descriptors, F.normalize(dense))


def test_plain_detector_finds_the_keypoints_of_the_detector(found):
    baseline, detector = ({tuple(point) for point in each.keypoints.tolist()} for each in found)
    assert len(detector) > 100
    # The baseline stops after three rounds of suppression, the detector when nothing is left.
    assert len(baseline - detector) <= 0.005 * len(detector)
    assert len(baseline & detector) >= 0.97 * len(detector)


def test_plain_detector_has_the_descriptors_of_the_detector(found):
    baseline, detector = found
    place = {tuple(point): index for index, point in enumerate(detector.keypoints.tolist())}
    shared = [
        (i, place[p]) for i, p in enumerate(map(tuple, baseline.keypoints.tolist())) if p in place
    ]
    a, b = np.array(shared).T
    cosines = (baseline.descriptors[a] * detector.descriptors[b]).sum(axis=1)
    # The baseline normalises before the interpolation, the detector after it, and the baseline
    # enlarges the coarse part of descriptors with a fine part.
    assert cosines.min() > 0.95
    assert np.median(cosines) > 0.998
    assert baseline.scores[a] == pytest.approx(detector.scores[b], rel=1e-3)


def test_plain_nms_by_max_pooling_agrees_with_greedy_nms():
    rng = np.random.default_rng(0)
    scores = cv2.GaussianBlur(rng.random((60, 80)).astype(np.float32), (0, 0), 2)
    heatmap = torch.from_numpy(scores)[None]
    (greedy, _), iterated = suppress_non_maxima(heatmap, 4), simple_nms(heatmap, 4)
    assert int((greedy > 0).sum()) > 20
    # Greedy NMS keeps all that three rounds of max-pooling keep; later rounds are missing.
    assert bool((greedy[iterated > 0] > 0).all())
    assert int((iterated > 0).sum()) > 0.6 * int((greedy > 0).sum())
