# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Homographies map points, images and masks consistently."""

import re

import cv2
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from superpoint_ros.geometry.homography import (
    estimate_homography,
    homography_inliers,
    is_inside,
    local_jacobian,
    resample,
    scaling,
    valid_mask,
    warp_image,
    warp_points,
)

SHIFT = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1]], float)


def test_points_are_inside_up_to_the_centres_of_the_outermost_pixels():
    points = np.array([[0, 0], [9, 4], [9.1, 2], [2, 4.1], [-0.1, 2], [np.nan, 2], [2, np.inf]])
    assert is_inside(points, (10, 5)).tolist() == [True, True, *[False] * 5]
    assert is_inside(points[:2] + [[2, 1], [-2, -1]], (10, 5), border=1).tolist() == [True, True]
    assert is_inside(points[:2], (10, 5), border=1).tolist() == [False, False]
    assert is_inside(np.zeros((0, 2)), (10, 5)).shape == (0,)


def test_warped_points_follow_the_homography():
    projective = np.array([[2, 0, 1], [0, 3, 2], [0.5, 0, 1]])
    points = np.array([[2.0, 4.0], [0.0, 0.0]])
    assert warp_points(points, projective) == pytest.approx(np.array([[2.5, 7.0], [1.0, 2.0]]))


def test_warped_points_keep_their_dtype_also_without_points():
    assert warp_points(np.zeros((0, 2), np.float32), SHIFT).shape == (0, 2)
    assert warp_points(np.zeros((3, 2), np.float32), SHIFT).dtype == np.float32
    assert warp_points(np.zeros((3, 2), np.int64), SHIFT).dtype == np.float64


def test_warped_points_beyond_the_horizon_are_nan():
    horizon = np.array([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1]])
    warped = warp_points(np.array([[5.0, 1.0], [10.0, 1.0], [20.0, 1.0]]), horizon)
    assert np.isfinite(warped[0]).all()
    assert np.isnan(warped[1:]).all()


@given(
    st.lists(st.floats(-0.2, 0.2), min_size=4, max_size=4),
    st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    st.tuples(st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3)),
)
def test_the_inverse_homography_maps_points_back(linear, translation, perspective):
    homography = np.eye(3)
    homography[:2, :2] += np.reshape(linear, (2, 2))
    homography[:2, 2] = translation
    homography[2, :2] = perspective
    points = np.random.default_rng(0).uniform(0, 100, (20, 2))
    back = warp_points(warp_points(points, homography), np.linalg.inv(homography))
    assert back == pytest.approx(points, abs=1e-6)


def test_warped_images_agree_with_warped_points():
    image = np.zeros((40, 60), np.uint8)
    image[20, 30] = 255
    warped = warp_image(image, SHIFT)
    assert np.argwhere(warped == 255).tolist() == [[17, 35]]
    assert warp_image(image, SHIFT, (80, 50)).shape == (50, 80)


def test_the_homography_of_scaling_is_that_of_cv2_resize():
    image = np.random.default_rng(0).integers(0, 255, (32, 48)).astype(np.float32)
    resized = cv2.resize(image, (96, 64), interpolation=cv2.INTER_LINEAR)
    warped = warp_image(image, scaling(2), (96, 64))
    assert warped[2:-2, 2:-2] == pytest.approx(resized[2:-2, 2:-2], abs=0.5)


def test_the_valid_mask_is_where_the_warped_image_shows_the_source():
    homography = np.array([[0.9, 0.2, 3], [-0.1, 1.1, 4], [1e-3, 5e-4, 1]])
    white = np.full((40, 60), 255, np.uint8)
    shown = warp_image(white, homography, (70, 50)) == 255
    mask = valid_mask(homography, (60, 40), (70, 50))
    # OpenCV rounds positions to 1/32 of a pixel: pixels on the very edge may differ.
    assert (mask != shown).mean() < 0.005


@pytest.mark.parametrize('tilt', [0.01, 0.04, 0.2])
def test_the_valid_mask_is_correct_if_most_of_the_source_is_beyond_the_horizon(tilt):
    # The horizon crosses the source at x = 1 / tilt, left of its centre for the stronger tilts.
    homography = np.array([[1, 0, 0], [0, 1, 0], [-tilt, 0, 1]])
    mask = valid_mask(homography, (60, 40), (50, 30))
    points = np.stack(np.meshgrid(np.arange(50.0), np.arange(30.0)), axis=-1).reshape(-1, 2)
    # x' = x / (1 - tilt x), so x = x' / (1 + tilt x') and y = y' / (1 + tilt x').
    source = points / (1 + tilt * points[:, :1])
    expected = (source <= [59, 39]).all(axis=1).reshape(30, 50)
    assert expected.all()
    assert (mask == expected).all()
    assert warp_points(source, homography) == pytest.approx(points, abs=1e-6)


def test_the_valid_mask_ends_at_the_horizon():
    # The target's pixels beyond x = 20 would show the source mirrored, from behind.
    homography = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-0.05, 0, 1]]))
    mask = valid_mask(homography, (60, 40), (50, 30))
    assert mask[0, :20].tolist() == [x / (1 - 0.05 * x) <= 59 for x in range(20)]
    assert not mask[:, 20:].any()


