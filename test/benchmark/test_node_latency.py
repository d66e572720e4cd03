# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The benchmark's way through a real node, which is a process of its own."""

import numpy as np
import pytest

from support.ros_domain import ros_domain

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)

from superpoint_ros.benchmark.candidates import Execution
from superpoint_ros.benchmark.frame_times import Plan
from superpoint_ros.benchmark.node_latency import measure_node
from superpoint_ros.benchmark.tables import node_markdown


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(3)))


def test_what_the_node_adds_is_the_difference_of_a_frame_s_two_times(tiny, tmp_path):
    plan = Plan(
        sizes=[(160, 120)],
        networks=[tiny],
        executions=[Execution('torch')],
        keypoints=50,
        rounds=10,
    )
    [result] = measure_node(plan, tmp_path, lambda text: None)
    assert result['rounds'] + result['lost'] == 10
    assert len(result['added_ms']) == result['rounds'] >= 5
    assert result['latency']['p50'] > result['detector']['p50'] > 0
    assert result['added']['p50'] == pytest.approx(np.median(result['added_ms']))
    assert result['added']['p50'] > 0
    assert 'tiny 160x120, torch float32' in node_markdown([result])
    told = {**result, 'node_stages': {'inference': 2.0}, 'latency': {'p50': 4.5, 'p99': 5.0}}
    assert '| 2.00 | 2.50 |' in node_markdown([told])
    assert [path.name for path in tmp_path.iterdir()] == ['detector.log']
