# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Calibrations, poses and vectors as messages."""

from __future__ import annotations

from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.poses import quaternion_of


def camera_info_message(camera: CameraModel, header: Header, baseline: float = 0.0) -> CameraInfo:
    """
    Return the calibration as a message, with the matrices r and p of an unrectified camera.

    `baseline` is that of the right camera of a rectified pair, in metres.
    """
    projection = np.zeros((3, 4))
    projection[:, :3] = camera.matrix
    projection[0, 3] = -camera.matrix[0, 0] * baseline
    return CameraInfo(
        header=header,
        width=camera.size[0],
        height=camera.size[1],
        distortion_model=camera.model,
        d=camera.distortion.tolist(),
        k=camera.matrix.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )


def pose_message(pose: np.ndarray, header: Header) -> PoseStamped:
    """Return a pose (4, 4), which maps points to the header's frame, as a message."""
    x, y, z = (float(value) for value in pose[:3, 3])
    quaternion = (float(value) for value in quaternion_of(pose))
    message = PoseStamped(header=header)
    message.pose = Pose(
        position=Point(x=x, y=y, z=z),
        orientation=Quaternion(**dict(zip('xyzw', quaternion, strict=True))),
    )
    return message


def vector_message(values: np.ndarray) -> Vector3:
    """Return three numbers as a message."""
    x, y, z = (float(value) for value in values)
    return Vector3(x=x, y=y, z=z)
