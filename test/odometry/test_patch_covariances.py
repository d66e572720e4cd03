# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Covariances of aligned patches grow where linearization fails, and with stretched patches."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.odometry.odometry_settings import TrackerSettings
from superpoint_ros.odometry.patch_alignment import Alignment
from superpoint_ros.odometry.patch_covariances import correct_perspective, write_covariances
from superpoint_ros.odometry.patch_pixels import GAINS, PatchMemory
from superpoint_ros.odometry.track_refinement import position_sigmas, TrackRefiner

_LEAST = 1e-4  # squared pixels


SLOT = np.zeros(1, np.int64)


def memory_of(pixels, spread=0.0, perspective=0.0, variance=0.0):
    """Return the memory of one patch."""
    return PatchMemory(
        values=np.zeros((1, pixels), np.float32),
        gains=np.zeros((1, GAINS, pixels), np.float32),
        spreads=np.full((1, 2, 2), spread, np.float32),
        perspectives=np.full((1, 2, 2, 2), perspective, np.float32),
        variances=np.full(1, variance, np.float32),
    )


def found_with(correlation, warp=((1, 0), (0, 1)), point=(0, 0)):
    """Return the alignment of one patch, without a covariance."""
    return Alignment(
        points=np.array([point], np.float32),
        warps=np.array([warp], np.float32),
        correlations=np.full(1, correlation, np.float32),
        covariances=np.zeros((1, 2, 2), np.float32),
    )


def covariance_of(variances, warp=((1, 0), (0, 1)), extra=0.0):
    """Return the covariance (2, 2) whose part from least squares has these two variances."""
    # 0.65 (2 (1 - correlation))^0.7 / 1 pixel = 1: the spread is the covariance of least squares.
    correlation = 1 - 0.65 ** (-1 / 0.7) / 2
    found = found_with(correlation, warp)
    write_covariances(memory_of(1, np.diag(variances), variance=extra), SLOT, found)
    return found.covariances[0]


def test_the_covariance_of_a_precise_patch_is_that_of_least_squares():
    expected = np.diag([2e-5 + _LEAST, 8e-5 + _LEAST])
    np.testing.assert_allclose(covariance_of([2e-5, 8e-5]), expected, rtol=0.05)


def test_the_variance_grows_with_a_power_of_the_residuals():
    variances = []
    for correlation in (0.9, 0.99):
        found = found_with(correlation)
        write_covariances(memory_of(169, 1e-3 * np.eye(2)), SLOT, found)
        variances.append(found.covariances[0, 0, 0] - _LEAST)
    assert variances[0] / variances[1] == pytest.approx(10**0.7, rel=0.01)


def test_the_variance_along_an_edge_is_enlarged_but_not_that_across_it():
    across, along = np.diag(covariance_of([1e-4, 0.08]))
    assert across == pytest.approx(1e-4 + _LEAST, rel=0.03)
    assert along == pytest.approx(0.08 * 41 + _LEAST, rel=0.001)
    assert covariance_of([0.002, 0.002])[0, 0] == pytest.approx(0.004 + _LEAST, rel=0.001)


@pytest.mark.parametrize('angle', [0.0, 0.7])
def test_covariances_of_patches_that_are_stretched_in_one_direction_are_doubled(angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = turn @ np.diag(np.exp([0.25, -0.25])) @ turn.T  # the area remains
    small = 5e-7 * np.ones(2)
    stretched = covariance_of(small, stretch) - np.diag([_LEAST, _LEAST])
    np.testing.assert_allclose(stretched, 1e-6 * stretch @ stretch.T, atol=2e-9)
    enlarged = covariance_of(small, 1.3 * turn) - np.diag([_LEAST, _LEAST])
    np.testing.assert_allclose(enlarged, 1.69 * 5e-7 * np.eye(2), atol=2e-9)


@pytest.mark.parametrize('shear', [0.0, 0.05, 0.4])
def test_perspective_moves_a_position_as_far_as_the_prior_by_the_stretch_allows(shear):
    warp = np.diag(np.exp([shear / 2, -shear / 2])).astype(np.float32)
    moves, power = np.array([[14.0, 1.0], [2.0, 12.0]]), 20.0
    remains, pixels = np.array([0.03, -0.02]) * power, 169
    memory = memory_of(pixels, perspective=[moves, power * np.eye(2)])
    found = found_with(0.95, warp, (50, 40))
    correct_perspective(memory, SLOT, remains[None].astype(np.float32), found)
    point, _, _, covariance = found
    if not shear:
        assert point.tolist() == [[50, 40]]
        assert not covariance.any()
        return
    variance = 0.65 / pixels * (2 * 0.05) ** 0.7
    precision = power + variance / (0.03 * shear) ** 2
    moved = warp @ moves @ (remains / precision)
    np.testing.assert_allclose(point[0] - [50, 40], moved, rtol=1e-3)
    np.testing.assert_allclose(
        covariance[0], variance / precision * warp @ moves @ moves.T @ warp, rtol=1e-4
    )


def test_a_track_that_is_found_far_from_its_prediction_keeps_a_larger_covariance():
    image = np.random.default_rng(0).integers(0, 256, (60, 90), np.uint8)
    points = np.array([[20, 30], [50, 30], [70, 30]], np.float32)
    refiner, settings = TrackRefiner(), TrackerSettings()
    refiner.set_image(image)
    patches = refiner.start(points)
    variances = []
    for distances in ([0, 2, 4], [0, 0, 0]):
        innovations = np.array(distances, np.float32)
        right, _, covariances, patches = refiner.refine(patches, points, innovations, settings)
        assert right.all()
        variances.append(np.trace(covariances, axis1=1, axis2=2) / 2)
    # Standard deviations of 0.2^2 2^2 = 0.16 px and 0.2^2 4^2 = 0.64 px are added.
    np.testing.assert_allclose(variances[0] - variances[0][0], [0, 0.0256, 0.4096], atol=1e-3)
    np.testing.assert_allclose(variances[1], variances[0], rtol=1e-4)


def test_a_track_that_is_found_too_far_from_its_prediction_is_rejected():
    image = np.random.default_rng(0).integers(0, 256, (60, 90), np.uint8)
    points = np.array([[20, 30], [50, 30], [70, 30]], np.float32)
    refiner, settings = TrackRefiner(), TrackerSettings()
    refiner.set_image(image)
    patches = refiner.start(points)
    innovations = np.array([0, 4.5, 5.5], np.float32)  # 0.81 px and 1.21 px; the limit is 1 px
    right, _, covariances, after = refiner.refine(patches, points, innovations, settings)
    assert right.tolist() == [True, True, False]
    # Another match of the same track is not doubtful.
    right, _, covariances, _ = refiner.refine(after, points, np.zeros(3, np.float32), settings)
    assert right.all()
    assert position_sigmas(covariances)[2] < 0.1
    settings = TrackerSettings(max_sigma=0.0)
    right, _, covariances, _ = refiner.refine(after, points, innovations, settings)
    assert right.all()
    np.testing.assert_allclose(position_sigmas(covariances)[2], 1.21, atol=0.02)
