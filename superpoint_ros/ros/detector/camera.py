# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One camera of the detector node: its topics, its statistics and what is said about it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import time

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
from rclpy.clock import ClockType
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from superpoint_ros.data.image_encodings import (
    Converter,
    gray_from_compressed,
    gray_from_message,
    ImageMessageError,
)
from superpoint_ros.features import Features
from superpoint_ros.model.superpoint import SMALLEST_SIDE
from superpoint_ros.ros.detector.detector_parameters import CameraSettings, FeatureOutput
from superpoint_ros.ros.diagnostics import camera_status
from superpoint_ros.ros.frame_statistics import FrameStatistics
from superpoint_ros.ros.messages.camera_info import Calibration
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.throttle import Throttle
from superpoint_ros.ros.topic_watchdog import reason_of_silence
from superpoint_ros.visualization import draw_keypoints

SILENCE = 5.0
"""Seconds without a frame after which the node says so."""

_REPEAT = 10.0


def _qos(reliability: QoSReliabilityPolicy, depth: int) -> QoSProfile:
    """Return a fresh profile (overriding changes it): a short queue, nothing for latecomers."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


@dataclass(frozen=True)
class Frame:
    """A message as it came, and when, in seconds of the monotonic clock."""

    message: Image | CompressedImage
    arrival: float


class Camera:
    """
    Subscribe to a camera's images, between `start` and `stop`, and publish their features.

    `name` stands before the names of the topics, where there are several cameras. `store` gets
    each frame as it comes and returns whether it overtook another. `mask` is the path of its mask
    or ''. `converter` is that of
    `gray_from_message`. Images are subscribed as sensor data
    (REP 2003) with a queue of 1, features are published reliably; parameters `qos_overrides`
    change either. Raises ValueError where the mask is no image.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        settings: CameraSettings,
        mask: str,
        store: Callable[[str, Frame], bool],
        converter: Converter | None = None,
    ):
        self.name = name
        self._converter = converter
        self._node = node
        self._store = store
        self._lazy = settings.lazy
        self._mask = _read_mask(mask)
        self._throttle = Throttle(_REPEAT)
        self._prefix = f'{name}/' if name else ''
        compressed = settings.image_transport == 'compressed'
        self._type = CompressedImage if compressed else Image
        # As image_transport has it: what remaps the image takes its compressed form along.
        topic = node.resolve_topic_name(f'{self._prefix}image')
        self._topic = node.resolve_topic_name(f'{topic}/compressed') if compressed else topic
        self._last_arrival = time.monotonic()
        self._silent = self._started = False
        self.statistics = FrameStatistics(time.monotonic())
        self._subscription = None
        self._calibration = None
        if settings.normalized_coordinates:
            self._calibration = Calibration(node, f'{self._prefix}camera_info')
        self._overridable = QoSOverridingOptions.with_default_policies()
        events = PublisherEventCallbacks(matched=lambda _: self._follow_listeners())
        self._features = node.create_publisher(
            PointCloud2,
            f'{self._prefix}features',
            _qos(QoSReliabilityPolicy.RELIABLE, 10),
            qos_overriding_options=self._overridable,
            event_callbacks=events if self._lazy else None,
        )
        self._overlay = node.create_publisher(
            Image,
            f'{self._prefix}features/overlay',
            _qos(QoSReliabilityPolicy.RELIABLE, 1),
            qos_overriding_options=self._overridable,
            event_callbacks=events if self._lazy else None,
        )

    @property
    def image_topic(self) -> str:
        """Return the full name of the topic of the images, remapped as the user asked."""
        return self._topic

    @property
    def features_topic(self) -> str:
        """Return the full name of the topic of the features."""
        return self._features.topic_name

    @property
    def is_silent(self) -> bool:
        """Return whether frames should come and none has for `SILENCE` seconds."""
        subscribed = self._subscription is not None
        return subscribed and time.monotonic() - self._last_arrival >= SILENCE

    def start(self) -> None:
        """Let images in."""
        self._started = True
        self.statistics = FrameStatistics(time.monotonic())
        if self._calibration:
            self._calibration.start()
        self._follow_listeners()

    def stop(self) -> None:
        """Let no more images in."""
        self._started = False
        if self._calibration:
            self._calibration.stop()
        self._follow_listeners()

    def destroy(self) -> None:
        """Remove the topics."""
        self.stop()
        self._node.destroy_publisher(self._features)
        self._node.destroy_publisher(self._overlay)

    def _follow_listeners(self) -> None:
        """Subscribe to the images while they are of use to somebody."""
        wanted = self._started and (not self._lazy or self._has_listeners())
        if wanted and self._subscription is None:
            self._last_arrival = time.monotonic()
            self._silent = False
            self._subscription = self._node.create_subscription(
                self._type,
                self._topic,
                self._receive,
                _qos(QoSReliabilityPolicy.BEST_EFFORT, 1),
                qos_overriding_options=self._overridable,
            )
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _has_listeners(self) -> bool:
        publishers = (self._features, self._overlay)
        return any(publisher.get_subscription_count() for publisher in publishers)

    def _receive(self, message: Image | CompressedImage) -> None:
        now = self._last_arrival = time.monotonic()
        self.statistics.add_arrival(now, self._store(self.name, Frame(message, now)))

    def read(self, frame: Frame) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Return a frame's gray image and its mask; None, after reporting it, if unreadable."""
        message = frame.message
        try:
            if self._type is Image:
                gray = gray_from_message(message, self._converter)
            else:
                gray = gray_from_compressed(message)
            height, width = gray.shape
            if min(height, width) < SMALLEST_SIDE:
                raise ImageMessageError(
                    'size',
                    f'an image of {width}x{height} is too small: it needs '
                    f'{SMALLEST_SIDE}x{SMALLEST_SIDE} pixels or more',
                )
            if self._mask is not None and self._mask.shape != gray.shape:
                mask_height, mask_width = self._mask.shape
                raise ImageMessageError(
                    'mask',
                    f'an image of {width}x{height} does not fit its mask, which is of '
                    f'{mask_width}x{mask_height}',
                )
        except ImageMessageError as error:
            count = self.statistics.add_bad_frame(time.monotonic(), error.reason)
            if self._throttle.ready(error.reason):
                self._node.get_logger().warning(
                    f'skipped a frame of {self.image_topic}: {error} '
                    f'(bad frames because of their {error.reason} so far: {count})'
                )
            return None
        return gray, self._mask

    def publish(
        self,
        frame: Frame,
        gray: np.ndarray,
        features: Features,
        settings: FeatureOutput,
        stages: dict[str, float],
    ) -> None:
        """Publish what was found in a frame; `stages` are the seconds that it took so far."""
        start = time.perf_counter()
        header = frame.message.header
        normalized = None
        if self._calibration:
            normalized = self._calibration.normalize(features.keypoints, gray.shape[::-1])
        self._features.publish(
            features_to_message(features, header, settings.descriptor_format, normalized)
        )
        stages['publishing'] = time.perf_counter() - start
        self.statistics.add_frame(time.monotonic(), stages, self._age(header), len(features))
        if settings.overlay and self._overlay.get_subscription_count() > 0:
            self._overlay.publish(_picture(header, draw_keypoints(gray, features)))

    def _age(self, header) -> float | None:
        """Return the seconds since the stamp, None where it has none."""
        if not (header.stamp.sec or header.stamp.nanosec):
            return None
        age = self._node.get_clock().now() - Time.from_msg(header.stamp, ClockType.ROS_TIME)
        return age.nanoseconds * 1e-9

    def watch(self) -> None:
        """Say so where frames stay away, with what is known of the reason, and when they come."""
        self._follow_listeners()
        if not self.is_silent:
            if self._silent and self._subscription is not None:
                self._node.get_logger().info(f'images come on {self.image_topic}')
            self._silent = False
        elif self._throttle.ready('silence'):
            self._silent = True
            self._node.get_logger().warning(self._trouble())

    def _trouble(self) -> str:
        kind = f'sensor_msgs/msg/{self._type.__name__}'
        reason = reason_of_silence(self._node, self.image_topic, kind)
        return f'no images on {self.image_topic} for {SILENCE:.0f} s: {reason}'

    def status(self, hardware: str) -> DiagnosticStatus:
        """Return what is to be told about the camera at `/diagnostics`."""
        name = f'{self._node.get_fully_qualified_name().lstrip("/")}: {self.image_topic}'
        note = ''
        if not self._started:
            note = 'not active'
        elif self._subscription is None:
            note = 'nobody listens to the features'
        trouble = self._trouble() if self.is_silent else ''
        if not trouble and self._calibration and self._started:
            trouble = self._calibration.trouble
        return camera_status(
            name, hardware, self.statistics.summary(time.monotonic()), trouble, note
        )


def _read_mask(path: str) -> np.ndarray | None:
    """Return the image of a mask, None of an empty path; raise ValueError where it is none."""
    if not path:
        return None
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no mask {path}')
    mask = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f'the mask {path} is no image that OpenCV reads')
    return mask


def _picture(header, pixels: np.ndarray) -> Image:
    """Return BGR pixels as a message with the header of another."""
    data = array('B')
    data.frombytes(pixels.tobytes())
    return Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding='bgr8',
        step=pixels.shape[1] * 3,
        data=data,
    )
