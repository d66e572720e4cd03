"""One camera of the detector node: its topics, its statistics and what is said about it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
import time

import numpy as np
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.drawing import draw_keypoints
from superpoint_ros.features import Features
from superpoint_ros.network import SMALLEST_SIDE
from superpoint_ros.node.feature_messages import features_to_message
from superpoint_ros.node.image_messages import gray_from_message, ImageMessageError
from superpoint_ros.node.parameters import LiveSettings
from superpoint_ros.node.statistics import FrameStatistics
from superpoint_ros.node.throttle import Throttle

SILENCE = 5.0
"""Seconds without a frame after which the node says so."""

_REPEAT = 10.0
_IMAGE_TYPE = 'sensor_msgs/msg/Image'


def _qos(reliability: QoSReliabilityPolicy, depth: int) -> QoSProfile:
    """Return a fresh profile (overriding changes it): a short queue, nothing for latecomers."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


class Camera:
    """
    Subscribe to a camera's images and publish their features.

    `prefix` stands before the names of the topics `image`, `features` and `features/overlay`;
    `store` gets each image as it comes. Images are subscribed as sensor data (REP 2003) with a
    queue of 1, features are published reliably; parameters `qos_overrides` change either.
    """

    def __init__(self, node: Node, prefix: str, store: Callable[[Image], None]):
        self._node = node
        self._store = store
        self._throttle = Throttle(_REPEAT)
        self._last_arrival = time.monotonic()
        self._silent = False
        self.statistics = FrameStatistics(time.monotonic())
        overridable = QoSOverridingOptions.with_default_policies()
        self._features = node.create_publisher(
            PointCloud2,
            f'{prefix}features',
            _qos(QoSReliabilityPolicy.RELIABLE, 10),
            qos_overriding_options=overridable,
        )
        self._overlay = node.create_publisher(
            Image,
            f'{prefix}features/overlay',
            _qos(QoSReliabilityPolicy.RELIABLE, 1),
            qos_overriding_options=overridable,
        )
        self._subscription = node.create_subscription(
            Image,
            f'{prefix}image',
            self._receive,
            _qos(QoSReliabilityPolicy.BEST_EFFORT, 1),
            qos_overriding_options=overridable,
        )

    @property
    def image_topic(self) -> str:
        """Return the full name of the topic of the images, remapped as the user asked."""
        return self._subscription.topic_name

    @property
    def features_topic(self) -> str:
        """Return the full name of the topic of the features."""
        return self._features.topic_name

    @property
    def is_silent(self) -> bool:
        """Return whether no frame has come for `SILENCE` seconds."""
        return time.monotonic() - self._last_arrival >= SILENCE

    def _receive(self, message: Image) -> None:
        self._last_arrival = time.monotonic()
        self._store(message)

    def read(self, message: Image) -> np.ndarray | None:
        """Return the message's gray image; None, after reporting it, where it cannot be read."""
        try:
            gray = gray_from_message(message)
            if min(gray.shape) < SMALLEST_SIDE:
                raise ImageMessageError(
                    'size',
                    f'an image of {message.width}x{message.height} is too small: it needs '
                    f'{SMALLEST_SIDE}x{SMALLEST_SIDE} pixels or more',
                )
        except ImageMessageError as error:
            count = self.statistics.add_bad_frame(error.reason)
            if self._throttle.ready(error.reason):
                self._node.get_logger().warning(
                    f'skipped a frame of {self.image_topic}: {error} '
                    f'(bad frames because of their {error.reason} so far: {count})'
                )
            return None
        return gray

    def publish(
        self,
        message: Image,
        gray: np.ndarray,
        features: Features,
        settings: LiveSettings,
        inference: float,
    ) -> None:
        """Publish what was found in a message, which took `inference` seconds."""
        self._features.publish(
            features_to_message(features, message.header, settings.descriptor_format)
        )
        latency = self._age(message)
        self.statistics.add_frame(time.monotonic(), inference, latency, len(features))
        if settings.overlay and self._overlay.get_subscription_count() > 0:
            self._overlay.publish(_picture(message, draw_keypoints(gray, features)))

    def _age(self, message: Image) -> float | None:
        """Return the seconds since the message's stamp, None where it has none."""
        stamp = message.header.stamp
        if not (stamp.sec or stamp.nanosec):
            return None
        age = self._node.get_clock().now() - Time.from_msg(stamp, ClockType.ROS_TIME)
        return age.nanoseconds * 1e-9

    def watch(self) -> None:
        """Say so where frames stay away, with what is known of the reason, and when they come."""
        if not self.is_silent:
            if self._silent:
                self._node.get_logger().info(f'images come on {self.image_topic}')
            self._silent = False
        elif self._throttle.ready('silence'):
            self._silent = True
            self._node.get_logger().warning(
                f'no images on {self.image_topic} for {SILENCE:.0f} s: {self._reason_of_silence()}'
            )

    def _reason_of_silence(self) -> str:
        """Return why no images come, as far as the publishers of the topic tell."""
        publishers = self._node.get_publishers_info_by_topic(self.image_topic)
        others = sorted({p.topic_type for p in publishers if p.topic_type != _IMAGE_TYPE})
        if others:
            return f'the topic has the type {", ".join(others)}, not {_IMAGE_TYPE}'
        if publishers:
            return f'{len(publishers)} publisher(s) there send nothing that reaches this node'
        topics = self._node.get_topic_names_and_types()
        there = sorted(name for name, types in topics if _IMAGE_TYPE in types)
        there = [
            name for name in there if name not in (self.image_topic, self._overlay.topic_name)
        ]
        known = f'topics with images are {", ".join(there)}' if there else 'no topic has images'
        return f'nobody publishes there; {known} (remap with image:=TOPIC)'


def _picture(message: Image, pixels: np.ndarray) -> Image:
    """Return BGR pixels as a message with the header of another."""
    data = array('B')
    data.frombytes(pixels.tobytes())
    return Image(
        header=message.header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding='bgr8',
        step=pixels.shape[1] * 3,
        data=data,
    )
