# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The images of frames whose features arrive in other messages, paired by their stamps."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.data.image_encodings import ImageMessageError
from superpoint_ros.ros.messages.image_messages import gray_from_image, stamp_key
from superpoint_ros.ros.node_log import ThrottledWarnings
from superpoint_ros.ros.topics.endpoints import subscribe_to

_KEPT = 30  # images, while the detector works on them
_MISSING = 20  # successive frames without an image after which the reason is logged
_UNSET = (0, 0)  # key of the stamp of drivers that set none


class FrameImages:
    """
    Subscription to images, the last of which are kept until features of them or later ones arrive.

    It is not a `Pairing`: features are processed when they arrive, with or without their image.

    Images with the stamp 0 are not used: all features of a driver that sets no stamps would have
    the newest one.

    `purpose` names, in log messages, what is not done without images. `received` is the number of
    images since the last one that was used, `size` (width, height) that of this one, None without,
    and after `_MISSING` frames without an image.
    """

    def __init__(self, node: Node, topic: str, purpose: str):
        self._node = node
        self._topic = topic
        self._purpose = purpose
        self._warnings = ThrottledWarnings(node.get_logger())
        self._subscription = None
        self._images: dict[tuple[int, int], Image] = {}
        self._missing = self.received = 0
        self.size: tuple[int, int] | None = None

    def follow_demand(self, wanted: bool) -> None:
        """Subscribe or unsubscribe."""
        if wanted and self._subscription is None:
            self._subscription = subscribe_to(
                self._node, Image, self._topic, self._keep, qos_profile_sensor_data
            )
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._images.clear()
            self._missing = self.received = 0
            self.size = None

    def _keep(self, message: Image) -> None:
        self.received += 1
        key = stamp_key(message)
        if key == _UNSET:
            return
        self._images.pop(key, None)  # of the round before, if a recording is repeated
        self._images[key] = message
        while len(self._images) > _KEPT:
            self._images.pop(next(iter(self._images)))

    def gray(self, features: PointCloud2) -> np.ndarray | None:
        """Return the image with the stamp of a message, uint8 (H, W); None without it."""
        if self._subscription is None:
            return None
        message = self._take(stamp_key(features))
        if message is None:
            self._missing += 1
            if self._missing == _MISSING:
                self.size = None  # the camera may have changed it meanwhile
                self._report(stamp_key(features) == _UNSET)
            return None
        try:
            image = gray_from_image(message)
        except ImageMessageError as error:
            self._warnings.warn(
                f'{self._purpose} without a usable image on {self._full_topic}: {error}'
            )
            return None
        if self._missing >= _MISSING:
            self._node.get_logger().info(f'images on {self._full_topic} fit the features again')
        self._missing = self.received = 0
        self.size = (image.shape[1], image.shape[0])
        return image

    def _take(self, key: tuple[int, int]) -> Image | None:
        """
        Return the image with a stamp, and forget it and those that came before; None without it.

        Features arrive in the order of their images: those before were dropped by the detector.
        """
        if key in self._images:
            for earlier in takewhile(lambda each: each != key, list(self._images)):
                del self._images[earlier]
        return self._images.pop(key, None)

    @property
    def note(self) -> str:
        """Return whether frames have images, for the diagnostics."""
        if self._subscription is None:
            return 'not needed'
        return 'missing' if self._missing else 'received'

    @property
    def _full_topic(self) -> str:
        return self._node.resolve_topic_name(self._topic)

    def _report(self, without_stamps: bool) -> None:
        """Log why frames have no image."""
        if without_stamps:
            self._node.get_logger().warning(
                f'{self._purpose}: the stamps of the features are 0, so that their images on '
                f'{self._full_topic} are unknown; set header.stamp in the driver'
            )
        elif self.received:
            self._node.get_logger().warning(
                f'{self._purpose}: {self.received} images arrived on {self._full_topic}, but '
                f'none has the stamp of any of the last {_MISSING} frames of features (remap '
                f'{self._topic}:=TOPIC to the images that the detector receives)'
            )
        else:
            self._node.get_logger().info(
                f'{self._purpose}: no images on {self._full_topic} (remap {self._topic}:=TOPIC)'
            )
