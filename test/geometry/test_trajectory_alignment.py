# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Alignment of an estimated trajectory with the ground truth by a similarity."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.geometry.trajectory_alignment import align, position_errors


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
    with pytest.raises(ValueError, match='at least 3 positions'):
        align(points[:2], truth[:2])
    with pytest.raises(ValueError, match='all equal'):
        align(np.zeros((5, 3)), truth[:5])
