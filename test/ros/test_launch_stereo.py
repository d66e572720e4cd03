# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch file of a pair of cameras: one node, both topics remapped, a profile of Fast DDS."""

from __future__ import annotations

import numpy as np
import pytest

from support.ros import launch_description
from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

import launch_pytest
from rcl_interfaces.srv import GetParameters

DOMAIN = ros_domain(3)
STATUSES = []


@launch_pytest.fixture(scope='module')
def launched(random_weights):
    """Launch the detector for two cameras."""
    return launch_description(
        'stereo.launch.py',
        DOMAIN,
        STATUSES,
        left_image='/rig/cam0/image_raw',
        right_image='/rig/cam1/image_raw',
        namespace='robot',
        weights=str(random_weights),
        device='cpu',
        threshold='0.0007',
        dds_profile='large_images',
    )


@pytest.mark.launch(fixture=launched)
def test_the_launched_node_publishes_features_of_both_cameras(start_camera, start_observer):
    left = start_observer(DOMAIN, '/robot/left/features')
    right = start_observer(DOMAIN, '/robot/right/features')
    left.wait_until(lambda: left.observer.count_publishers('/robot/left/features'), timeout=200)
    camera = start_camera(DOMAIN)
    image = np.random.default_rng(1).integers(0, 256, (120, 160), dtype=np.uint8)

    def answered():
        camera.publish(image, 5000, topic='/rig/cam0/image_raw')
        camera.publish(image[:, ::-1], 5000, topic='/rig/cam1/image_raw')
        left.rest(0.1)
        right.rest(0.1)
        return left.messages and right.messages

    left.wait_until(answered, timeout=60)
    assert left.messages[-1].width > 20
    assert right.messages[-1].width > 20
    assert left.messages[-1].data != right.messages[-1].data

    request = GetParameters.Request(names=['cameras'])
    (cameras,) = left.call(GetParameters, '/robot/detector/get_parameters', request).values
    assert list(cameras.string_array_value) == ['left', 'right']


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_the_detector_ends_cleanly_with_the_launch():
    assert STATUSES == [0]
