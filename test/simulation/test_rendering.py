# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The renderer shows panels at their projections, the nearest first, without aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.simulation.rendering import Panel, Renderer
from support.noise_pictures import noise_picture

CAMERA = CameraModel.of_view((160, 120), 70)
BARREL = CameraModel.of_view((160, 120), 70, (-0.25, 0.06, 0.002, -0.001, 0.0))
FISHEYE = CameraModel('equidistant', CAMERA.matrix, [-0.02, 0.01, -0.008, 0.002], CAMERA.size)
EVERY_LENS = pytest.mark.parametrize(
    'camera', [CAMERA, BARREL, FISHEYE], ids=['pinhole', 'barrel', 'fisheye']
)


def panel(value, depth, width=20.0, height=20.0, x=0.0, y=0.0):
    """Return a panel of one gray value that faces a camera at the origin, around (x, y, depth)."""
    texture = np.full((64, 64), value, np.uint8) if np.isscalar(value) else value
    corner = np.array([x - width / 2, y - height / 2, depth])
    return Panel(corner, np.array([width, 0.0, 0]), np.array([0, height, 0.0]), texture)


def project(camera, points):
    still = np.zeros(3)
    lens = cv2.fisheye if camera.model == 'equidistant' else cv2
    points = np.asarray(points, float)[:, None]
    pixels, _ = lens.projectPoints(points, still, still, camera.matrix, camera.coefficients)
    return pixels[:, 0]


@EVERY_LENS
def test_texture_points_are_rendered_where_opencv_projects_them(camera):
    texture = np.zeros((256, 256), np.uint8)
    places = [(64, 64), (180, 90), (128, 128), (70, 190)]
    for u, v in places:
        cv2.circle(texture, (u, v), 9, 255, -1)
    # A rectangle at an angle to the camera.
    right, down = np.array([1.9, 0.1, 0.6]), np.array([-0.1, 2.0, 0.0])
    tilted = Panel(np.array([-1.0, -1.0, 1.8]), right, down, texture)
    image = Renderer([tilted], camera).render(np.eye(4)).image
    points = [tilted.corner + right * (u + 0.5) / 256 + down * (v + 0.5) / 256 for u, v in places]
    found = cv2.connectedComponentsWithStats((image > 100).astype(np.uint8))[3][1:]
    assert len(found) == 4
    for pixel in project(camera, points):
        assert np.linalg.norm(found - pixel, axis=1).min() < 0.35


