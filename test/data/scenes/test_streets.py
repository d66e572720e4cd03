# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Streets stand on both sides of a free road, each composed differently."""

import numpy as np
import pytest

from superpoint_ros.data.scenes.meshes import quad
from superpoint_ros.data.scenes.streets import compose_street
from support.rooms import picture

RIGHT, UP = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
HOUSE = quad(np.array([0, 0, 4.0]), 4 * RIGHT, 4 * UP, picture(2))
CONE = quad(np.array([0, 0, 0.3]), 0.2 * RIGHT, 0.3 * UP, picture(3))
GROUND = picture(4)


def test_buildings_stand_on_both_sides_and_leave_the_road_free():
    street = compose_street([HOUSE, CONE], [GROUND], np.random.default_rng(0))
    houses = street.triangles[
        [t is HOUSE.textures[0] for t in street.textures].index(True) == street.texture
    ]
    y = houses[..., 1]
    assert y.min() < -3
    assert y.max() > 3
    assert np.abs(y).min() > 3
    assert np.ptp(houses[..., 0]) > 40


def test_streets_differ_and_stand_on_a_ground_that_shows_a_picture():
    first, second = (
        compose_street([HOUSE, CONE], [GROUND], np.random.default_rng(seed)) for seed in (1, 2)
    )
    assert first.triangles.shape != second.triangles.shape or not np.allclose(
        first.triangles, second.triangles
    )
    ground = [texture is GROUND for texture in first.textures].index(True)
    assert first.triangles[first.texture == ground][..., 2] == pytest.approx(-0.02)


def test_objects_that_are_all_too_large_are_refused():
    huge = quad(np.zeros(3), 40 * RIGHT, UP, picture())
    with pytest.raises(ValueError, match='footprint below 45 m'):
        compose_street([huge], [], np.random.default_rng(0))
