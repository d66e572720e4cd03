# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Blobs and corners are marked where they are, the strongest first."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.files import demo_photographs
from superpoint_ros.training.interest_points import (
    bells,
    blob_response,
    corner_response,
    REACH,
    with_interest_points,
)


def blob_heatmap(image, most):
    return bells(blob_response(image), most)


def picture(places, heights, sigma=1.5, size=(120, 90)):
    """Return an image, uint8, with blobs of these heights at the places (x, y)."""
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    total = np.full(size[::-1], 60.0)
    for (u, v), height in zip(places, heights, strict=True):
        total += height * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2))
    return total.round().astype(np.uint8)


def centre(heatmap):
    """Return the heatmap's centre of gravity around its highest pixel, and that pixel's value."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    window = heatmap[y - REACH : y + REACH + 1, x - REACH : x + REACH + 1]
    steps = np.arange(-REACH, REACH + 1)
    offset = np.array([window.sum(axis=0) @ steps, window.sum(axis=1) @ steps]) / window.sum()
    return np.array([x, y]) + offset, heatmap[y, x]


@pytest.mark.parametrize('sigma', [1.0, 1.5, 2.5])
@pytest.mark.parametrize('height', [150, -50])
def test_a_blob_is_marked_within_a_tenth_of_a_pixel(sigma, height):
    rng = np.random.default_rng(0)
    offsets = []
    for _ in range(10):
        place = rng.uniform(40, 50, 2)
        found, value = centre(blob_heatmap(picture([place], [height], sigma), 10))
        assert 0.6 < value <= 1
        offsets.append(found - place)
    assert np.abs(offsets).max() < 0.1
    # Half a pixel lost in the conventions would show here.
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.04


def test_the_strongest_are_taken():
    places, heights = [(30, 30), (60, 30), (90, 60)], [60, 150, 100]
    heatmap = blob_heatmap(picture(places, heights), 2)
    marked = [heatmap[y - 1 : y + 2, x - 1 : x + 2].max() > 0.5 for x, y in places]
    assert marked == [False, True, True]


def test_without_blobs_nothing_is_marked():
    assert not blob_heatmap(np.full((90, 120), 128, np.uint8), 10).any()


def test_marks_of_a_photograph_are_probabilities():
    [path] = [path for path in demo_photographs() if path.stem == 'rocket_factory']
    photograph = read_image(path)[:240, :320].copy()
    heatmap = blob_heatmap(photograph, 100)
    assert heatmap.shape == (240, 320)
    assert heatmap.dtype == np.float32
    assert heatmap.min() == 0
    assert 0.9 < heatmap.max() <= 1
    # A bell has 25 pixels; some of them overlap.
    assert 25 * 20 < np.count_nonzero(heatmap) <= 25 * 100


@pytest.mark.parametrize('angle', [0.2, 0.7, 1.3])
def test_a_corner_is_marked_within_a_pixel_and_an_edge_is_not(angle):
    x, y = np.arange(96.0), np.arange(80.0)[:, None]
    u = (x - 47.6) * np.cos(angle) + (y - 41.2) * np.sin(angle)
    v = (y - 41.2) * np.cos(angle) - (x - 47.6) * np.sin(angle)
    step = 60 + 140 / ((1 + np.exp(-2 * u)) * (1 + np.exp(-2 * v)))
    found, value = centre(bells(corner_response(step.round().astype(np.uint8)), 1))
    # The maximum lies inside of the smooth corner, on its bisector.
    inside = np.array([np.cos(angle) - np.sin(angle), np.cos(angle) + np.sin(angle)])
    assert np.abs(found - [47.6, 41.2] - 1.6 * inside).max() < 0.6
    assert 0.6 < value <= 1


def test_corners_and_blobs_are_added_to_what_the_network_says():
    images = np.stack([picture([(30, 30)], [150]), picture([(80, 50)], [150])])
    both = with_interest_points(lambda images: images.astype(np.float32) / 255, 0.5, 0.2, 10)
    blobs, corners = (
        np.stack([bells(response(image), 10) for image in images])
        for response in (blob_response, corner_response)
    )
    assert both(images) == pytest.approx(images / 255 + 0.5 * blobs + 0.2 * corners, abs=1e-6)
    alone = with_interest_points(None, 0.0, 1.0, 10)
    assert alone(images) == pytest.approx(corners, abs=1e-6)
