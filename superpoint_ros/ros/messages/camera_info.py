# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A camera's calibration as it comes on its topic."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.ros.throttle import Throttle

_REPEAT = 10.0


class Calibration:
    """
    Hear a topic of `sensor_msgs/CameraInfo`, between `start` and `stop`, and use its newest.

    `trouble` says why no coordinates can be computed; it is empty where they can.
    """

    def __init__(self, node: Node, topic: str):
        self._node = node
        self._topic = node.resolve_topic_name(topic)
        self._subscription = None
        self._newest: CameraInfo | None = None
        self._used: CameraInfo | None = None
        self._model: CameraModel | None = None
        self._throttle = Throttle(_REPEAT)
        self.trouble = f'no calibration on {self._topic} so far'

    def start(self) -> None:
        """Let calibrations in."""
        self._subscription = self._node.create_subscription(
            CameraInfo, self._topic, self._receive, qos_profile_sensor_data
        )

    def stop(self) -> None:
        """Let no more in."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _receive(self, message: CameraInfo) -> None:
        self._newest = message

    @property
    def model(self) -> CameraModel | None:
        """Return the newest calibration, None, after saying why, where there is no good one."""
        try:
            model = self._current()
        except CameraModelError as error:
            self._complain(error)
            return None
        self.trouble = ''
        return model

    def normalize(self, keypoints: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """
        Return the normalised coordinates (N, 2), float32, of keypoints in an image.

        They are not-a-number, and `trouble` says why, without a calibration that can be used.
        """
        try:
            points = self._current().normalize(keypoints, image_size)
        except CameraModelError as error:
            self._complain(error)
            return np.full((len(keypoints), 2), np.nan, np.float32)
        self.trouble = ''
        return points

    def _complain(self, error: CameraModelError) -> None:
        self.trouble = f'{self._topic}: {error}'
        if self._throttle.ready(str(error)):
            self._node.get_logger().warning(f'no normalised coordinates: {self.trouble}')

    def _current(self) -> CameraModel:
        """Return the newest calibration, made anew where it changed."""
        newest = self._newest
        if newest is None:
            raise CameraModelError('no calibration came so far')
        if self._model is None or not _same(newest, self._used):
            self._model = None
            self._model = CameraModel.from_message(newest)
            self._used = newest
        return self._model


def _same(a: CameraInfo, b: CameraInfo | None) -> bool:
    """Return whether two messages hold one calibration; cameras repeat it with each frame."""
    if a is b:
        return True
    names = ('width', 'height', 'distortion_model', 'binning_x', 'binning_y', 'roi')
    return (
        all(getattr(a, name) == getattr(b, name) for name in names)
        and np.array_equal(a.k, b.k)
        and np.array_equal(a.d, b.d)
    )
