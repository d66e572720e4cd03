# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The parameter files of the tracker for its consumers can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('yaml', reason='PyYAML is not installed')

import yaml

from superpoint_ros.ros.tracker_node import TrackerNode

CONFIG = Path(__file__).resolve().parents[3] / 'config'


def written(name):
    return yaml.safe_load((CONFIG / name).read_text())['/**']['ros__parameters']


@pytest.mark.parametrize('consumer', ['vins_mono', 'vins_fusion', 'openvins'])
def test_the_parameter_files_for_estimators_are_accepted(graph, consumer):
    values = written(f'tracker_{consumer}.yaml')
    node = graph.add(TrackerNode, **values)
    for name, value in values.items():
        assert node.get_parameter(name).value == value
    assert node.get_parameter('max_tracks').value >= 100
