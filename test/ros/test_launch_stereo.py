# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch file of a stereo camera: rectified pairs in, a trajectory in metres out."""

from __future__ import annotations

import pytest

from support.ros import launch_description
from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

import launch_pytest
from rcl_interfaces.srv import GetParameters

from superpoint_ros.ros.messages.feature_messages import features_from_message
from support.metric_flight import fly_through_room

DOMAIN = ros_domain(3)
STATUSES = []


@launch_pytest.fixture(scope='module')
def launched():
    """Launch detector, tracker and visual odometry for two cameras with other topics."""
    return launch_description(
        'stereo.launch.py',
        DOMAIN,
        STATUSES,
        left_image='/rig/cam0/image_rect',
        right_image='/rig/cam1/image_rect',
        left_camera_info='/rig/cam0/camera_info',
        right_camera_info='/rig/cam1/camera_info',
        namespace='robot',
        device='cpu',
        threshold='0.0007',
        dds_profile='large_images',
    )


@pytest.mark.timeout(900)
@pytest.mark.launch(fixture=launched)
def test_the_launched_nodes_publish_features_with_depth_and_odometry_in_metres(start_observer):
    left = start_observer(DOMAIN, '/robot/left/features')
    right = start_observer(DOMAIN, '/robot/right/features')
    fly_through_room(
        left,
        {
            'camera_info': '/rig/cam0/camera_info',
            'right_camera_info': '/rig/cam1/camera_info',
            'image': '/rig/cam0/image_rect',
            'right_image': '/rig/cam1/image_rect',
        },
        '/robot',
    )
    # On a busy machine, some right images come too late.
    depths = [features_from_message(message).depths for message in left.messages]
    assert max(each.known.sum() for each in depths) > 50
    right.wait_until(lambda: right.messages)
    assert right.messages[-1].width > 50

    request = GetParameters.Request(names=['cameras', 'depth_source'])
    cameras, source = left.call(GetParameters, '/robot/detector/get_parameters', request).values
    assert list(cameras.string_array_value) == ['left', 'right']
    assert source.string_value == 'stereo'


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_the_nodes_for_stereo_end_cleanly_with_the_launch():
    assert STATUSES == [0, 0, 0]
