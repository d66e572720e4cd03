# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch file starts the detector, its arguments reach it, and it ends with the launch."""

from __future__ import annotations

import numpy as np
import pytest

from support.ros import launch_description
from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

import launch_pytest
from rcl_interfaces.srv import GetParameters

from superpoint_ros.ros.messages.feature_messages import features_from_message

DOMAIN = ros_domain(4)
STATUSES = []


@launch_pytest.fixture(scope='module')
def launched(random_weights):
    """Launch the detector with arguments, all but those that are left to the parameter file."""
    return launch_description(
        'detector.launch.py',
        DOMAIN,
        STATUSES,
        image='/front/image_raw',
        namespace='robot',
        weights=str(random_weights),
        device='cpu',
        threshold='0.0007',
        log_level='info',
    )


@pytest.mark.launch(fixture=launched)
def test_the_launched_detector_publishes_features_of_the_image_topic(start_camera, start_observer):
    observer = start_observer(DOMAIN, '/robot/features')
    camera = start_camera(DOMAIN)
    observer.wait_until(lambda: observer.observer.count_publishers('/robot/features'), timeout=200)
    image = np.random.default_rng(1).integers(0, 256, (120, 160), dtype=np.uint8)

    def answered():
        camera.publish(image, 5000, topic='/front/image_raw', frame_id='front_optical')
        observer.rest(0.1)
        return observer.messages

    observer.wait_until(answered, timeout=60)
    message = observer.messages[-1]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 0)
    assert message.header.frame_id == 'front_optical'
    assert len(features_from_message(message)) > 20

    request = GetParameters.Request(names=['threshold', 'device', 'nms_radius'])
    response = observer.call(GetParameters, '/robot/detector/get_parameters', request)
    threshold, device, radius = response.values
    assert threshold.double_value == 0.0007
    assert device.string_value == 'cpu'
    assert radius.integer_value == 3


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_the_detector_ends_cleanly_with_the_launch():
    assert STATUSES == [0]