@EVERY_LENS
def test_rendered_depths_are_exact_and_the_nearest_panel_hides_the_others(camera):
    near, far = panel(200, 2.0, 1.0, 1.0), panel(50, 4.0)
    for order in ([near, far], [far, near]):
        image, depth = Renderer(order, camera).render(np.eye(4))
        corners = project(camera, near.corner + [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
        left, top = np.ceil(corners.min(axis=0) + 2).astype(int)
        right, bottom = np.floor(corners.max(axis=0) - 2).astype(int)
        inside = np.zeros(image.shape, bool)
        inside[top : bottom + 1, left : right + 1] = True
        assert (image[inside] == 200).all()
        np.testing.assert_allclose(depth[inside], 2.0, rtol=1e-5)
        assert (image[:10] == 50).all()
        np.testing.assert_allclose(depth[:10], 4.0, rtol=1e-5)


def test_intersecting_panels_are_rendered_each_in_its_nearer_part():
    # One panel faces the camera at depth 3; the other cuts it and is nearer at the left.
    tilted = Panel(
        np.array([-3.0, -4, 1.5]),
        np.array([6.0, 0, 3.0]),
        np.array([0, 8.0, 0]),
        np.full((64, 64), 250, np.uint8),
    )
    image, depth = Renderer([panel(100, 3.0), tilted], CAMERA).render(np.eye(4))
    assert (image[:, :78] == 250).all()
    assert (image[:, 82:] == 100).all()
    assert (depth <= 3.0 + 1e-4).all()


def test_panels_are_not_rendered_from_behind_nor_behind_the_camera():
    behind = np.diag([-1.0, 1, -1, 1])  # rotated by 180 degrees about the vertical
    renderer = Renderer([panel(200, 2.0)], CAMERA)
    assert (renderer.render(np.eye(4)).image == 200).all()
    assert (renderer.render(behind).image == 0).all()
    through = behind.copy()
    through[2, 3] = 5.0  # behind the panel, looking back at it
    image, depth = renderer.render(through)
    assert (image == 0).all()
    assert np.isinf(depth).all()


def test_rendered_floor_below_the_camera_reaches_the_lower_border():
    floor = Panel(
        np.array([-50.0, 1.0, 50.0]),
        np.array([100.0, 0, 0]),
        np.array([0, 0, -100.0]),
        np.full((64, 64), 90, np.uint8),
    )
    image, depth = Renderer([floor], CAMERA).render(np.eye(4))
    assert (image[64:] == 90).all()
    assert (image[:56] == 0).all()
    focal = CAMERA.matrix[0, 0]
    rows = np.arange(70, 120)
    expected = focal / (rows - 59.5)
    np.testing.assert_allclose(depth[70:], np.tile(expected[:, None], (1, 160)), rtol=1e-4)


def test_rendered_stripes_finer_than_pixels_are_gray_and_wide_ones_are_kept():
    stripes = np.zeros((512, 512), np.uint8)
    stripes[:, ::2] = 255
    image = Renderer([panel(stripes, 4.0, 6.0, 6.0)], CAMERA).render(np.eye(4)).image
    assert np.abs(image.astype(int) - 128).max() <= 3
    broad = np.zeros((512, 512), np.uint8)
    broad[:, (np.arange(512) // 64) % 2 == 0] = 255
    image = Renderer([panel(broad, 4.0, 6.0, 6.0)], CAMERA).render(np.eye(4)).image
    assert image.min() == 0
    assert image.max() == 255
    # Two pixels wide: a level of the texture more or less gives 67 or 109.
    narrow = np.zeros((512, 512), np.uint8)
    narrow[:, (np.arange(512) // 6) % 2 == 0] = 255
    image = Renderer([panel(narrow, 4.0, 6.0, 6.0)], CAMERA).render(np.eye(4)).image
    assert image[:, 20:140].std() == pytest.approx(85, abs=8)


def test_rendered_edge_pixels_are_weighted_by_their_coverage():
    focal, errors = CAMERA.matrix[0, 0], []
    for share in np.linspace(0.05, 0.95, 10):  # of column 100, covered by the near panel
        edge = 99.5 + share - 79.5  # pixels from the axis
        near = panel(200, 2.0, 10.0, 10.0, x=edge / focal * 2.0 - 5.0)
        image = Renderer([near, panel(0, 4.0)], CAMERA).render(np.eye(4)).image
        assert (image[:, 99] == 200).all()
        assert (image[:, 101] == 0).all()
        errors.append(image[60, 100] / 200 - share)
    assert np.abs(errors).max() < 0.2  # three rays
    assert np.abs(np.mean(errors)) < 0.02


def test_shifted_rays_are_those_of_a_camera_with_another_principal_point():
    picture = noise_picture(0, (256, 256), (4,))
    right, down = np.array([1.9, 0.1, 0.6]), np.array([-0.1, 2.0, 0.0])
    tilted = Panel(np.array([-1.0, -1.0, 1.8]), right, down, picture)
    matrix = CAMERA.matrix - [[0, 0, 0.4], [0, 0, -0.25], [0, 0, 0]]
    moved = CameraModel('plumb_bob', matrix, [], CAMERA.size)
    shifted = Renderer([tilted], CAMERA).render(np.eye(4), (0.4, -0.25), edges=False)
    expected = Renderer([tilted], moved).render(np.eye(4), edges=False)
    assert np.mean(np.abs(shifted.image.astype(int) - expected.image) > 1) < 0.001
    np.testing.assert_allclose(shifted.depth, expected.depth, rtol=1e-4)


def test_renderer_names_what_it_cannot_render():
    with pytest.raises(ValueError, match='1 to 255 panels, got 0'):
        Renderer([], CAMERA)
    folded = CameraModel.of_view((160, 120), 100, (-0.6, 0, 0, 0, 0))
    with pytest.raises(ValueError, match='is not invertible'):
        Renderer([panel(1, 2.0)], folded)
    with pytest.raises(ValueError, match='multiples of 32, got 50x64'):
        Renderer([panel(np.zeros((64, 50), np.uint8), 2.0)], CAMERA)
