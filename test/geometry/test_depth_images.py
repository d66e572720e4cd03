# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Depths of keypoints from registered depth images with holes and edges."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.geometry.depth_images import DepthImageError, image_depths
from superpoint_ros.geometry.depth_settings import DepthSettings

SIZE = (40, 30)


def slanted():
    """Return the depths of a slanted plane, whose inverse is linear in the image."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    return (1 / (0.5 + 0.002 * x - 0.003 * y)).astype(np.float32)


def test_depths_of_a_plane_are_exact_between_pixels():
    points = np.array([[10.0, 10.0], [20.25, 5.75], [38.9, 28.8], [0.3, 0.2]])
    depths = image_depths(slanted(), points, SIZE)
    true = 1 / (0.5 + 0.002 * points[:, 0] - 0.003 * points[:, 1])
    np.testing.assert_allclose(depths.values, true, rtol=1e-5)
    np.testing.assert_allclose(depths.sigmas, 0.0012 + 0.0019 * (true - 0.4) ** 2, rtol=1e-5)


@pytest.mark.parametrize('hole', [0.0, np.nan, np.inf, -1.0])
def test_holes_are_unknown_and_pixels_beside_them_use_the_rest(hole):
    depth = slanted()
    depth[10:14, 10:14] = hole
    points = np.array([[11.4, 11.6], [9.2, 12.0], [30.0, 20.0]])
    depths = image_depths(depth, points, SIZE)
    np.testing.assert_array_equal(depths.known, [False, True, True])
    np.testing.assert_allclose(depths.values[1], slanted()[12, 9], rtol=1e-5)


def test_depths_at_an_edge_are_unknown():
    depth = np.full(SIZE[::-1], 2.0, np.float32)
    depth[:, 20:] = 3.0
    points = np.array([[18.0, 5], [18.6, 5], [20.4, 5], [21.6, 5]])
    depths = image_depths(depth, points, SIZE)
    np.testing.assert_array_equal(depths.values, [2, np.nan, np.nan, 3])


def test_depths_beyond_the_limits_are_unknown():
    depth = np.full(SIZE[::-1], 2.0, np.float32)
    points = np.array([[5.0, 5]])
    assert image_depths(depth, points, SIZE, DepthSettings(max_depth=2.5)).known.all()
    assert not image_depths(depth, points, SIZE, DepthSettings(max_depth=1.9)).known.any()
    assert not image_depths(depth, points, SIZE, DepthSettings(min_depth=2.1)).known.any()


def test_no_keypoints_and_an_image_of_holes_are_normal():
    assert len(image_depths(slanted(), np.zeros((0, 2)), SIZE)) == 0
    empty = np.full(SIZE[::-1], np.nan, np.float32)
    assert not image_depths(empty, np.array([[5.0, 5]]), SIZE).known.any()


def test_a_depth_image_of_another_size_is_refused():
    with pytest.raises(DepthImageError, match='has 40x30 pixels and the image 640x480'):
        image_depths(slanted(), np.zeros((1, 2)), (640, 480))
