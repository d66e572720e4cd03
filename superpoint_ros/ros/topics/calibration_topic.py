# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The calibration of a camera, received from its topic."""

from __future__ import annotations

from collections.abc import Sequence
import time

import numpy as np
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSDurabilityPolicy, QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo

from superpoint_ros.common.wording import counted
from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.ros.node_log import ThrottledWarnings
from superpoint_ros.ros.topics.endpoints import subscribe_to
from superpoint_ros.ros.topics.silent_topics import (
    no_publisher,
    publisher_names,
    WATCHDOG_TIMEOUT,
    wrong_qos,
    wrong_types,
)

RECTIFIED = (
    'The images are rectified (image_rect): the calibration is the matrix p of camera_info, '
    'without distortion.'
)
"""Help text of the parameter `rectified` of nodes that receive a calibration."""


class CalibrationTopic:
    """
    The newest calibration of a camera from a topic of `sensor_msgs/CameraInfo`.

    The calibration is received from a publisher that repeats it with each image, and from one that
    publishes it once with the durability transient local. With `rectified`, the calibration is
    that of the rectified images: matrix p without distortion. A thread that processes images may
    call `model` and `normalize`, all else belongs to the executor's.

    Attributes:
        topic: full name of the topic, after remapping.
        newest: newest message, None if there is none.
        trouble: why no coordinates can be computed; empty if they can.
        silence: why nothing is received, as the end of a sentence; may be empty.

    """

    def __init__(self, node: Node, topic: str, rectified: bool = False):
        self._node, self._unresolved = node, topic
        self.topic = node.resolve_topic_name(topic)
        self._warnings = ThrottledWarnings(node.get_logger())
        self._rectified = rectified
        self._main = self._latched = None
        self.newest: CameraInfo | None = None
        self._used: CameraInfo | None = None
        self._model: CameraModel | None = None
        self.trouble = f'no calibration received on {self.topic}'
        self.silence = ''
        self._has_publisher = False
        self._start = 0.0  # time since which a message may have come
        self._missing_since: float | None = None  # first frame since then without a calibration

    def start(self) -> None:
        """Begin to receive calibrations."""
        self._has_publisher = False
        self._wait()
        self._main = subscribe_to(
            *(self._node, CameraInfo, self._unresolved, self._receive, qos_profile_sensor_data),
            matched=lambda _: self.watch(),
        )

    def stop(self) -> None:
        """Stop receiving."""
        for subscription in (self._main, self._latched):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._main = self._latched = None

    def watch(self) -> None:
        """
        Subscribe with the durability transient local as soon as a publisher offers it.

        The main subscription misses what such a publisher has sent before. It cannot be transient
        local itself: the usual publishers, which repeat the calibration, refuse that. To be called
        about once per second, as not every RMW implementation reports new publishers.
        """
        if self._main is None:
            return
        publishers = self._node.get_publishers_info_by_topic(self._unresolved)
        if publishers and not self._has_publisher:
            self._wait()
        self._has_publisher = bool(publishers)
        self.silence = '' if self.newest else self._why_silent(publishers)
        latched = QoSDurabilityPolicy.TRANSIENT_LOCAL
        if self._latched is None and any(
            each.qos_profile.durability == latched for each in publishers
        ):
            qos = QoSProfile(depth=1, durability=latched)
            # No default events: they would warn that the messages of other publishers, which the
            # main subscription receives, do not arrive.
            self._latched = self._node.create_subscription(
                CameraInfo,
                self._unresolved,
                self._receive,
                qos,
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )

    def _why_silent(self, publishers: Sequence[TopicEndpointInfo]) -> str:
        """Return why nothing comes from the publishers, as the end of a sentence."""
        if not publishers:
            return f': {no_publisher(self._node, CameraInfo, self._unresolved)}'
        if time.monotonic() - self._start < WATCHDOG_TIMEOUT:
            return ''
        reason = (
            wrong_types(publishers, CameraInfo)
            or wrong_qos(publishers, qos_profile_sensor_data)
            or f'{counted(len(publishers), "publisher")}, but no message has arrived; one that '
            'publishes it only once must have the durability transient local'
        )
        return f': {reason}'

    def _receive(self, message: CameraInfo) -> None:
        self.newest = message

    def model(self, image_size: tuple[int, int] | None = None) -> CameraModel | None:
        """
        Return the newest calibration; None, after a warning, if there is no valid one.

        A calibration for another size than `image_size` (width, height) is not valid, unless that
        is None.
        """
        try:
            model = self._current()
            if image_size is not None:
                model.check_size(image_size)
        except CameraModelError as error:
            self.trouble = f'{self.topic}: {error}'
            if self.newest or self._is_overdue():
                self._warnings.warn(f'no normalized coordinates: {self.trouble}')
            return None
        self.trouble = ''
        return model

    def normalize(self, keypoints: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """
        Return the normalized coordinates (N, 2), float32, of keypoints in an image.

        `image_size` is (width, height). Without a valid calibration of that size the coordinates
        are NaN and `trouble` is the reason.
        """
        model = self.model(image_size)
        if model is None:
            return np.full((len(keypoints), 2), np.nan, np.float32)
        return model.normalize(keypoints)

    def _current(self) -> CameraModel:
        """Return the newest calibration, converted if it has changed."""
        newest = self.newest
        if newest is None:
            raise CameraModelError(f'no calibration received{self.silence}')
        if self._model is None or not _is_same(newest, self._used):
            if self._used is not None:
                self._warn_of_several_publishers()
            self._model = None
            self._model = CameraModel.from_message(newest, self._rectified)
            self._used = newest
        return self._model

    def _wait(self) -> None:
        """Give the first message time to arrive: discovery takes seconds at times."""
        self._start, self._missing_since = time.monotonic(), None

    def _is_overdue(self) -> bool:
        """Return whether frames have had no calibration for too long."""
        now = time.monotonic()
        since = self._missing_since or now  # another thread may call `_wait` meanwhile
        self._missing_since = since
        return now - since > WATCHDOG_TIMEOUT

    def _warn_of_several_publishers(self) -> None:
        """Log the publishers of a calibration that has changed, if there are several."""
        if self._node.count_publishers(self._unresolved) > 1:
            publishers = self._node.get_publishers_info_by_topic(self._unresolved)
            self._warnings.warn(
                f'different calibrations on {self.topic}, which has {len(publishers)} publishers '
                f'({publisher_names(publishers)}). End all but one, or separate them by namespaces'
            )


def _is_same(a: CameraInfo, b: CameraInfo | None) -> bool:
    """Return whether two messages hold one calibration; cameras repeat it with each image."""
    if a is b:
        return True
    names = ('width', 'height', 'distortion_model', 'binning_x', 'binning_y', 'roi')
    return (
        all(getattr(a, name) == getattr(b, name) for name in names)
        and np.array_equal(a.k, b.k)
        and np.array_equal(a.d, b.d)
        and np.array_equal(a.p, b.p)
    )
