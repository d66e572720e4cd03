# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Nodes in the test's own process, with an observer that publishes and listens."""

from __future__ import annotations

import time

import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

DOMAIN = ros_domain(5)


class Graph:
    """Some nodes and an observer, spun by the test itself."""

    def __init__(self, monkeypatch):
        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context, domain_id=DOMAIN)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.observer = rclpy.create_node('observer', context=self.context)
        self.executor.add_node(self.observer)
        self.nodes = []
        self._publishers = {}

    def add(self, kind, **parameters):
        """Return a node of the kind, with these parameters."""
        node = kind(
            context=self.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in parameters.items()],
        )
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def listen(self, kind, topic):
        """Return a list to which the messages of a topic are added."""
        messages = []
        self.observer.create_subscription(kind, topic, messages.append, 50)
        self.wait_until(lambda: self.observer.count_publishers(topic) > 0)
        return messages

    def publish(self, message, topic):
        """Publish a message, after somebody listens."""
        if topic not in self._publishers:
            self._publishers[topic] = self.observer.create_publisher(type(message), topic, 50)
        publisher = self._publishers[topic]
        self.wait_until(lambda: publisher.get_subscription_count() > 0)
        publisher.publish(message)

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

    def close(self):
        self.executor.shutdown()
        for node in self.nodes:
            node.stop()
            node.destroy_node()
        self.observer.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def graph(monkeypatch):
    made = Graph(monkeypatch)
    yield made
    made.close()
