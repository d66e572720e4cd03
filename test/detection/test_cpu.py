# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Keypoints of an image's blobs, found row by row on a CPU, are those of its whole heatmap."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from superpoint_ros.detection import cpu as blob_decoding
from superpoint_ros.detection.cpu import detect_blobs
from superpoint_ros.detection.cpu_hessian import find_blob_points
from superpoint_ros.detection.heatmap import detect_keypoints, heatmap_from_logits
from superpoint_ros.detection.hessian import find_blobs
from superpoint_ros.detection.settings import DetectionSettings


def logits_of(image, seed, spread):
    """Return logits (h, w, 65) for the cells of an image, the dustbin's higher on the whole."""
    height, width = (-(-side // 8) for side in image.shape)
    logits = spread * np.random.default_rng(seed).normal(size=(height, width, 65))
    logits[..., 64] += 3
    return logits.astype(np.float32)


def assert_as_expected(image, logits, detection, mask=None):
    height, width = image.shape
    heatmap = heatmap_from_logits(torch.from_numpy(logits).permute(2, 0, 1)[None])
    [(points, scores)] = detect_keypoints(
        heatmap[:, :height, :width],
        detection,
        None if mask is None else torch.from_numpy(mask),
        find_blobs(torch.from_numpy(image)[None, None]),
    )
    ours, ours_scores = detect_blobs(logits, find_blob_points(image), detection, mask)
    assert ours.dtype == ours_scores.dtype == np.float32
    assert (np.diff(ours_scores) <= 0).all() or detection.grid_cells
    # Rounding may decide otherwise between two of nearly the same score.
    assert abs(len(ours) - len(points)) <= 1 + 0.01 * len(points)
    if len(points):
        distance = np.abs(ours[:, None] - points.numpy()).max(axis=2, initial=0)
        found = distance.min(axis=1, initial=np.inf) < 0.02
        assert found.mean() > 0.97
        nearest = scores.numpy()[distance.argmin(axis=1)]
        assert np.isclose(ours_scores, nearest, rtol=2e-3, atol=1e-6)[found].mean() > 0.98
    return ours, ours_scores


@given(
    seed=st.integers(0, 100),
    spread=st.sampled_from([0.5, 2.0, 30.0]),
    radius=st.integers(0, 8),
    threshold=st.sampled_from([0.0, 0.001, 0.02, 0.3]),
    margin=st.integers(0, 20),
    most=st.sampled_from([1, 50, 10_000]),
    grid=st.sampled_from([0, 0, 3]),
    subpixel=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_they_are_those_of_the_whole_heatmap(
    photograph, seed, spread, radius, threshold, margin, most, grid, subpixel
):
    detection = DetectionSettings(
        nms_radius=radius,
        threshold=threshold,
        border_margin=margin,
        max_keypoints=most,
        grid_cells=grid,
        subpixel=subpixel,
    )
    assert_as_expected(photograph, logits_of(photograph, seed, spread), detection)


def test_none_is_where_the_mask_says_so(photograph):
    mask = np.zeros(photograph.shape, bool)
    mask[50:120, 100:] = True
    detection = DetectionSettings(threshold=0.0)
    points, _ = assert_as_expected(photograph, logits_of(photograph, 0, 2.0), detection, mask)
    assert len(points) > 50
    x, y = points.T
    assert (x > 99).all()
    assert (y > 49).all()
    assert (y < 120).all()


@pytest.mark.parametrize('size', [(16, 16), (17, 40), (40, 23)])
def test_images_of_few_cells(size):
    image = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    detection = DetectionSettings(threshold=0.0, border_margin=0)
    points, _ = assert_as_expected(image, logits_of(image, 0, 2.0), detection)
    assert len(points)


def test_an_image_without_blobs_has_no_keypoints():
    image = np.full((40, 48), 77, np.uint8)
    points, scores = assert_as_expected(image, logits_of(image, 0, 2.0), DetectionSettings())
    assert points.shape == (0, 2)
    assert scores.shape == (0,)


def test_the_exponential_is_exact_to_the_rounding():
    x = -np.concatenate([np.linspace(0, 87, 1000), [0, 1e-7, 0.34657, 0.34658]])
    found = [blob_decoding._exp(np.float32(each), blob_decoding._POWERS) for each in x]
    # An argument of -87 is itself rounded by 4e-6.
    np.testing.assert_allclose(found, np.exp(x.astype(np.float32).astype(float)), rtol=1e-5)
    near = x > -2
    exact = np.exp(x.astype(np.float32).astype(float))
    np.testing.assert_allclose(np.array(found)[near], exact[near], rtol=5e-7)
    assert blob_decoding._exp(np.float32(-1e30), blob_decoding._POWERS) < 1e-37
