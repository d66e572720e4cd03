# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Disparities refined by aligning both images of a rendered stereo pair."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.geometry.disparity import refine_disparities
from support.stereo_pairs import stereo_pair


@pytest.fixture(scope='module')
def pair():
    """Return left and right image, the function of true disparities, and points (N, 2)."""
    left, right, disparities = stereo_pair()
    points = np.random.default_rng(0).uniform([60, 20], [290, 210], (100, 2))
    return left, right, disparities, points


def test_disparities_and_deviations_are_those_of_operations_on_whole_arrays():
    # The results of the same method in NumPy and OpenCV, which rounds positions to 1/32 px.
    left, right, disparities = stereo_pair(disparity=30.0, slope=(0.1, 0.3), gain=0.8)
    points = np.array([[x, y] for y in (70.5, 120.0, 190.75) for x in (90.5, 160.0, 240.25)])
    refined, sigmas = refine_disparities(
        left, right, points, np.round(2 * disparities(points)) / 2
    )
    expected = [8.217, 15.15, 23.116, 23.012, 29.967, 38.031, 44.082, 51.207, 59.265]
    np.testing.assert_allclose(refined, expected, atol=0.01)
    deviations = [0.0511, 0.0299, 0.0441, 0.0408, 0.0536, 0.0447, 0.0621, 0.0407, 0.035]
    np.testing.assert_allclose(sigmas, deviations, rtol=0.03)


@pytest.mark.parametrize('error', [-1.0, -0.4, 0.7])
def test_a_disparity_does_not_depend_on_its_initial_value(pair, error):
    left, right, disparities, points = pair
    exact, _ = refine_disparities(left, right, points, disparities(points))
    refined, _ = refine_disparities(left, right, points, disparities(points) + error)
    np.testing.assert_allclose(refined, exact, atol=0.01)
    assert np.median(np.abs(refined - disparities(points))) < 0.05


def test_a_disparity_that_moves_by_more_than_its_limit_is_unknown(pair):
    left, right, disparities, points = pair
    near, _ = refine_disparities(left, right, points, disparities(points) + 1.3)
    far, sigmas = refine_disparities(left, right, points, disparities(points) + 1.8)
    assert np.isfinite(near).mean() > 0.95
    assert np.isnan(far).all()
    assert np.isnan(sigmas).all()


def test_windows_that_do_not_fit_or_have_no_texture_are_unknown(pair):
    left, right, disparities, points = pair
    flat, stripes = np.full_like(left, 90), left.copy()
    stripes[:] = left[:, :1]  # no texture along rows
    for a, b in ((left, 255 - right), (left, flat), (flat, flat), (stripes, stripes)):
        assert np.isnan(refine_disparities(a, b, points, disparities(points))).all()
    dark = (right / 3).astype(np.uint8)  # the images differ by more than a gain of 2.5
    assert np.isnan(refine_disparities(left, dark, points, disparities(points))).all()


def test_points_at_the_border_have_disparities_and_those_outside_have_none():
    left, right, disparities = stereo_pair(noise=0.0)
    inside = np.array([[60.0, 2], [160, 3.5], [160, 236]])
    refined, _ = refine_disparities(left, right, inside, disparities(inside) + 0.5)
    np.testing.assert_allclose(refined, disparities(inside), atol=0.05)
    outside = np.array([[160.0, -1], [160, 240], [320, 100], [-1, 100], [10, 100], [np.nan, 100]])
    assert np.isnan(refine_disparities(left, right, outside, np.full(6, 20.0))).all()
    assert np.isnan(refine_disparities(left, right, inside, np.full(3, np.nan))).all()


def test_parts_of_images_and_read_only_images_give_the_same(pair):
    left, right, disparities, points = pair
    wide = np.zeros((2, 260, 400), np.uint8)
    for place, image in zip(wide, (left, right), strict=True):
        place[:240, :320] = image
    wide.flags.writeable = False
    expected = refine_disparities(left, right, points, disparities(points))
    found = refine_disparities(*wide[:, :240, :320], points, disparities(points))
    np.testing.assert_array_equal(found, expected)
    assert [len(each) for each in refine_disparities(left, right, points[:0], [])] == [0, 0]
