# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch file of a camera with depth images: images in, a trajectory in metres out."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

import launch_pytest

from support.metric_flight import fly_through_room
from support.ros import launch_description
from support.ros_domain import ros_domain

DOMAIN = ros_domain(6)
STATUSES = []


@launch_pytest.fixture(scope='module')
def launched():
    """Launch detector, tracker and visual odometry for a camera with other topics."""
    return launch_description(
        'rgbd.launch.py',
        DOMAIN,
        STATUSES,
        image='/camera/color/image_raw',
        camera_info='/camera/color/camera_info',
        depth='/camera/aligned_depth_to_color/image_raw',
        namespace='robot',
        device='cpu',
    )


@pytest.mark.timeout(900)
@pytest.mark.launch(fixture=launched)
def test_the_launched_nodes_publish_odometry_in_metres(start_observer):
    observer = start_observer(DOMAIN, '/robot/features')
    fly_through_room(
        observer,
        {
            'camera_info': '/camera/color/camera_info',
            'depth': '/camera/aligned_depth_to_color/image_raw',
            'image': '/camera/color/image_raw',
        },
        '/robot',
    )


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_the_nodes_for_depth_images_end_cleanly_with_the_launch():
    assert STATUSES == [0, 0, 0]
