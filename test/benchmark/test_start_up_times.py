# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The benchmark measures starts of real programs."""

import os

import pytest

from support.ros_domain import ros_domain

pytest.importorskip('matplotlib', reason='matplotlib is not installed')
pytest.importorskip('psutil', reason='psutil is not installed')

from superpoint_ros.benchmark import start_up
from superpoint_ros.benchmark.benchmark_charts import plot_start_up
from superpoint_ros.benchmark.benchmark_tables import start_up_markdown


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(ros_domain(3)))


def test_starts_of_command_and_node_are_measured(tmp_path, monkeypatch):
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    seen = []
    time_node = start_up._time_node

    def only_warm(out):
        caches = os.environ.get('NUMBA_CACHE_DIR')
        seen.append(caches)
        return time_node(out) if len(seen) == 1 else (9.0, 8.0)

    monkeypatch.setattr(start_up, '_time_node', only_warm)
    command, node, cold = start_up.measure_start_up(1, tmp_path, lambda text: None)
    assert (command['name'], node['name']) == ('superpoint detect', 'detector node')
    for each in (command, node):
        assert len(each['elapsed']) == 1
        assert each['elapsed'][0] > 0.2
        # Imports alone take some tenths of a second of processor time.
        assert 0.2 < each['processor'][0] < 60
    assert seen[1] != seen[0]  # an empty cache
    assert os.environ.get('NUMBA_CACHE_DIR') == seen[0]
    assert cold['elapsed'] == [9.0]
    plot_start_up([command, node], tmp_path / 'start.png')
    assert (tmp_path / 'start.png').is_file()


def test_a_start_that_fails_is_named_with_the_last_line_of_the_program(tmp_path):
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'no image')
    with pytest.raises(ChildProcessError, match='superpoint detect has failed with status 2: sup'):
        start_up._time_command(bad)


def test_start_table_has_medians_in_seconds():
    results = [{'name': 'superpoint detect', 'elapsed': [1.0, 3.0, 2.5], 'processor': [1.0] * 3}]
    assert '| superpoint detect | 2.50 | 1.00 | 3 |' in start_up_markdown(results)
