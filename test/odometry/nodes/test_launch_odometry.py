# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch file of the odometry demonstration starts four nodes, which find each other."""

from __future__ import annotations

import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

from ament_index_python.packages import get_package_share_path
from geometry_msgs.msg import PoseStamped
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler, SetEnvironmentVariable
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_pytest
import rclpy
from sensor_msgs.msg import PointCloud

DOMAIN = ros_domain(1)
ENDS = []


@launch_pytest.fixture(scope='module')
def launched():
    """Include the installed launch file, on a domain of its own."""
    file = get_package_share_path('superpoint_ros') / 'launch' / 'demo_odometry.launch.py'
    arguments = {'device': 'cpu', 'rate': '4.0', 'max_side': '320'}
    return LaunchDescription(
        [
            SetEnvironmentVariable('ROS_DOMAIN_ID', str(DOMAIN)),
            SetEnvironmentVariable('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
            RegisterEventHandler(OnProcessExit(on_exit=lambda e, _: ENDS.append(e.returncode))),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(file)), launch_arguments=arguments.items()
            ),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@pytest.mark.launch(fixture=launched)
def test_tracks_and_true_poses_come(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=DOMAIN)
    node = rclpy.create_node('observer', context=context)
    tracks, poses = [], []
    node.create_subscription(PointCloud, '/demo/tracks', tracks.append, 10)
    node.create_subscription(PoseStamped, '/demo/ground_truth/pose', poses.append, 10)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    for _ in range(900):
        if len(tracks) > 3 and len(poses) > 3 and node.count_publishers('/demo/odometry'):
            break
        executor.spin_once(timeout_sec=0.1)
    assert len(tracks[-1].points) > 50
    assert tracks[-1].header.frame_id == 'camera'
    assert poses[-1].header.frame_id == 'world'
    assert node.count_publishers('/demo/odometry') == 1
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_all_end_cleanly_with_the_launch():
    assert ENDS == [0, 0, 0, 0]
