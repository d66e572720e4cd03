# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The player as a process, and an observer of its topics."""

from __future__ import annotations

import json
import os
import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from support.node_processes import Program
from support.ros import Observer, PATIENCE
from support.ros_domain import ros_domain

DOMAIN = ros_domain(1)
NAMESPACE = f'/player_test_{os.getpid()}'


@pytest.fixture(autouse=True)
def private_domain(monkeypatch):
    """Use a ROS domain of this test run."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN))
    # Nodes that look beyond this machine find each other in no time, the others in three seconds.
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')


@pytest.fixture
def start_player():
    """Return a function that starts a player with parameters, in a process."""
    started = []

    def start(**parameters):
        words = [f'{name}:={json.dumps(value)}' for name, value in parameters.items()]
        arguments = ['-m', 'superpoint_ros.ros.run_node', 'player', '--ros-args']
        arguments += [part for word in words for part in ('-p', word)]
        started.append(Program([*arguments, '-r', f'__ns:={NAMESPACE}'], DOMAIN))
        return started[-1]

    yield start
    for program in started:
        program.end()


class Listener(Observer):
    """An observer of the player's topics."""

    def __init__(self):
        super().__init__(DOMAIN, namespace=NAMESPACE)
        self.images, self.poses, self.infos = [], [], []
        for kind, topic, received in (
            (Image, 'image', self.images),
            (CameraInfo, 'camera_info', self.infos),
            (PoseStamped, 'ground_truth/pose', self.poses),
        ):
            self.observer.create_subscription(
                kind,
                topic,
                lambda message, received=received: received.append((time.time(), message)),
                QoSProfile(depth=20),
            )

    def receive(self, count, timeout=PATIENCE, what='images'):
        """Return the next `count` messages of a kind, each with the time of its arrival."""
        received = getattr(self, what)
        received.clear()
        self.wait_until(lambda: len(received) >= count, timeout)
        return received[:count]

    def publishers(self, topic):
        """Return how many publishers a topic has."""
        return self.observer.count_publishers(topic)


@pytest.fixture
def listener():
    """Return a listener to the player's topics."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def receive_images(listener):
    """Return a function that returns the next `count` messages of the player."""
    return listener.receive
