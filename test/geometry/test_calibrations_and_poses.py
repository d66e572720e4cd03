# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Calibrations and poses, without ROS."""

from __future__ import annotations

import cv2
from hypothesis import given, settings, strategies
import numpy as np
import pytest

from superpoint_ros.data.sequences.sequence import with_known_size
from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.geometry.poses import camera_pose, pose_matrix, quaternion_of

ANGLES = strategies.floats(-3.2, 3.2)


def test_a_field_of_view_reaches_from_the_left_border_to_the_right_one():
    camera = CameraModel.of_view((640, 480), 90)
    # Borders of pixels, half a pixel beyond the outermost centres, at 45 degrees.
    assert (-0.5 - camera.matrix[0, 2]) / camera.matrix[0, 0] == pytest.approx(-1)
    assert (639.5 - camera.matrix[0, 2]) / camera.matrix[0, 0] == pytest.approx(1)
    assert camera.matrix[1, 2] == 239.5
    assert (camera.model, len(camera.distortion), camera.size) == ('plumb_bob', 0, (640, 480))


def test_a_resized_image_sees_the_same_directions():
    camera = CameraModel.of_view((640, 480), 70)
    half = camera.scaled((320, 240))
    point = np.array([0.3, -0.2, 1])
    place, resized = camera.matrix @ point, half.matrix @ point
    np.testing.assert_allclose(resized[:2], (place[:2] + 0.5) / 2 - 0.5)


@given(strategies.tuples(ANGLES, ANGLES, ANGLES))
@settings(max_examples=60, deadline=None)
def test_quaternions_and_matrices_agree(rotation):
    matrix, _ = cv2.Rodrigues(np.array(rotation))
    quaternion = quaternion_of(matrix)
    assert np.linalg.norm(quaternion) == pytest.approx(1)
    assert quaternion[3] >= 0
    pose = pose_matrix([1, 2, 3], 5 * quaternion)  # of any length
    np.testing.assert_allclose(pose[:3, :3], matrix, atol=1e-9)
    assert pose[:3, 3].tolist() == [1, 2, 3]


def test_the_order_of_a_quaternion_is_that_of_messages():
    # A quarter of a turn about z: x becomes y.
    turn = pose_matrix(np.zeros(3), [0, 0, np.sqrt(0.5), np.sqrt(0.5)])
    np.testing.assert_allclose(turn[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(quaternion_of(turn), [0, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_roll_turns_the_right_of_a_camera_downwards():
    pose = camera_pose(np.array([1.0, 2, 3]), np.array([2.0, 0, 0]), np.radians(30))
    # The camera looks along x of the world: right is -y, down is -z.
    expected = [[0, -np.cos(np.pi / 6), -0.5], [0, 0.5, -np.cos(np.pi / 6)], [1, 0, 0]]
    np.testing.assert_allclose(pose[:3, :3].T, expected, atol=1e-12)
    assert pose[:3, 3].tolist() == [1, 2, 3]


def test_an_invalid_calibration_or_pose_is_named():
    with pytest.raises(ValueError, match='got 180'):
        CameraModel.of_view(degrees=180)
    for numbers in ([0, 0, 0, 0, 0, 0, 0], [0, np.nan, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, np.inf, 1]):
        with pytest.raises(ValueError, match='are not a pose'):
            pose_matrix(numbers[:3], numbers[3:])


def test_a_calibration_without_a_size_fits_images_of_any_size_but_no_sequence():
    camera = CameraModel('', np.eye(3), [], (0, 0))
    assert camera.model == 'plumb_bob'
    camera.check_size((640, 480))
    with pytest.raises(CameraModelError, match='the image size of the camera is missing'):
        with_known_size(camera)
    with pytest.raises(CameraModelError, match=r'must be positive, got \(640, 0\)'):
        CameraModel('plumb_bob', np.eye(3), [], (640, 0))
    with pytest.raises(CameraModelError, match=r'must have shape \(3, 3\), got \(2, 2\)'):
        CameraModel('plumb_bob', np.eye(2), [], (640, 480))