def test_erosion_of_the_valid_mask_is_in_pixels_of_the_source():
    mask = valid_mask(np.eye(3), (20, 10), erosion=3)
    assert np.argwhere(mask).min(axis=0).tolist() == [3, 3]
    assert np.argwhere(mask).max(axis=0).tolist() == [6, 16]
    doubled = np.argwhere(valid_mask(scaling(2), (20, 10), (40, 20), erosion=3))
    assert doubled.min(axis=0).tolist() == [7, 7]  # source pixel 3 is at 6.5
    assert doubled.max(axis=0).tolist() == [12, 32]
    tilted = np.array([[1, 0, 0], [0, 1, 0], [0.03, 0.02, 1]])
    x, y = np.meshgrid(np.arange(20.0), np.arange(10.0))
    source = warp_points(np.stack([x.ravel(), y.ravel()], axis=1), np.linalg.inv(tilted))
    expected = ((source >= 2) & (source <= [17, 7])).all(axis=1).reshape(10, 20)
    assert 10 < expected.sum() < 60
    np.testing.assert_array_equal(valid_mask(tilted, (20, 10), erosion=2), expected)


@pytest.mark.parametrize(
    ('homography', 'message'),
    [
        (np.zeros((3, 3)), 'cannot be inverted'),
        (np.eye(2), r'\(3, 3\)'),
        (np.eye(3) * np.nan, 'in'),
    ],
)
def test_an_invalid_homography_is_refused(homography, message):
    with pytest.raises(ValueError, match=message):
        warp_points(np.zeros((1, 2)), homography)


@pytest.mark.parametrize('shape', [(2,), (2, 3), (1, 2, 2)])
def test_points_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f'shape (N, 2), got {shape}')):
        warp_points(np.zeros(shape), SHIFT)


def test_the_local_jacobian_is_the_magnification_at_a_point():
    jacobian = local_jacobian(np.diag([4.0, 3.0, 1.0]), np.array([5.0, 7.0]))
    np.testing.assert_allclose(jacobian, [[4, 0], [0, 3]])
    horizon = np.array([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1]])
    assert np.isnan(local_jacobian(horizon, np.array([20.0, 1.0]))).all()


def test_resampling_shrinks_without_aliasing_and_keeps_positions():
    stripes = np.tile(np.array([0, 200], np.uint8), (64, 32))
    small = resample(stripes, scaling(0.25), (16, 16))
    np.testing.assert_allclose(small, 100, atol=2)
    y, x = np.mgrid[:90, :120]
    spot = 250 * np.exp(-((x - 50.3) ** 2 + (y - 41.8) ** 2) / (2 * 6**2))
    homography = scaling(0.25, 0.4)
    moments = cv2.moments(resample(spot.round().astype(np.uint8), homography, (30, 36)))
    found = np.array([[moments['m10'], moments['m01']]]) / moments['m00']
    np.testing.assert_allclose(found, warp_points([[50.3, 41.8]], homography), atol=0.05)


def test_resampling_with_perspective_is_without_aliasing_in_the_middle():
    # Magnification 1 at the left border, about 1/3 in the middle.
    homography = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-1 / 32, 0, 1]]))
    stripes = np.tile(np.array([0, 200], np.uint8), (256, 128))
    small = resample(stripes, homography, (32, 32))
    np.testing.assert_allclose(small[10:20, 15:18], 100, atol=10)


def test_resampling_that_shrinks_one_direction_keeps_the_other_sharp():
    fine, coarse = np.tile(np.array([0, 200], np.uint8), 64), np.repeat([0, 1], 32)
    stripes = fine[None] * coarse[:, None].astype(np.uint8)  # (64, 128): fine along x, a step in y
    small = resample(stripes, np.diag([0.25, 1.0, 1.0]), (32, 64))
    np.testing.assert_allclose(small[:32], 0)
    np.testing.assert_allclose(small[32:], 100, atol=2)


def test_resampling_that_enlarges_is_plain_warping():
    image = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    large = resample(image, scaling(2), (60, 40))
    expected = warp_image(image, scaling(2), (60, 40), cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(large, expected)


def test_homography_estimate_tolerates_wrong_matches_and_is_reproducible():
    rng = np.random.default_rng(0)
    truth = np.array([[0.9, 0.2, 12], [-0.15, 1.1, 5], [2e-4, -1e-4, 1]])
    a = rng.uniform(0, 400, (120, 2))
    b = warp_points(a, truth)
    b[:40] = rng.uniform(0, 400, (40, 2))
    found = estimate_homography(a, b)
    np.testing.assert_allclose(warp_points(a[40:], found), b[40:], atol=0.01)
    assert (estimate_homography(a, b) == found).all()
    assert estimate_homography(a[:3], b[:3]) is None
    assert estimate_homography(np.ones((9, 2)), np.ones((9, 2))) is None


def test_matches_that_fit_the_homography_are_inliers():
    points = np.random.default_rng(0).uniform(0, 300, (40, 2))
    homography = np.array([[1.1, 0.1, 5], [-0.1, 0.9, 8], [1e-4, 0, 1]])
    moved = warp_points(points, homography)
    moved[::8] += [0, 4]
    assert homography_inliers(points, moved).tolist() == [i % 8 > 0 for i in range(40)]


def test_too_few_or_coincident_matches_have_no_inliers():
    assert not homography_inliers(np.eye(3, 2), np.eye(3, 2)).any()
    assert not homography_inliers(np.ones((9, 2)), np.ones((9, 2))).any()
    assert len(homography_inliers(np.zeros((0, 2)), np.zeros((0, 2)))) == 0
