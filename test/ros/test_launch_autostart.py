# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch arguments autostart and use_sim_time hold for all nodes of a launch file."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

import launch_pytest
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters

from support.node_processes import COMMON_START
from support.ros import launch_description
from support.ros_domain import ros_domain

DOMAIN = ros_domain(8)


@launch_pytest.fixture
def launched():
    """Launch detector, tracker and visual odometry for a lifecycle manager, by simulated time."""
    arguments = {'autostart': 'false', 'use_sim_time': 'true'}
    return launch_description('rgbd.launch.py', DOMAIN, [], namespace='robot', **arguments)


@pytest.mark.timeout(900)
@pytest.mark.launch(fixture=launched)
def test_all_launched_nodes_wait_for_a_lifecycle_manager_and_use_simulated_time(start_observer):
    observer = start_observer(DOMAIN)
    names = {'detector', 'tracker', 'visual_odometry'}
    observer.wait_until(lambda: names <= {*observer.observer.get_node_names()}, COMMON_START)
    for name in names:
        state = observer.call(GetState, f'/robot/{name}/get_state', GetState.Request())
        assert state.current_state.label == 'unconfigured', name
        request = GetParameters.Request(names=['use_sim_time'])
        (value,) = observer.call(GetParameters, f'/robot/{name}/get_parameters', request).values
        assert value.bool_value, name
