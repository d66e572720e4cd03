# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch file of the odometry demonstration starts four nodes, which find each other."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

from geometry_msgs.msg import PoseStamped
import launch_pytest
from sensor_msgs.msg import PointCloud

from support.node_processes import COMMON_START
from support.ros import launch_description, Observer
from support.ros_domain import ros_domain

DOMAIN = ros_domain(1)
STATUSES = []


@launch_pytest.fixture(scope='module')
def launched():
    """Launch the demonstration of odometry with small images."""
    return launch_description(
        'demo_odometry.launch.py', DOMAIN, STATUSES, device='cpu', rate='4.0', max_side='320'
    )


@pytest.mark.timeout(900)
@pytest.mark.launch(fixture=launched)
def test_the_launched_demo_publishes_tracks_and_ground_truth():
    observer = Observer(DOMAIN)
    tracks = observer.listen(PointCloud, '/demo/tracks', wait=False)
    poses = observer.listen(PoseStamped, '/demo/ground_truth/pose', wait=False)
    count_publishers = observer.observer.count_publishers
    observer.wait_until(
        lambda: len(tracks) > 3 and len(poses) > 3 and count_publishers('/demo/odometry'),
        timeout=COMMON_START,
    )
    assert len(tracks[-1].points) > 50
    assert tracks[-1].header.frame_id == 'camera'
    assert poses[-1].header.frame_id == 'world'
    assert count_publishers('/demo/odometry') == 1
    observer.close()


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_all_nodes_end_cleanly_with_the_launch():
    assert STATUSES == [0, 0, 0, 0]
