# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A node that joins images, depth images and features for RTAB-Map."""

from __future__ import annotations

from collections.abc import Sequence
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from rtabmap_msgs.msg import RGBDImage
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.image_messages import stamp_key
from superpoint_ros.ros.messages.rtabmap_messages import rgbd_image_message

_WAITING = 30
"""Most stamps that wait for their other messages: the images of one second at 30 Hz."""

_WARNING_PERIOD = 10.0  # seconds


class StampPairing:
    """
    Messages of several topics that belong together because their stamps are equal.

    Of each stamp one message of every topic is needed. The oldest stamps are dropped when more
    than `waiting` are incomplete; `dropped` counts them, and `lacking` has the topics that the
    last of them lacked.
    """

    def __init__(self, topics: Sequence[str], waiting: int = _WAITING):
        self._topics, self._waiting = tuple(topics), waiting
        self._incomplete: dict[tuple[int, int], dict[str, Any]] = {}
        self.dropped = 0
        self.lacking: tuple[str, ...] = ()

    def add(self, topic: str, message: Any) -> list[Any] | None:
        """Return the messages of the stamp in the order of the topics if this completes it."""
        stamp = stamp_key(message)
        messages = self._incomplete.setdefault(stamp, {})
        messages[topic] = message
        if len(messages) == len(self._topics):
            del self._incomplete[stamp]
            return [messages[name] for name in self._topics]
        if len(self._incomplete) > self._waiting:
            oldest = self._incomplete.pop(min(self._incomplete))
            self.lacking = tuple(name for name in self._topics if name not in oldest)
            self.dropped += 1
        return None


class RtabmapNode(Node):
    """
    Publish `rgbd_image` from image, depth, camera_info and features.

    Image, depth and features of equal stamps are joined; the calibration is the newest one.
    `published` counts the messages. Arguments are those of `RerunNode`, without the scene.
    """

    def __init__(self, namespace: str = '', remappings: Sequence[str] = (), **options):
        words = [word for mapping in remappings for word in ('-r', mapping)]
        super().__init__(
            'superpoint_rtabmap',
            namespace=namespace,
            cli_args=['--ros-args', *words] if words else None,
            use_global_arguments=False,
            **options,
        )
        self.published = 0
        self._info: CameraInfo | None = None
        self._pairing = StampPairing(('image', 'depth', 'features'))
        self._warned = -_WARNING_PERIOD
        self._publisher = self.create_publisher(RGBDImage, 'rgbd_image', 5)
        sensor = qos_profile_sensor_data
        self.create_subscription(CameraInfo, 'camera_info', self._receive_info, sensor)
        for kind, topic, qos in (
            (Image, 'image', sensor),
            (Image, 'depth', sensor),
            (PointCloud2, 'features', QoSProfile(depth=10)),
        ):
            self.create_subscription(kind, topic, self._callback(topic), qos)

    def _receive_info(self, message: CameraInfo) -> None:
        self._info = message

    def _callback(self, topic: str):
        """Return the callback of a topic."""

        def receive(message) -> None:
            dropped = self._pairing.dropped
            joined = self._pairing.add(topic, message)
            if self._pairing.dropped > dropped:
                names = ', '.join(self.resolve_topic_name(name) for name in self._pairing.lacking)
                self._warn(f'no message of {names} has the stamp of the others')
            if joined:
                self._publish(*joined)

        return receive

    def _publish(self, image: Image, depth: Image, features: PointCloud2) -> None:
        if self._info is None:
            self._warn(f'no calibration received on {self.resolve_topic_name("camera_info")}')
            return
        try:
            found = features_from_message(features)
        except ValueError as error:
            self._warn(f'{self.resolve_topic_name("features")}: {error}')
            return
        self._publisher.publish(rgbd_image_message(image, depth, self._info, found))
        self.published += 1

    def _warn(self, text: str) -> None:
        """Log a warning, at most every 10 s."""
        if time.monotonic() - self._warned >= _WARNING_PERIOD:
            self._warned = time.monotonic()
            self.get_logger().warning(text)
