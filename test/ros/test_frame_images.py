# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images wait for features with their stamps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.topics.frame_images import FrameImages


@pytest.fixture
def images():
    """Return images that are needed, and the callback of their topic."""
    receivers = []

    def subscribe(kind, topic, callback, *_, **__):
        receivers.append(callback)
        return callback

    node = SimpleNamespace(
        get_logger=lambda: None,
        create_subscription=subscribe,
        resolve_topic_name=lambda name: f'/{name}',
        has_parameter=lambda name: False,
    )
    made = FrameImages(node, 'image', 'tracks')
    made.follow_demand(True)
    return made, receivers[0]


def header(second):
    made = Header()
    made.stamp.sec = second
    return made


def image_of(second, value):
    return image_message(np.full((16, 16), value, np.uint8), header(second))


def test_images_of_a_repeated_recording_wait_in_the_order_of_their_arrival(images):
    images, receive = images
    receive(image_of(3, 30))  # the detector dropped it, and the recording begins again
    for second in (1, 2, 3):
        receive(image_of(second, second))
    for second in (1, 2, 3):
        gray = images.gray(PointCloud2(header=header(second)))
        assert gray is not None
        assert gray[0, 0] == second


def test_only_the_newest_images_wait_for_features(images):
    images, receive = images
    for second in range(1, 101):
        receive(image_of(second, second))
    assert images.received == 100
    assert images.gray(PointCloud2(header=header(70))) is None
    for second in range(71, 101):
        assert images.gray(PointCloud2(header=header(second)))[0, 0] == second
