# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demonstration's launch file starts player and detector, which find each other."""

from __future__ import annotations

import pytest

from support.ros import launch_description
from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('launch_pytest', reason='launch_pytest is not installed')

import launch_pytest

DOMAIN = ros_domain(0)
STATUSES = []


@launch_pytest.fixture(scope='module')
def launched(random_weights):
    """Launch the demonstration with small images."""
    return launch_description(
        'demo.launch.py',
        DOMAIN,
        STATUSES,
        weights=str(random_weights),
        device='cpu',
        rate='10.0',
        max_side='320',
        threshold='0.0007',
    )


@pytest.mark.launch(fixture=launched)
def test_the_launched_demo_publishes_features_of_the_player(start_observer):
    observer = start_observer(DOMAIN, '/demo/features')
    observer.wait_until(lambda: len(observer.messages) >= 5, timeout=200)
    assert observer.messages[-1].header.frame_id == 'camera'
    assert observer.messages[-1].width > 20


@pytest.mark.launch(fixture=launched, shutdown=True)
def test_player_and_detector_end_cleanly_with_the_launch():
    assert STATUSES == [0, 0]
