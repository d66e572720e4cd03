# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A node that joins images, depth images and features for RTAB-Map."""

from __future__ import annotations

from functools import partial
import time

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rtabmap_msgs.msg import RGBDImage
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from superpoint_ros.ros.messages.feature_messages import features_from_message
from superpoint_ros.ros.messages.image_messages import stamp_nanoseconds
from superpoint_ros.ros.messages.rtabmap_messages import rgbd_image_message
from superpoint_ros.ros.node_log import ThrottledWarnings
from superpoint_ros.ros.topics.pairing import Pairing, TROUBLE

_WAIT = 2.0
"""Seconds that an image waits for its depth image and its features."""


class RtabmapNode(Node):
    """
    Publish `rgbd_image` from image, depth, camera_info and features.

    Image, depth and features of equal stamps are joined; the calibration is the newest one.
    `published` counts the messages; `options` are those of `rclpy.node.Node`.
    """

    def __init__(self, **options):
        super().__init__('superpoint_rtabmap', **options)
        self._warn = ThrottledWarnings(self.get_logger()).warn
        self.published = 0
        self._info: CameraInfo | None = None
        # Images and depth images of equal stamps are a pair; it waits for its features.
        self._pairs, self._joined = (Pairing(0.0, _WAIT, silence=_WAIT) for _ in range(2))
        self._last_joined = time.monotonic()
        self._publisher = self.create_publisher(RGBDImage, 'rgbd_image', 5)
        sensor = qos_profile_sensor_data
        self.create_subscription(CameraInfo, 'camera_info', self._receive_info, sensor)
        self.create_subscription(Image, 'image', partial(self._add_image, 0), sensor)
        self.create_subscription(Image, 'depth', partial(self._add_image, 1), sensor)
        self.create_subscription(PointCloud2, 'features', partial(self._join, 1), 10)

    def _receive_info(self, message: CameraInfo) -> None:
        self._info = message

    def _add_image(self, side: int, message: Image) -> None:
        """Add an image, side 0, or a depth image, side 1."""
        now = time.monotonic()
        for image, depth in self._pairs.add(side, message, stamp_nanoseconds(message), now):
            if image is not None and depth is not None:
                self._join(0, (image, depth))
            else:
                self._report_missing(now, 'image' if image is None else 'depth')

    def _join(self, side: int, item: tuple[Image, Image] | PointCloud2) -> None:
        """Add an image with its depth image, side 0, or features, side 1; publish what fits."""
        now, stamped = time.monotonic(), item if side else item[0]
        for images, features in self._joined.add(side, item, stamp_nanoseconds(stamped), now):
            if images is not None and features is not None:
                self._last_joined = now
                self._publish(*images, features)
            else:
                self._report_missing(
                    now, *(('image', 'depth') if images is None else ('features',))
                )

    def _report_missing(self, now: float, *topics: str) -> None:
        """Warn that messages of some topics are missing, unless others were joined lately."""
        if now - self._last_joined > TROUBLE:
            names = ', '.join(self.resolve_topic_name(topic) for topic in topics)
            self._warn(f'no message of {names} has the stamp of the others')

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
