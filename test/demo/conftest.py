"""The player as a process, and somebody who listens to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image


@pytest.fixture(scope='session', autouse=True)
def quiet_neighbours():
    """Keep to a part of this machine's topics that nobody else listens to."""
    patch = pytest.MonkeyPatch()
    patch.setenv('ROS_DOMAIN_ID', '51')
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
        command = [sys.executable, '-m', 'superpoint_ros.node.player_node', '--ros-args']
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
def receive_images():
    """Return a function that returns the next `count` messages of the player."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('listener', namespace=f'player_test_{os.getpid()}', context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received = []
    node.create_subscription(
        Image,
        'image',
        lambda message: received.append((time.time(), message)),
        QoSProfile(depth=20),
    )

    def receive(count, timeout=30.0):
        received.clear()
        deadline = time.monotonic() + timeout
        while len(received) < count and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        assert len(received) >= count, f'{len(received)} of {count} images in {timeout} s'
        return received[:count]

    yield receive
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
