# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A node that answers each image without work, to measure what rclpy and the middleware take.

`python -m superpoint_ros.ros.testing.relay_node --ros-args -p keypoints:=1000`
"""

from __future__ import annotations

from contextlib import suppress
import os
import time

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.features import Features
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.process_environment import choose_dds_profile

_LEAST_SLEEP = 1e-3  # seconds; more than by which `time.sleep` is late


class RelayNode(Node):
    """
    A node that publishes the same `features` for each `image`, with the header of the image.

    Parameters: `keypoints`, their number; `descriptor_size`, the length of their descriptors;
    `seconds`, how long it waits before it answers. Between images, processors begin to sleep and
    caches are used by others, so that messages take longer than those that follow at once.
    """

    def __init__(self):
        super().__init__('relay')
        count = self.declare_parameter('keypoints', 1000).value
        size = self.declare_parameter('descriptor_size', 128).value
        self._seconds = self.declare_parameter('seconds', 0.0).value
        shapes = (count, 2), (count,), (count, size)
        self._features = Features(*(np.zeros(shape, np.float32) for shape in shapes))
        self._publisher = self.create_publisher(PointCloud2, 'features', 10)
        self.create_subscription(Image, 'image', self._answer, qos_profile_sensor_data)

    def _answer(self, image: Image) -> None:
        end = time.perf_counter() + self._seconds
        time.sleep(max(self._seconds - _LEAST_SLEEP, 0))
        while time.perf_counter() < end:
            pass
        self._publisher.publish(features_to_message(self._features, image.header))


def main() -> None:
    """Spin the node until a signal."""
    choose_dds_profile(os.environ)
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(RelayNode())


if __name__ == '__main__':
    main()
