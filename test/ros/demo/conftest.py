# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The player as a process, and somebody who listens to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from geometry_msgs.msg import PoseStamped
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image


@pytest.fixture(scope='session', autouse=True)
def quiet_neighbours():
    """Keep to a part of this machine's topics that nobody else listens to."""
    patch = pytest.MonkeyPatch()
    patch.setenv('ROS_DOMAIN_ID', str(ros_domain(1)))
    # Nodes that look beyond this machine find each other in no time, the others in three seconds.
    patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    yield
    patch.undo()


@pytest.fixture
def start_player(tmp_path):
    """Return a function that starts a player with parameters, in a process."""
    started = []

    def start(**parameters):
        words = [f'{name}:={json.dumps(value)}' for name, value in parameters.items()]
        command = [sys.executable, '-m', 'superpoint_ros.ros.player_main', '--ros-args']
        command += [part for word in words for part in ('-p', word)]
        command += ['-r', f'__ns:=/player_test_{os.getpid()}']
        process = subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def listener():
    """Return a listener to what the player publishes."""
    listener = Listener()
    yield listener
    listener.close()


class Listener:
    """Whoever receives messages of the player."""

    def __init__(self):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node(
            'listener', namespace=f'player_test_{os.getpid()}', context=self._context
        )
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.images, self.poses, self.infos = [], [], []
        for kind, topic, received in (
            (Image, 'image', self.images),
            (CameraInfo, 'camera_info', self.infos),
            (PoseStamped, 'ground_truth/pose', self.poses),
        ):
            self._node.create_subscription(
                kind,
                topic,
                lambda message, received=received: received.append((time.time(), message)),
                QoSProfile(depth=20),
            )

    def receive(self, count, timeout=30.0, what='images'):
        """Return the next `count` messages of a kind, each with the time of its arrival."""
        received = getattr(self, what)
        received.clear()
        deadline = time.monotonic() + timeout
        while len(received) < count and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.1)
        assert len(received) >= count, f'{len(received)} of {count} {what} in {timeout} s'
        return received[:count]

    def publishers(self, topic):
        """Return how many publish on a topic."""
        return self._node.count_publishers(topic)

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def receive_images(listener):
    """Return a function that returns the next `count` messages of the player."""
    return listener.receive
