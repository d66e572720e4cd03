# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Images with features as `rtabmap_msgs/RGBDImage`, for the node `rtabmap` of RTAB-Map.

Importing this module needs rtabmap_msgs.
"""

from __future__ import annotations

from array import array
import struct
import zlib

import numpy as np
from rtabmap_msgs.msg import KeyPoint, Point2f, RGBDImage
from sensor_msgs.msg import CameraInfo, Image

from superpoint_ros.features import Features

KEYPOINT_SIZE, UNKNOWN_ANGLE = 8.0, -1.0
"""Diameter in pixels and angle of keypoints: those that RTAB-Map gives points of PyDetector."""

_CV_32FC1 = 5  # OpenCV's number of the type float32


def rgbd_image_message(
    image: Image, depth: Image, info: CameraInfo, features: Features
) -> RGBDImage:
    """
    Return a colour or gray image, its registered depth image and its features as one message.

    `info` is the calibration of both images. The 3-D points of the keypoints stay empty: RTAB-Map
    computes them from the depth image.
    """
    message = RGBDImage(
        header=image.header, rgb_camera_info=info, depth_camera_info=info, rgb=image, depth=depth
    )
    pairs = zip(features.keypoints.tolist(), features.scores.tolist(), strict=True)
    message.key_points = [
        KeyPoint(
            pt=Point2f(x=x, y=y),
            size=KEYPOINT_SIZE,
            angle=UNKNOWN_ANGLE,
            response=score,
            octave=0,
            class_id=-1,
        )
        for (x, y), score in pairs
    ]
    message.descriptors = compressed_matrix(features.descriptors)
    return message


def compressed_matrix(matrix: np.ndarray) -> array:
    """
    Return a matrix (N, D) as RTAB-Map's `uncompressData` reads it; empty without rows.

    This is the zlib stream of the rows in float32, and rows, columns and OpenCV's type as int32.
    """
    data = array('B')
    if matrix.size:
        rows = np.ascontiguousarray(matrix, np.float32)
        data.frombytes(zlib.compress(rows.tobytes(), 1))
        data.frombytes(struct.pack('<3i', *rows.shape, _CV_32FC1))
    return data
