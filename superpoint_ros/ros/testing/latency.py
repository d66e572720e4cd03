# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How long an image's way through the detector node takes, which runs as a process of its own."""

from __future__ import annotations

from array import array
import os
from pathlib import Path
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.ros.testing.subprocesses import Child

START_TIMEOUT = 90.0
"""Seconds until the first features must be there: a first start reads torch from a cold disk."""

LOST_AFTER = 5.0
"""Seconds after which an image counts as lost, more where the node needs longer for one."""


class Probe:
    """
    A camera and a subscriber in this process, and a detector node in another, between `with`.

    `parameters` are the detector's, its log goes to `folder`. Entering raises ValueError where a
    parameter is to blame, ChildProcessError where the node ends or no features come.
    """

    def __init__(self, parameters: dict[str, object], folder: Path):
        self.stages: dict[str, float] = {}
        """What the node says of its own last seconds: median of each stage in milliseconds."""

        self._namespace = f'/superpoint_latency_{os.getpid()}'
        self._child = Child('detector', self._namespace, parameters, folder)
        self._arrived: dict[tuple[int, int], float] = {}
        self._longest = 0.0

    def __enter__(self) -> Probe:
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context)
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._end()

    def _begin(self) -> None:
        self._node = Node('camera', namespace=self._namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._camera = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._node.create_subscription(PointCloud2, 'features', self._on_features, 10)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._child.start()
        end = time.monotonic() + START_TIMEOUT
        blank = np.zeros((64, 64), np.uint8)
        # Discovery is one-sided at first: send until an answer comes.
        while self.seconds(blank, lost_after=0.5) is None:
            if time.monotonic() > end:
                raise ChildProcessError(
                    f'no features within {START_TIMEOUT:g} s: {self._child.tail()}'
                )

    def _end(self) -> None:
        self._child.stop()
        if hasattr(self, '_executor'):
            self._executor.shutdown(timeout_sec=1.0)
            self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def seconds(self, gray: np.ndarray, lost_after: float | None = None) -> float | None:
        """
        Return the time from sending an image, uint8 (H, W), to its features' arrival.

        None is returned where they do not come within `lost_after` seconds. Raises
        ChildProcessError where the node has ended.
        """
        message = _message(gray)
        limit = lost_after or max(LOST_AFTER, 10 * self._longest)
        message.header.stamp = self._node.get_clock().now().to_msg()
        start = time.perf_counter()
        self._camera.publish(message)
        while _stamp(message) not in self._arrived:
            self._executor.spin_once(timeout_sec=0.05)
            if time.perf_counter() - start > limit:
                self._child.check()
                return None
        elapsed = self._arrived.pop(_stamp(message)) - start
        self._longest = max(self._longest, elapsed)
        return elapsed

    def _on_features(self, message: PointCloud2) -> None:
        self._arrived[_stamp(message)] = time.perf_counter()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self._namespace.lstrip('/')):
                values = {pair.key: pair.value for pair in status.values}
                medians = {
                    key.removesuffix(' p50 (ms)'): float(value)
                    for key, value in values.items()
                    if key.endswith(' p50 (ms)') and value != 'unknown'
                }
                self.stages = medians or self.stages


def _stamp(message: Image | PointCloud2) -> tuple[int, int]:
    """Return the header's stamp as something that can be compared."""
    return message.header.stamp.sec, message.header.stamp.nanosec


def _message(gray: np.ndarray) -> Image:
    """Return the image as a message."""
    height, width = gray.shape
    data = array('B')
    data.frombytes(np.ascontiguousarray(gray).tobytes())
    message = Image(height=height, width=width, encoding='mono8', step=width, data=data)
    message.header.frame_id = 'camera'
    return message
