# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector node in the test's own process, where a test can reach into it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo

from superpoint_ros.ros.diagnostics import status_values
from support.ros import Observer
from support.ros_domain import ros_domain

DOMAIN = ros_domain(5)


class Inside(Observer):
    """A detector node, and an observer that publishes images and receives features."""

    def __init__(self, parameters, remappings=()):
        from diagnostic_msgs.msg import DiagnosticArray

        from superpoint_ros.ros.detector.detector_node import DetectorNode

        super().__init__(DOMAIN, remappings=remappings)
        try:
            self.node = self.add(DetectorNode, parameters)
        except BaseException:
            self.close()
            raise
        self.diagnostics = self.listen(DiagnosticArray, '/diagnostics', wait=False)
        self.features = {}
        self._calls = itertools.count()

    def listen_to_features(self, topic='features'):
        """Gather the features of a topic in `features[topic]`; return the subscription."""
        from sensor_msgs.msg import PointCloud2

        messages = self.features.setdefault(topic, [])
        return self.observer.create_subscription(PointCloud2, topic, messages.append, 50)

    def answers(self, message, topic='image', features='features', count=1, **more):
        """
        Publish the message until its features arrive `count` times; return the last ones.

        Its frame_id is changed, to ignore answers to earlier calls that are under way.
        """
        if features not in self.features:
            self.listen_to_features(features)
        message.header.frame_id = f'call {next(self._calls)}'

        def is_answered():
            return len(self.answers_to(message, features)) >= count

        def publish():
            self.publish(message, topic, **more)
            return self.rest(0.1, is_answered)

        self.wait_until(publish)
        return self.answers_to(message, features)[-1]

    def answers_to(self, message, features='features'):
        """Return the features that have arrived with the frame_id of an image."""
        wanted = message.header.frame_id
        return [each for each in self.features[features] if each.header.frame_id == wanted]

    def status(self, part):
        """Return level, message and values of the part's status that comes next."""
        self.diagnostics.clear()
        self.wait_until(lambda: self.diagnostics)
        return self.newest_status(part)

    def newest_status(self, part):
        """Return level, message and values of a part's last status; (None, '', {}) without."""
        for status in self.diagnostics[-1].status if self.diagnostics else ():
            if status.name.endswith(f': {part}'):
                return status.level, status.message, status_values(status)
        return None, '', {}

    def set_parameters(self, **values):
        """Return the result of setting parameters of the detector at once."""
        return self.node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()]
        )


@pytest.fixture
def start_inside(random_weights):
    """Return a function that makes a detector in this process with these parameters."""
    made = []

    def start(remappings=(), **parameters):
        # Other engines take seconds to start.
        defaults = {'engine': 'torch', 'device': 'cpu', 'threshold': 0.001}
        defaults['weights'] = str(random_weights)
        made.append(Inside({**defaults, **parameters}, remappings))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def wait_for_log(capfd):
    """Return a function that waits until a system's log has a text, and returns the log so far."""
    log = ''

    def wait(system, text):
        def is_logged():
            nonlocal log
            log += capfd.readouterr().err
            return text in log

        system.wait_until(is_logged)
        return log

    return wait


@pytest.fixture
def pixels():
    """Return a gray image (120, 160) of noise."""
    return np.random.default_rng(3).integers(0, 256, (120, 160), dtype=np.uint8)


@pytest.fixture
def image(pixels):
    """Return the message of a gray image."""
    from superpoint_ros.ros.messages.image_messages import image_message

    return image_message(pixels)


@pytest.fixture
def info():
    """Return a calibration of the camera of the images, with some distortion."""
    k = [150.0, 0.0, 80.0, 0.0, 140.0, 60.0, 0.0, 0.0, 1.0]
    d = [-0.2, 0.05, 0.001, -0.001, 0.0]
    return CameraInfo(width=160, height=120, distortion_model='plumb_bob', k=k, d=d)
