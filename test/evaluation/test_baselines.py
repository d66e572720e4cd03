# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All baselines return keypoints by descending score and unit descriptors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.evaluation.baselines import (
    described_method,
    DETECTORS,
    NMS_RADIUS,
    unit_descriptors,
)


def squares():
    """Return a picture of two squares on gray, and their corners."""
    image = np.full((96, 128), 90, np.uint8)
    image[20:60, 30:70] = 250
    image[50:80, 90:115] = 20
    image = cv2.GaussianBlur(image, (0, 0), 0.7)
    edges = [(30, 20), (69, 20), (30, 59), (69, 59), (90, 50), (114, 50), (90, 79), (114, 79)]
    return image, np.array(edges, float)


@pytest.mark.parametrize('name', DETECTORS)
def test_baseline_detector_finds_the_corners_of_squares_first(name):
    image, corners = squares()
    features = DETECTORS[name](image)
    nearest = np.linalg.norm(corners[:, None] - features.keypoints[None], axis=2).min(axis=1)
    assert nearest.max() <= 2.5
    best = features.keypoints[:8]
    assert np.linalg.norm(corners[:, None] - best[None], axis=2).min(axis=0).max() <= 2.5
    assert features.descriptors.shape == (len(features), 0)
    assert (np.diff(features.scores) <= 0).all()


@pytest.mark.parametrize('name', DETECTORS)
def test_baseline_detections_are_farther_apart_than_the_nms_radius(name):
    rng = np.random.default_rng(0)
    found = DETECTORS[name](rng.integers(0, 256, (80, 100)).astype(np.uint8))
    assert len(found) > 50
    apart = np.abs(found.keypoints[:, None] - found.keypoints[None]).max(axis=2)
    assert apart[~np.eye(len(found), dtype=bool)].min() > NMS_RADIUS


@pytest.mark.parametrize('name', ['sift', 'orb', 'akaze'])
def test_baseline_with_descriptors_matches_an_image_with_itself(name):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (160, 200)).astype(np.uint8)
    image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    method = described_method(name, 100)
    features = method.find(image)
    assert method.name == name.upper()
    assert len(features) >= 50
    assert (np.diff(features.scores) <= 0).all()
    assert np.linalg.norm(features.descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    again = method.find(image)
    similarity = (features.descriptors * again.descriptors).sum(axis=1)
    assert similarity == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(('name', 'size'), [('sift', 128), ('orb', 256), ('akaze', 488)])
def test_baseline_finds_no_features_in_a_blank_image(name, size):
    blank = described_method(name, 100).find(np.full((100, 100), 128, np.uint8))
    assert blank.keypoints.shape == (0, 2)
    assert blank.descriptors.shape == (0, size)
    noise = np.random.default_rng(2).integers(0, 256, (200, 200)).astype(np.uint8)
    assert described_method(name, 100).find(noise).descriptors.shape[1] == size


def test_dot_product_of_binary_descriptors_gives_the_hamming_distance():
    bits = np.array([[0b11110000, 255], [0b11110001, 255], [0b00001111, 0]], np.uint8)
    unit = unit_descriptors(bits)
    assert unit[0] @ unit[0] == pytest.approx(1)
    assert unit[0] @ unit[1] == pytest.approx(1 - 2 * 1 / 16)
    assert unit[0] @ unit[2] == pytest.approx(-1)


def test_unknown_baseline_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown method 'surf': choose from sift, orb, akaze"):
        described_method('surf', 10)
