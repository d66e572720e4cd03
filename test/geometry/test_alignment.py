# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Alignments are fitted to matches with many outliers, and their change of view is measured."""

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.alignment import (
    fit_alignment,
    fit_similarity,
    TOLERANCE,
    view_change,
)
from superpoint_ros.geometry.homography import warp_points

SIZE = (320, 240)


def turned(degrees, zoom):
    """Return the similarity that turns clockwise about the origin and zooms."""
    return np.vstack([cv2.getRotationMatrix2D((0, 0), -degrees, zoom), [0, 0, 1]])


def test_a_similarity_is_found_among_more_outliers():
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 300, (60, 2))
    truth = turned(75, 2.0)
    b = warp_points(a, truth)
    b[20:] = rng.uniform(0, 300, (40, 2))
    found = fit_similarity(a, b, 2.0)
    assert 20 <= found.inliers <= 22
    np.testing.assert_allclose(warp_points(a[:20], found.to_b), b[:20], atol=0.5)


@pytest.mark.parametrize('points', [np.zeros((0, 2)), np.zeros((2, 2)), np.ones((9, 2))])
def test_no_similarity_is_found_for_too_few_or_coincident_points(points):
    found = fit_similarity(points, points, 2.0)
    assert found.inliers == 0
    np.testing.assert_array_equal(found.to_b, np.eye(3))


@pytest.mark.parametrize('count', [40, 20])
def test_the_simplest_alignment_that_fits_is_found(count):
    rng = np.random.default_rng(1)
    a = rng.uniform(0, 300, (60, 2))
    shear = np.array([[1.6, 0.4, 5], [-0.2, 0.5, 40], [0, 0, 1]])
    perspective = np.array([[1.2, 0.1, 5], [0.3, 0.9, 20], [0.0015, 0.0005, 1]])
    for truth, tolerance in ((turned(75, 2.0), 1.0), (shear, 1.0), (perspective, 2.0)):
        b = warp_points(a, truth)
        b[count:] = rng.uniform(0, 300, (60 - count, 2))
        found = fit_alignment(a, b, SIZE, SIZE)
        assert found.inliers >= count
        distances = np.linalg.norm(warp_points(a[:count], found.to_b) - b[:count], axis=1)
        assert np.median(distances) < tolerance
    similarity = fit_alignment(a, warp_points(a, turned(75, 2.0)), SIZE, SIZE).to_b
    expected = fit_similarity(a, warp_points(a, turned(75, 2.0)), TOLERANCE * max(SIZE)).to_b
    np.testing.assert_array_equal(similarity, expected)


@pytest.mark.parametrize(
    'points', [np.zeros((0, 2)), np.ones((9, 2)), np.stack([np.arange(9.0)] * 2, axis=1)]
)
def test_degenerate_points_give_no_alignment_with_a_strange_shape(points):
    found = fit_alignment(points, points, SIZE, SIZE)
    np.testing.assert_allclose(found.to_b, np.eye(3), atol=1e-6)


def test_view_change_of_known_homographies():
    assert view_change(turned(75, 2.0), SIZE) == pytest.approx((75, 2.0, 1.0))
    assert view_change(np.eye(3), SIZE) == pytest.approx((0, 1, 1))
    assert view_change(np.diag([3.0, 0.75, 1.0]), SIZE) == pytest.approx((0, 1.5, 4))
    assert np.isnan(view_change(np.diag([-1.0, 1.0, 1.0]), SIZE).zoom)
    assert not view_change(np.diag([-1.0, 1.0, 1.0]), SIZE).is_possible


@pytest.mark.parametrize('matrix', [np.diag([1.0, 0.0, 1.0]), np.diag([1e9, 1e9, 1.0])])
def test_a_homography_that_cannot_be_inverted_has_no_view_change(matrix):
    change = view_change(matrix, SIZE)
    assert np.isnan(change).all()
    assert not change.is_possible


@pytest.mark.parametrize('seed', range(40))
def test_matches_of_points_on_a_line_have_an_alignment_or_none(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 400, 60)
    a = np.stack([x, 2 * x + 3], axis=1).astype(np.float32)
    found = fit_alignment(a, rng.integers(0, 4, (60, 2)) * 100.0, SIZE, SIZE)
    assert np.isfinite(found.to_b).all()
