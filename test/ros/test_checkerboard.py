# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The shipped weights find, through real topics, the corners of a checkerboard where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros.ros.messages.feature_messages import features_from_message
from support.ros_domain import ros_domain

SQUARE = 60
COLUMNS, ROWS = 8, 6
FINE = 4


def checkerboard():
    """
    Return an image of 640x480 and its board's inner corners (35, 2), x and y in pixels.

    The board is seen at an angle. It is drawn four times finer and averaged, so that its corners
    are known to a fraction of a pixel.
    """
    side = SQUARE * FINE
    board = np.kron(np.indices((ROWS, COLUMNS)).sum(axis=0) % 2, np.ones((side, side)))
    board = np.pad((40 + 180 * board).astype(np.uint8), side, constant_values=130)
    height, width = board.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    # Of the board with its margin, in pixels of the image; edges, not centres, of pixels.
    seen = np.float32([[60, 20], [600, 50], [560, 450], [30, 430]])
    to_image = cv2.getPerspectiveTransform(corners, seen)
    to_fine = np.diag([FINE, FINE, 1.0]) @ to_image
    centres = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    fine = np.linalg.inv(centres) @ to_fine @ centres
    size = (640 * FINE, 480 * FINE)
    image = cv2.warpPerspective(board, fine, size, flags=cv2.INTER_LINEAR, borderValue=130)
    image = cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)
    x, y = np.meshgrid(np.arange(2, COLUMNS + 1) * side, np.arange(2, ROWS + 1) * side)
    grid = np.stack([x, y], axis=-1).reshape(-1, 1, 2).astype(np.float64)
    return image, cv2.perspectiveTransform(grid, to_image)[:, 0] - 0.5


def test_each_inner_corner_of_a_checkerboard_has_a_keypoint_within_one_and_a_half_pixels(
    make_system,
):
    system = make_system(ros_domain(2))
    image, corners = checkerboard()
    (message,) = system.features_of(image)
    keypoints = features_from_message(message).keypoints
    distances = np.linalg.norm(corners[:, None] - keypoints[None], axis=2).min(axis=1)
    assert len(corners) == 35
    assert distances.max() < 1.5, np.round(distances, 2)
