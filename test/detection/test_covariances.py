# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Covariances of keypoints follow the structure of the image around them."""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.detection.covariances import keypoint_covariances
from superpoint_ros.detection.settings import DetectionSettings
from support.noise_pictures import noise_picture


def ramp(angle, size=60):
    """Return a smooth edge through the centre; the angle of its normal is in degrees."""
    y, x = np.mgrid[:size, :size] - size // 2
    across = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    return (128 + 100 * np.tanh(across / 2)).astype(np.uint8)


def test_the_variance_along_an_edge_is_larger_than_across_it():
    for angle in (0, 30, 90, 135):
        (covariance,) = keypoint_covariances(ramp(angle), np.array([[30.2, 29.8]]))
        values, vectors = np.linalg.eigh(covariance)
        assert values[1] > 20 * values[0] > 0
        along = np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        assert abs(vectors[:, 1] @ along) > 0.99


def test_covariances_depend_on_sharpness_and_not_on_contrast():
    picture = noise_picture(2)
    points = np.random.default_rng(0).uniform([20, 20], [140, 100], (30, 2)).astype(np.float32)
    plain = keypoint_covariances(picture, points)
    assert plain.dtype == np.float32
    faint = keypoint_covariances((picture // 2 + 60).astype(np.uint8), points)
    np.testing.assert_allclose(np.trace(faint, axis1=1, axis2=2).mean(), 2 * 0.006, rtol=0.7)
    np.testing.assert_allclose(faint, plain, rtol=0.2, atol=5e-4)
    blurred = keypoint_covariances(cv2.GaussianBlur(picture, (0, 0), 3), points)
    assert np.median(blurred[:, 0, 0] / plain[:, 0, 0]) > 1.5


def test_points_without_contrast_and_at_borders_have_finite_covariances():
    flat = np.full((40, 50), 7, np.uint8)
    found = keypoint_covariances(flat, np.array([[20, 20], [0, 0], [49, 39], [-3, 80]]))
    np.testing.assert_allclose(found, np.tile(4 * np.eye(2), (4, 1, 1)))
    corners = np.array([[0, 0], [159, 119], [0.4, 60]])
    found = keypoint_covariances(noise_picture(1), corners)
    assert (np.linalg.eigvalsh(found) > 0).all()
    assert keypoint_covariances(flat, np.zeros((0, 2))).shape == (0, 2, 2)


def test_covariances_grow_with_the_pixels_in_which_keypoints_are_detected():
    picture, points = noise_picture(2), np.array([[30.5, 40], [100, 60]])
    plain = keypoint_covariances(picture, points)
    reduced = keypoint_covariances(picture, points, DetectionSettings(max_image_size=80))
    assert picture.shape[1] == 160
    np.testing.assert_allclose(reduced, 4 * plain, rtol=1e-6)
    enlarged = keypoint_covariances(picture, points, DetectionSettings(upscale_factor=2.0))
    np.testing.assert_allclose(enlarged, plain / 4, rtol=1e-6)


def test_keypoints_that_are_less_precise_have_larger_variances():
    picture, points = noise_picture(2), np.array([[30.5, 40], [100, 60]])
    plain = keypoint_covariances(picture, points, DetectionSettings())
    whole = keypoint_covariances(picture, points, DetectionSettings(subpixel=False))
    np.testing.assert_allclose(whole - plain, np.tile(np.eye(2) / 12, (2, 1, 1)), atol=1e-6)
    heatmap = keypoint_covariances(picture, points, DetectionSettings(keypoints='heatmap'))
    np.testing.assert_allclose(heatmap - plain, np.tile(np.eye(2) / 10, (2, 1, 1)), atol=1e-6)
