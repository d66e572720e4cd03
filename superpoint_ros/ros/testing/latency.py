# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The time from publishing an image to receiving its features, with the node in a process."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

from superpoint_ros.ros.diagnostics import status_values
from superpoint_ros.ros.messages.image_messages import image_message, stamp_key
from superpoint_ros.ros.testing import relay_node
from superpoint_ros.ros.testing.subprocesses import (
    NodeProcess,
    NODES_MODULE,
    private_namespace,
    ros_session,
    wait_for,
)

LOST_AFTER = 5.0
"""Seconds after which an image counts as lost; more if the node needs longer for one."""


class Probe:
    """
    A camera and a subscriber in this process, and a detector node in another, between `with`.

    `parameters` are the detector's, its log goes to `folder`. With `relay`, the node is that of
    `testing.relay_node`. Entering raises ValueError if a parameter is invalid, ChildProcessError
    if the node ends or no features arrive.
    """

    def __init__(self, parameters: dict[str, object], folder: Path, relay: bool = False):
        self.stages: dict[str, float] = {}
        """What the node reports of its last seconds: median of each stage in milliseconds."""

        self.start_seconds = self.start_processor_seconds = 0.0
        """Elapsed and processor time from the start of the node to its first features."""

        self._namespace = private_namespace('latency')
        name, module = ('relay', relay_node.__name__) if relay else ('detector', NODES_MODULE)
        self._process = NodeProcess(name, self._namespace, parameters, folder, module)
        self._stack = ExitStack()
        self._arrived: dict[tuple[int, int], float] = {}
        self._longest = 0.0

    def __enter__(self) -> Probe:
        with ExitStack() as stack:
            self._executor = stack.enter_context(ros_session(self._process))
            self._node = Node('camera', namespace=self._namespace)
            self._executor.add_node(self._node)
            self._camera = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
            self._node.create_subscription(PointCloud2, 'features', self._on_features, 10)
            self._node.create_subscription(
                DiagnosticArray, '/diagnostics', self._on_diagnostics, 10
            )
            start = time.perf_counter()
            self._process.start()
            blank = np.zeros((64, 64), np.uint8)
            # Discovery is one-sided at first: send until an answer arrives, also a late one.
            wait_for(
                self._executor,
                [self._process],
                lambda: self.seconds(blank, lost_after=0.1) is not None or self._arrived,
            )
            self.start_seconds = time.perf_counter() - start
            self.start_processor_seconds = self._process.processor_time()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception) -> None:
        self._stack.__exit__(*exception)

    def seconds(self, gray: np.ndarray, lost_after: float | None = None) -> float | None:
        """
        Return the seconds from sending an image, uint8 (H, W), to the arrival of its features.

        It is None if they do not arrive within `lost_after` seconds. Raises ChildProcessError if
        the node has ended.
        """
        message = image_message(gray)
        message.header.frame_id = 'camera'
        message.header.stamp = self._node.get_clock().now().to_msg()
        limit = lost_after or max(LOST_AFTER, 10 * self._longest)
        start = time.perf_counter()
        self._camera.publish(message)
        while stamp_key(message) not in self._arrived:
            self._executor.spin_once(timeout_sec=0.05)
            if time.perf_counter() - start > limit:
                self._process.check()
                return None
        elapsed = self._arrived.pop(stamp_key(message)) - start
        self._longest = max(self._longest, elapsed)
        return elapsed

    def _on_features(self, message: PointCloud2) -> None:
        self._arrived[stamp_key(message)] = time.perf_counter()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self._namespace.lstrip('/')):
                values = status_values(status)
                medians = {
                    key.removesuffix(' p50 (ms)'): float(value)
                    for key, value in values.items()
                    if key.endswith(' p50 (ms)') and value != 'unknown'
                }
                self.stages = medians or self.stages
