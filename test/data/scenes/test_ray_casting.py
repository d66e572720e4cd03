# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rendered views show the mesh with exact depth, light and shadows."""

import numpy as np
import pytest

from superpoint_ros.data.scenes.meshes import merge, quad
from superpoint_ros.data.scenes.ray_casting import Lamp, Lighting, PinholeCamera, RayCaster
from support.rooms import picture

pytest.importorskip('embreex', reason="needs the extra 'scenes'")

CAMERA = PinholeCamera(60.0, 64, 48)
# Camera coordinates x right, y down, z forward; it looks along the world's x axis.
POSE = np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
EVEN = Lighting(ambient=1.0, lamps=(), shadows=False, mean=100.0)


def wall(distance=4.0, half=10.0, image=None):
    """Return a wall across the camera's axis, whose picture is upright."""
    return quad(
        np.array([distance, 0, 0]),
        np.array([0, -half, 0]),
        np.array([0, 0, half]),
        picture() if image is None else image,
    )


def test_depth_is_measured_along_the_optical_axis():
    depth = RayCaster(wall()).depth(CAMERA, POSE)
    assert depth == pytest.approx(np.full((48, 64), 4.0), abs=1e-4)


def test_what_nothing_is_behind_has_no_depth():
    depth = RayCaster(wall(half=0.5)).depth(CAMERA, POSE)
    assert (depth[20:28, 28:36] > 0).all()
    assert depth[0, 0] == 0


def test_a_wall_shows_its_picture_upright():
    image = np.zeros((64, 64), np.uint8)
    image[:32, :32] = 200  # top left
    rendered = RayCaster(wall(half=2.0, image=image)).render(CAMERA, POSE, EVEN).image
    top_left, others = rendered[14, 22], (rendered[14, 42], rendered[34, 22], rendered[34, 42])
    assert top_left > 150
    assert max(others) == 0
    # Brightness that grows from left to right, in both triangles of the wall.
    ramp = np.tile(np.arange(0, 192, 3, dtype=np.uint8), (64, 1))
    rendered = RayCaster(wall(half=2.0, image=ramp)).render(CAMERA, POSE, EVEN).image[4:44, 8:56]
    assert np.ptp(rendered, axis=0).max() <= 2
    assert (np.diff(rendered[0].astype(int)) > 0).all()


def test_a_symmetric_wall_has_a_symmetric_image():
    image = picture()
    image = np.maximum(np.maximum(image, image[:, ::-1]), np.maximum(image, image[:, ::-1])[::-1])
    rendered = RayCaster(wall(half=2.0, image=image)).render(CAMERA, POSE, EVEN).image.astype(int)
    # A quarter of a pixel to one side would change gray levels by more.
    assert np.abs(rendered - rendered[:, ::-1]).max() <= 2
    assert np.abs(rendered - rendered[::-1]).max() <= 2


def test_both_sides_of_a_surface_are_lit():
    white, half = np.full((4, 4), 200, np.uint8), 10.0
    turned = quad(np.array([4.0, 0, 0]), np.array([0, half, 0]), np.array([0, 0, half]), white)
    lamp = Lamp(np.array([0.0, 1.5, 0]), 1.0, 3.0)
    lighting = Lighting(ambient=0.0, lamps=(lamp,), shadows=True, mean=100.0)
    front, back = (
        RayCaster(mesh).render(CAMERA, POSE, lighting).image
        for mesh in (wall(image=white), turned)
    )
    assert front.mean() > 50
    np.testing.assert_array_equal(front, back)


def test_the_exposure_reaches_the_mean_gray_level():
    rendered = RayCaster(wall()).render(CAMERA, POSE, EVEN).image
    assert rendered.mean() == pytest.approx(100, abs=4)


def test_a_lamp_lights_what_is_near_it_and_an_obstacle_throws_a_shadow():
    white = np.full((4, 4), 200, np.uint8)
    obstacle = quad(np.array([2.0, 1.5, 0]), np.array([0, -0.3, 0]), np.array([0, 0, 0.3]), white)
    caster = RayCaster(merge([wall(image=white), obstacle]))
    # What is behind the lamp throws no shadow.
    closed = RayCaster(merge([wall(image=white), obstacle, wall(-1.0, image=white)]))
    lamp = Lamp(np.array([0.0, 1.5, 0]), 1.0, 3.0)
    light = {'ambient': 0.1, 'lamps': (lamp,), 'mean': 100.0}
    points = np.array([[4.0, 1.5, 0], [4.0, -1.0, 0]], np.float32)
    normals = np.array([[-1.0, 0, 0]] * 2, np.float32)
    lit = caster._light(points, normals, Lighting(shadows=False, **light))
    shaded = closed._light(points, normals, Lighting(shadows=True, **light))
    # Cosine by 1 + (distance / reach)^2.
    squares = np.array([16, 16 + 2.5**2])
    assert lit == pytest.approx(0.1 + 4 / np.sqrt(squares) / (1 + squares / 9), rel=1e-4)
    assert shaded == pytest.approx([0.1, lit[1]])
    sunny = Lighting(ambient=0.1, lamps=(), shadows=True, mean=100.0, sun=np.array([-1.0, 0, 0]))
    sunlit = caster._light(np.array([[4.0, 0, 0], [4.0, 1.5, 0]], np.float32), normals, sunny)
    assert sunlit == pytest.approx([1.1, 0.1])


def test_vignetting_darkens_the_corners_and_noise_differs_by_its_seed():
    white = np.full((4, 4), 200, np.uint8)
    caster = RayCaster(wall(image=white))

    def render(**effects):
        return caster.render(
            CAMERA, POSE, Lighting(ambient=1.0, lamps=(), shadows=False, mean=100.0, **effects)
        ).image.astype(int)

    dark = render(vignetting=0.5)
    assert dark[0, 0] < 0.65 * dark[24, 32]
    first, again, other = (render(noise=3.0, noise_seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert first.std() == pytest.approx(3.0, abs=0.3)
    assert np.abs(first - other).mean() > 2


def test_a_sky_is_seen_behind_the_mesh():
    higher = np.tile(np.linspace(250, 50, 64).astype(np.uint8)[:, None], 64)
    left = np.tile(np.where(np.arange(64) < 32, 200, 50).astype(np.uint8), (64, 1))
    for sky, darker in ((higher, (20, 0)), (left, (0, 60))):  # brighter there
        image = RayCaster(wall(half=0.5), sky).render(CAMERA, POSE, EVEN).image
        assert image[0, 0] > 1.2 * image[darker]
    without = RayCaster(wall(half=0.5)).render(CAMERA, POSE, EVEN).image
    assert np.ptp(without[:10]) == 0
