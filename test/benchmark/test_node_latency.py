# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The benchmark measures the latency of a real node in another process."""

import numpy as np
import pytest

from support.ros_domain import ros_domain

pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('psutil', reason='psutil is not installed')
pytest.importorskip('rclpy', reason='rclpy is not installed')

from superpoint_ros.benchmark.benchmark_charts import plot_node
from superpoint_ros.benchmark.benchmark_tables import node_markdown
from superpoint_ros.benchmark.candidates import Execution
from superpoint_ros.benchmark.frame_times import SpeedPlan
from superpoint_ros.benchmark.node_latency import measure_node


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(3)))


def test_node_latency_is_what_the_node_adds_to_the_detector(tiny, tmp_path):
    plan = SpeedPlan(
        sizes=[(160, 120)],
        networks=[tiny],
        executions=[Execution('torch')],
        keypoints=50,
        rounds=40,  # medians of 10 frames differed by 0.02 ms while the machine was busy
    )
    [result] = measure_node(plan, tmp_path, lambda text: None)
    assert result['rounds'] + result['lost'] == 40
    assert len(result['added_ms']) == result['rounds'] >= 20
    assert result['latency']['p50'] > result['detector']['p50'] > 0
    assert result['added']['p50'] == pytest.approx(np.median(result['added_ms']))
    assert result['added']['p50'] > 0
    assert result['relay']['p50'] > 0
    assert 'tiny 160x120, torch float32' in node_markdown([result])
    reported = {**result, 'node_stages': {'inference': 2.0}, 'latency': {'p50': 4.5, 'p99': 5.0}}
    assert '| 2.00 | 2.50 |' in node_markdown([reported])
    assert sorted(path.name for path in tmp_path.iterdir()) == ['detector.log', 'relay.log']
    plot_node([result], tmp_path / 'node.png')
    assert (tmp_path / 'node.png').stat().st_size > 1000
