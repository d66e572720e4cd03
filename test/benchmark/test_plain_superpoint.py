# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The plain implementation finds what ours finds: it is a fair one to compare with."""

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.benchmark.frames import frames_of, read_photographs
from superpoint_ros.benchmark.plain_superpoint import gray_of, Peer, simple_nms
from superpoint_ros.detection.nms import suppress_non_maxima
from superpoint_ros.files import default_weights
from superpoint_ros.model.weights import load_weights

THRESHOLD = 0.015


@pytest.fixture(scope='module')
def found():
    """Return what the peer and our detector find in a photograph with the shipped weights."""
    model, _ = load_weights(default_weights())
    gray = gray_of(frames_of(read_photographs(), (320, 240))[0])
    detector = Detector.from_model(
        model,
        'cpu',
        'float32',
        'torch',
        threshold=THRESHOLD,
        subpixel=False,
        keypoints='heatmap',
        nms_radius=4,
    )
    return Peer(model, THRESHOLD, radius=4, keypoints=1000, margin=4)(gray), detector(gray)


def test_its_keypoints_are_ours(found):
    peer, ours = ({tuple(point) for point in each.keypoints.tolist()} for each in found)
    assert len(ours) > 100
    # It stops after three rounds of suppression; ours goes on until nothing is left.
    assert len(peer - ours) <= 0.005 * len(ours)
    assert len(peer & ours) >= 0.97 * len(ours)


def test_its_descriptors_are_ours(found):
    peer, ours = found
    place = {tuple(point): index for index, point in enumerate(ours.keypoints.tolist())}
    shared = [
        (i, place[p]) for i, p in enumerate(map(tuple, peer.keypoints.tolist())) if p in place
    ]
    a, b = np.array(shared).T
    cosines = (peer.descriptors[a] * ours.descriptors[b]).sum(axis=1)
    # It normalises before it interpolates, ours after that.
    assert cosines.min() > 0.95
    assert np.median(cosines) > 0.999
    assert peer.scores[a] == pytest.approx(ours.scores[b], rel=1e-3)


def test_iterated_max_pooling_suppresses_as_the_greedy_way_does():
    rng = np.random.default_rng(0)
    scores = cv2.GaussianBlur(rng.random((60, 80)).astype(np.float32), (0, 0), 2)
    heatmap = torch.from_numpy(scores)[None]
    greedy, iterated = suppress_non_maxima(heatmap, 4), simple_nms(heatmap, 4)
    assert int((greedy > 0).sum()) > 20
    # All that it keeps is kept by the greedy way; what came fourth or later is missing.
    assert bool((greedy[iterated > 0] > 0).all())
    assert int((iterated > 0).sum()) > 0.6 * int((greedy > 0).sum())
