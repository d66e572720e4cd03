# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Textures are interpolated near the camera, and averaged far from it."""

import numpy as np
import pytest

from superpoint_ros.data.scenes.texture_lookup import TexturePyramids

RAMP = np.tile(np.arange(0, 128, 2, dtype=np.uint8), (64, 1))
CHECKS = ((np.indices((64, 64)).sum(axis=0) % 2) * 200).astype(np.uint8)


def look_up(textures, index, uv, footprint=1.0):
    uv = np.atleast_2d(uv).astype(np.float32)
    count = len(uv)
    return TexturePyramids(textures).look_up(
        np.full(count, index), uv, np.full(count, footprint, np.float32)
    )


def test_gray_levels_between_texels_are_interpolated():
    u = (np.array([10.0, 10.25, 30.5]) + 0.5) / 64
    assert look_up([RAMP], 0, np.stack([u, [0.5] * 3], axis=1)) == pytest.approx(
        [20, 20.5, 61], abs=1e-3
    )


def test_v_points_up_from_the_bottom_row():
    texture = np.repeat(np.arange(64, dtype=np.uint8)[:, None], 64, axis=1)
    assert look_up([texture], 0, [[0.5, 0.5 / 64]]) == pytest.approx([63])


def test_textures_repeat():
    assert look_up([RAMP], 0, [[0.3, 0.4]]) == pytest.approx(look_up([RAMP], 0, [[7.3, -2.6]]))
    # Between the last texel, 126, and the first one, 0.
    assert look_up([RAMP], 0, [[0.0, 0.4]]) == pytest.approx([63])


def test_detail_finer_than_a_pixel_is_averaged():
    assert look_up([CHECKS], 0, [[0.51, 0.51]], footprint=16.0) == pytest.approx([100], abs=1)
    # In the middle of a square of 4 texels: a pixel as wide as the square, and twice as wide.
    squares = np.kron(CHECKS[:16, :16], np.ones((4, 4), np.uint8))
    for footprint, gray in ((4.0, squares[2, 2]), (8.0, 100)):
        found = look_up([squares], 0, [[2 / 64, 1 - 2 / 64]], footprint)
        assert found == pytest.approx([gray], abs=1)


def test_each_texture_has_its_own_pyramid_and_plain_points_are_white():
    both = [RAMP, CHECKS[:32]]
    assert look_up(both, 1, [[0.51, 0.51]], footprint=64.0) == pytest.approx([100], abs=1)
    assert look_up(both, -1, [[0.5, 0.5]]) == pytest.approx([255])
    assert look_up([], -1, [[0.5, 0.5]]) == pytest.approx([255])
