# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Points of one view are mapped to the other by depth and pose, if visible."""

import cv2
import numpy as np
import pytest

from superpoint_ros.data.scenes.correspondences import depth_at, DepthView, transfer
from superpoint_ros.geometry.homography import warp_points

WIDTH, HEIGHT = 80, 60
MATRIX = np.array([[70.0, 0, (WIDTH - 1) / 2], [0, 70.0, (HEIGHT - 1) / 2], [0, 0, 1]])


def plane_depth(normal, offset):
    """Return the depth map of the plane normal . X = offset, in camera coordinates."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(MATRIX).T
    return (offset / (rays @ normal)).astype(np.float32)


def test_points_of_a_tilted_plane_follow_its_homography():
    normal, offset = np.array([0.3, -0.4, 1.0]), 4.0
    pose = np.eye(4)
    pose[:3, :3], _ = cv2.Rodrigues(np.array([0, 0.1, 0]))
    pose[:3, 3] = [-0.3, 0.1, 0.2]
    homography = MATRIX @ (pose[:3, :3] + np.outer(pose[:3, 3], normal) / offset)
    homography = homography @ np.linalg.inv(MATRIX)
    moved_normal = pose[:3, :3] @ normal
    moved_offset = offset + moved_normal @ pose[:3, 3]
    source = DepthView(plane_depth(normal, offset), MATRIX)
    target = DepthView(plane_depth(moved_normal, moved_offset), MATRIX)
    points = np.random.default_rng(0).uniform([0, 0], [WIDTH - 1, HEIGHT - 1], (200, 2))
    places, visible = transfer(points, source, target, pose)
    assert places == pytest.approx(warp_points(points, homography), abs=1e-3)
    inside = ((places >= 0) & (places <= [WIDTH - 1, HEIGHT - 1])).all(axis=1)
    assert 50 < inside.sum() < 200
    assert (visible == inside).all()


def test_a_point_behind_a_nearer_surface_is_not_visible():
    far = DepthView(np.full((HEIGHT, WIDTH), 5.0, np.float32), MATRIX)
    depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    depth[:, 40:] = 2.0
    points = np.array([[20.0, 30.0], [60.0, 30.0]])
    places, visible = transfer(points, far, DepthView(depth, MATRIX), np.eye(4))
    assert places == pytest.approx(points)
    assert visible.tolist() == [True, False]


def test_points_without_depth_or_behind_the_camera_have_no_place():
    depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    depth[:, :10] = 0
    view = DepthView(depth, MATRIX)
    behind = np.eye(4)
    behind[2, 3] = -6.0
    places, visible = transfer(np.array([[3.0, 3.0], [50.0, 30.0]]), view, view, behind)
    assert np.isnan(places).all()
    assert not visible.any()


def test_depth_between_pixels_is_that_of_the_plane_and_at_an_edge_the_nearer_one():
    normal = np.array([0.5, 0.0, 1.0])
    depth = plane_depth(normal, 4.0)
    ray = np.linalg.inv(MATRIX) @ [10.5, 7.25, 1]
    assert depth_at(depth, np.array([[10.5, 7.25]])) == pytest.approx(4.0 / (ray @ normal))
    depth[:, 40:] = 1.0
    assert depth_at(depth, np.array([[39.3, 7.0]])) == pytest.approx(1.0)


def test_no_points_are_no_error():
    view = DepthView(np.ones((HEIGHT, WIDTH), np.float32), MATRIX)
    places, visible = transfer(np.zeros((0, 2)), view, view, np.eye(4))
    assert places.shape == (0, 2)
    assert visible.shape == (0,)
