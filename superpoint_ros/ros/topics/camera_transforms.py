# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The transforms that the visual odometry publishes for tf2."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseStamped, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile

from superpoint_ros.ros.node_log import ThrottledWarnings

_STATIC = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class CameraTransforms:
    """
    Publisher of the transforms from one fixed frame to the frames of cameras.

    The log says why one is not sent: tf2 would refuse it, or the frame of the camera has a parent
    on `/tf_static`, as cameras that are mounted on a robot have. With a second parent, the tree of
    frames would change with each message. Raises ImportError without tf2_ros.
    """

    def __init__(self, node: Node, fixed_frame: str):
        from tf2_msgs.msg import TFMessage
        from tf2_ros import TransformBroadcaster

        self._node, self._fixed = node, fixed_frame
        self._warnings = ThrottledWarnings(node.get_logger())
        self._parents: dict[str, str] = {}
        self._broadcaster = TransformBroadcaster(node)
        self._subscription = node.create_subscription(
            TFMessage, '/tf_static', self._note_parents, _STATIC
        )

    def destroy(self) -> None:
        """Leave the topics."""
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._broadcaster.pub_tf)

    def send(self, pose: PoseStamped, camera: str) -> None:
        """Publish the pose of the frame `camera` in the fixed frame, unless something forbids."""
        why_not = self._why_not(camera)
        if why_not:
            self._warnings.warn(f'no transforms are published: {why_not}')
            return
        transform = TransformStamped(header=pose.header, child_frame_id=camera)
        position = pose.pose.position
        transform.transform.translation = Vector3(x=position.x, y=position.y, z=position.z)
        transform.transform.rotation = pose.pose.orientation
        self._broadcaster.sendTransform(transform)

    def _why_not(self, camera: str) -> str:
        """Return why no transform to a frame can be sent; empty if it can."""
        name = tf_name(camera)
        if name in ('', tf_name(self._fixed)):
            return (
                f'the frame_id of the images is {camera!r}; set header.frame_id in the camera '
                f'driver to a frame of the camera that is not {self._fixed} (odom_frame)'
            )
        if name in self._parents:
            return (
                f'the frame {name} of the camera has the parent {self._parents[name]} on '
                '/tf_static. Use the poses on odometry and set publish_tf:=false, or start the '
                'camera driver without its transforms'
            )
        return ''

    def _note_parents(self, message: Any) -> None:
        for each in message.transforms:
            self._parents[tf_name(each.child_frame_id)] = tf_name(each.header.frame_id)


def tf_name(frame: str) -> str:
    """Return the name of a frame as tf2 reads it, without the slash of ROS 1."""
    return frame.removeprefix('/')
