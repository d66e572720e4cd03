# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector node in the test's own process, where a test can reach into it."""

from __future__ import annotations

from array import array
import time

import numpy as np
import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

DOMAIN = ros_domain(5)


class Inside:
    """A detector node and an observer with publishers, spun by the test itself."""

    def __init__(self, monkeypatch, parameters, remappings=()):
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import PointCloud2

        from superpoint_ros.ros.detector.detector_node import DetectorNode

        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        self._point_cloud = PointCloud2
        self.context = rclpy.Context()
        arguments = [word for mapping in remappings for word in ('-r', mapping)]
        rclpy.init(args=['--ros-args', *arguments], context=self.context, domain_id=DOMAIN)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.node = DetectorNode(
            context=self.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in parameters.items()],
        )
        self.observer = rclpy.create_node(
            'observer', context=self.context, use_global_arguments=False
        )
        for node in (self.node, self.observer):
            self.executor.add_node(node)
        self.diagnostics = []
        self.observer.create_subscription(
            DiagnosticArray, '/diagnostics', self.diagnostics.append, 10
        )
        self.features = {}
        self._publishers = {}

    def listen(self, topic='features'):
        """Gather the features of a topic, in `features[topic]`."""
        messages = self.features.setdefault(topic, [])
        return self.observer.create_subscription(self._point_cloud, topic, messages.append, 50)

    def publish(self, message, topic='image', stamp=None):
        """Publish the message, stamped in milliseconds, after somebody listens."""
        if topic not in self._publishers:
            self._publishers[topic] = self.observer.create_publisher(type(message), topic, 10)
            publisher = self._publishers[topic]
            self.wait_until(lambda: publisher.get_subscription_count() > 0)
        if stamp is not None:
            message.header.stamp.sec = stamp // 1000
            message.header.stamp.nanosec = stamp % 1000 * 1_000_000
        self._publishers[topic].publish(message)

    def wait_until(self, condition, timeout=20.0):
        """Handle messages until the condition is true; fail where it does not come true."""
        end = time.monotonic() + timeout
        while not condition():
            self.executor.spin_once(timeout_sec=0.02)
            if time.monotonic() > end:
                pytest.fail(f'not within {timeout} s')

    def rest(self, seconds):
        """Handle messages for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def answers(self, message, topic='image', features='features', count=1, **more):
        """Publish the message until it has been answered; return the last answer."""
        if features not in self.features:
            self.listen(features)
        before = len(self.features[features])
        end = time.monotonic() + 20
        while len(self.features[features]) < before + count:
            self.publish(message, topic, **more)
            self.rest(0.1)
            if time.monotonic() > end:
                pytest.fail('no answer')
        return self.features[features][-1]

    def status(self, part):
        """Return level, message and values of the part's status that comes next."""
        self.diagnostics.clear()
        self.wait_until(lambda: self.diagnostics)
        return self.newest_status(part)

    def newest_status(self, part):
        """Return level, message and values of a part's last status; (None, '', {}) without."""
        for status in self.diagnostics[-1].status if self.diagnostics else ():
            if status.name.endswith(f': {part}'):
                values = {pair.key: pair.value for pair in status.values}
                return status.level, status.message, values
        return None, '', {}

    def set_parameters(self, **values):
        """Return the result of setting parameters of the detector at once."""
        return self.node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()]
        )

    def close(self):
        """Leave ROS."""
        self.node.stop()
        self.executor.shutdown()
        self.node.destroy_node()
        self.observer.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def start_inside(monkeypatch, random_weights):
    """Return a function that makes a detector in this process with these parameters."""
    made = []

    def start(remappings=(), **parameters):
        # Other engines take seconds to start.
        defaults = {'engine': 'torch', 'device': 'cpu', 'threshold': 0.001}
        defaults['weights'] = str(random_weights)
        made.append(Inside(monkeypatch, {**defaults, **parameters}, remappings))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def pixels():
    """Return a gray image (120, 160) of noise."""
    return np.random.default_rng(3).integers(0, 256, (120, 160), dtype=np.uint8)


@pytest.fixture
def image(pixels):
    """Return the message of a gray image."""
    from sensor_msgs.msg import Image

    height, width = pixels.shape
    data = array('B', pixels.tobytes())
    return Image(height=height, width=width, encoding='mono8', step=width, data=data)
