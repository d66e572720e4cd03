# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Alignment of an estimated trajectory with the ground truth by a similarity."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.geometry.trajectory_alignment import (
    align,
    MIN_POSES,
    position_errors,
    StampedTrajectories,
)


def test_trajectory_alignment_finds_scale_rotation_and_translation():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    truth = 2.5 * points @ rotation.T + [1, 2, 3]
    found = align(points, truth)
    assert found.scale == pytest.approx(2.5)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.apply(points), truth, atol=1e-9)
    assert position_errors(points, truth).max() < 1e-9
    # A mirrored trajectory is no rotated one.
    mirrored = align(points, truth * [1, 1, -1])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1)
    for count, true_count in ((2, 2), (20, 19)):
        with pytest.raises(ValueError, match='the same length with at least 3 positions'):
            align(points[:count], truth[:true_count])
    for position in (0.0, 0.1, 1000.1):
        with pytest.raises(ValueError, match='all equal'):
            align(np.full((10, 3), position), truth[:10])


def stamped(positions, first=0):
    """Return positions by stamps one second apart, (seconds, nanoseconds)."""
    return {(first + number, 0): position for number, position in enumerate(positions)}


def test_stamped_trajectories_are_aligned_by_the_positions_of_equal_stamps():
    points = np.random.default_rng(0).normal(size=(MIN_POSES + 5, 3))
    truth = 2 * points + [1, 2, 3]
    both = StampedTrajectories(stamped(points[:-2]), stamped(truth[3:], first=3))
    estimated, true = both.pairs()
    np.testing.assert_array_equal(estimated, points[3:-2])
    np.testing.assert_array_equal(true, truth[3:-2])
    aligned, true = both.aligned()
    np.testing.assert_allclose(aligned, truth[:-2], atol=1e-9)
    np.testing.assert_array_equal(true, truth[3:])


@pytest.mark.parametrize('kind', ['no truth', 'too few', 'motionless'])
def test_positions_stay_without_ground_truth_and_are_left_out_without_alignment(kind):
    points = np.random.default_rng(0).normal(size=(MIN_POSES, 3))
    estimated = {'too few': points[1:], 'motionless': np.zeros_like(points)}.get(kind, points)
    truth = {} if kind == 'no truth' else stamped(points)
    aligned = StampedTrajectories(stamped(estimated), truth).in_frame_of_truth(points)
    np.testing.assert_array_equal(aligned, points if kind == 'no truth' else points[:0])
