# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demonstration's launch file starts player and detector, which find each other."""

from __future__ import annotations

import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

from ament_index_python.packages import get_package_share_path
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler, SetEnvironmentVariable
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_pytest

DOMAIN = ros_domain(0)
ENDS = []


@launch_pytest.fixture(scope='module')
def launched(random_weights):
    """Include the installed launch file, on a domain of its own."""
    file = get_package_share_path('superpoint_ros') / 'launch' / 'demo.launch.py'
    arguments = {
        'weights': str(random_weights),
        'device': 'cpu',
        'rate': '10.0',
        'max_side': '320',
        'threshold': '0.0007',
    }
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
def test_the_player_s_images_are_answered(start_observer):
    observer = start_observer(DOMAIN, '/demo/features')
    observer.wait_until(lambda: len(observer.messages) >= 5, timeout=90)
    assert observer.messages[-1].header.frame_id == 'camera'
    assert observer.messages[-1].width > 20


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_both_end_cleanly_with_the_launch():
    assert ENDS == [0, 0]
