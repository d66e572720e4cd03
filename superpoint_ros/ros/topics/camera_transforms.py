# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The transforms that the visual odometry publishes for tf2."""

from __future__ import annotations

from typing import Any, NamedTuple

from geometry_msgs.msg import TransformStamped, Vector3
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header

from superpoint_ros.geometry.poses import invert, OPTICAL_TO_BODY, pose_matrix
from superpoint_ros.ros.messages.camera_messages import pose_message
from superpoint_ros.ros.node_log import ThrottledWarnings

_STATIC = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class _Mount(NamedTuple):
    """Where a frame is mounted: its pose (4, 4) in the frame `parent`."""

    parent: str
    pose: np.ndarray


class CameraTransforms:
    """
    Publisher of the transforms from one fixed frame to the frames of cameras, or to a robot.

    With a `base_frame`, transforms are to that frame, on which `/tf_static` tells how the cameras
    are mounted. The log says why one is not sent: tf2 would refuse it, or the frame has a parent
    on `/tf_static`, as cameras that are mounted on a robot have. With a second parent, the tree of
    frames would change with each message. Nothing is sent unless `publish`. Raises ImportError
    without tf2_ros.
    """

    def __init__(self, node: Node, fixed_frame: str, base_frame: str = '', publish: bool = True):
        from tf2_msgs.msg import TFMessage
        from tf2_ros import TransformBroadcaster

        self._node, self._fixed, self._base = node, fixed_frame, tf_name(base_frame)
        self._warnings = ThrottledWarnings(node.get_logger())
        self._mounts: dict[str, _Mount] = {}
        self._broadcaster = TransformBroadcaster(node) if publish else None
        self._subscription = node.create_subscription(
            TFMessage, '/tf_static', self._note_mounts, _STATIC
        )

    def destroy(self) -> None:
        """Leave the topics."""
        self._node.destroy_subscription(self._subscription)
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)

    def mount(self, camera: str) -> np.ndarray | None:
        """
        Return the pose (4, 4) of an optical frame in the base frame, None if it is unknown.

        Without a base frame, the base is at the camera, with x forward, y to the left and z up.
        """
        name, pose = tf_name(camera), np.eye(4)
        if self._base in ('', name):
            return OPTICAL_TO_BODY
        for _ in range(len(self._mounts) + 1):  # the frames may form a circle
            if name == self._base:
                return pose
            if name not in self._mounts:
                break
            name, step = self._mounts[name]
            pose = step @ pose
        return None

    def send(self, pose: np.ndarray, mount: np.ndarray, header: Header, camera: str) -> None:
        """
        Publish the transform for a pose (4, 4) of the frame `camera` in the fixed frame.

        `mount` is the result of the method for this camera, `header` is that of the pose.
        """
        if self._broadcaster is None:
            return
        why_not = self._why_not(camera)
        if why_not:
            self._warnings.warn(f'no transforms are published: {why_not}')
            return
        if self._base not in ('', tf_name(camera)):
            pose, camera = pose @ invert(mount), self._base
        found = pose_message(pose, header).pose
        transform = TransformStamped(header=header, child_frame_id=camera)
        position = found.position
        transform.transform.translation = Vector3(x=position.x, y=position.y, z=position.z)
        transform.transform.rotation = found.orientation
        self._broadcaster.sendTransform(transform)

    def _why_not(self, camera: str) -> str:
        """Return why no transform can be sent; empty if it can."""
        name = tf_name(camera)
        if name in ('', tf_name(self._fixed)):
            return (
                f'the frame_id of the images is {camera!r}; set header.frame_id in the camera '
                f'driver to a frame of the camera that is not {self._fixed} (odom_frame)'
            )
        child = self._base or name
        if child not in self._mounts:
            return ''
        parent = self._mounts[child].parent
        if self._base:
            return f'{child} (base_frame) has the parent {parent} on /tf_static: choose {parent}'
        return (
            f'the frame {child} of the camera has the parent {parent} on /tf_static. Choose a '
            'frame of the robot as base_frame, or use the poses on odometry and set '
            'publish_tf:=false'
        )

    def _note_mounts(self, message: Any) -> None:
        for each in message.transforms:
            child, parent = tf_name(each.child_frame_id), tf_name(each.header.frame_id)
            position, rotation = each.transform.translation, each.transform.rotation
            try:
                pose = pose_matrix(
                    [position.x, position.y, position.z],
                    [rotation.x, rotation.y, rotation.z, rotation.w],
                )
            except ValueError as error:
                self._warnings.warn(f'/tf_static: {error}, from {parent} to {child}')
                continue
            self._mounts[child] = _Mount(parent, pose)


def tf_name(frame: str) -> str:
    """Return the name of a frame as tf2 reads it, without the slash of ROS 1."""
    return frame.removeprefix('/')
