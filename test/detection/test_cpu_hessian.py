# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Extrema found row by row on a CPU are those of the tensor implementation."""

from concurrent.futures import ThreadPoolExecutor

import cv2
from hypothesis import example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from superpoint_ros.detection.cpu_hessian import find_extrema, start_search
from superpoint_ros.detection.cpu_hessian_loops import STRIP
from superpoint_ros.detection.hessian import hessian_response, parabola_offsets
from superpoint_ros.detection.hessian_constants import SADDLE_PROBABILITY


def expected_of(image):
    """Return pixels, and x, y, response, strength and least probability, of an image's extrema."""
    found = hessian_response(torch.from_numpy(image)[None, None])
    where = torch.nonzero(found.extremum, as_tuple=True)
    _, y, x = where
    points = torch.stack([x, y], dim=1) + parabola_offsets(found.response, x[None], y[None])[0]
    least = SADDLE_PROBABILITY * found.saddle[where]
    rest = torch.stack([found.response[where], found.strength[where], least], dim=1)
    return (y * image.shape[1] + x).numpy(), torch.cat([points, rest], dim=1).numpy()


def count_neighbours(pixels, others, width):
    """Return the number of pixels that are next to one of the others."""
    rows = np.abs(pixels[:, None] // width - others // width)
    columns = np.abs(pixels[:, None] % width - others % width)
    return int((np.maximum(rows, columns) <= 1).any(axis=1).sum())


def assert_as_expected(image, helpers=0):
    pixels, values = expected_of(image)
    found = start_search(image, helpers)()
    assert found.size == image.shape
    assert (np.diff(found.pixels) > 0).all()
    _, here, there = np.intersect1d(found.pixels, pixels, return_indices=True)
    # Rounding may decide otherwise between two neighbours, and whether a saddle counts: in one of
    # 150 images of the noise below for one pixel, in one of 40,000 for two.
    shared = len(here) + count_neighbours(
        np.setdiff1d(pixels, found.pixels), np.setdiff1d(found.pixels, pixels), image.shape[1]
    )
    assert shared >= 0.999 * max(len(pixels), len(found.pixels)) - 2
    columns = (found.points, found.response, found.strength, found.min_probability)
    ours, theirs = np.column_stack(columns)[here], values[there]
    alike = np.isclose(ours, theirs, rtol=1e-2, atol=0.02).all(axis=1)
    assert alike.sum() >= 0.99 * len(here) - 1
    strong = alike & (theirs[:, 2] > 30)
    np.testing.assert_allclose(ours[strong, :2], theirs[strong, :2], atol=0.02)
    np.testing.assert_allclose(ours[strong, 2:], theirs[strong, 2:], rtol=5e-3)
    return len(here)


def noisy(image):
    """Return an image without areas so smooth that rounding decides what is an extremum there."""
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize('helpers', [0, 1, 2])
@pytest.mark.parametrize('kind', [np.uint8, np.float32])
def test_extrema_are_those_of_the_whole_image(photograph, kind, helpers):
    assert assert_as_expected(photograph.astype(kind), helpers) > 1000


def test_extrema_are_those_of_an_image_that_is_a_view_of_another(photograph):
    assert assert_as_expected(photograph[3:150, 5:-9]) > 500


def test_extrema_are_those_of_an_image_wider_than_a_strip(photograph):
    wide = noisy(np.hstack([photograph[:90]] * 8))
    assert wide.shape[1] > 3 * STRIP
    assert assert_as_expected(wide, helpers=2) > 3000


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 2**16),
    sigma=st.floats(0.3, 4.0),
)
@example(size=(31, 44), seed=44, sigma=3.6875)  # two pairs of neighbours with equal responses
@example(size=(39, 58), seed=8, sigma=3.3377441842348112)  # two pixels, barely extrema
@settings(max_examples=40, deadline=None)
def test_extrema_are_those_of_noise_of_any_size(size, seed, sigma):
    noise = np.random.default_rng(seed).normal(128, 60, size)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma).reshape(size)
    assert_as_expected(smooth.clip(0, 255).astype(np.float32))


def test_crossings_of_a_checkerboard_are_extrema():
    board = np.kron(np.indices((4, 5)).sum(axis=0) % 2, np.ones((24, 24)))
    image = cv2.GaussianBlur(50 + 150 * board, (5, 5), 0.7).astype(np.uint8)
    found = find_extrema(image)
    crossings = found.points[found.min_probability > 0]
    for y in (24, 48, 72):
        for x in (24, 48, 72, 96):
            assert np.abs(crossings - [x - 0.5, y - 0.5]).max(axis=1).min() < 0.1


@pytest.mark.parametrize('sigma', [0.7, 3.0])
@pytest.mark.parametrize('size', [(90, 449), (90, 450), (449, 90), (300, 400), (480, 640)])
def test_extrema_are_those_of_a_large_or_a_small_image(size, sigma):
    noise = np.random.default_rng(0).normal(0, 1, size)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    image = (128 + 50 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    assert assert_as_expected(image, helpers=2) > 300


@pytest.mark.parametrize('helpers', [1, 2, 3, 8, 100])
@pytest.mark.parametrize('height', [60, 300, 800])
def test_extrema_do_not_depend_on_the_number_of_threads(photograph, helpers, height):
    image = np.resize(photograph, (height, photograph.shape[1]))
    whole, parts = find_extrema(image), start_search(image, helpers)()
    np.testing.assert_array_equal(parts.pixels, whole.pixels)
    np.testing.assert_array_equal(parts.points, whole.points)
    np.testing.assert_array_equal(parts.strength, whole.strength)


def test_extrema_of_images_in_concurrent_threads_are_the_same(photograph):
    images = [photograph[:height] for height in (100, 211, 60, 100)]
    alone = [find_extrema(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: start_search(image, 2)(), images * 5))
    for index, found in enumerate(together):
        np.testing.assert_array_equal(found.pixels, alone[index % 4].pixels)
        np.testing.assert_array_equal(found.points, alone[index % 4].points)


@pytest.mark.parametrize('level', [0, 128, 255])
def test_a_uniform_image_has_no_extrema(level):
    assert not len(find_extrema(np.full((40, 56), level, np.uint8)).pixels)
