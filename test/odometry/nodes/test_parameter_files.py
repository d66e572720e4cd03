# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The parameter files that are shipped have what the nodes have, and what they do by default."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed', exc_type=ImportError)
pytest.importorskip('yaml', reason='PyYAML is not installed')

import yaml

from superpoint_ros.ros.tracker_node import TrackerNode
from superpoint_ros.ros.visual_odometry_node import VisualOdometryNode

CONFIG = Path(__file__).resolve().parents[3] / 'config'
OF_RCLPY = ('use_sim_time', 'qos_overrides.', 'start_type_description_service')


def written(name):
    return yaml.safe_load((CONFIG / name).read_text())['/**']['ros__parameters']


@pytest.mark.parametrize(
    ('kind', 'file'), [(TrackerNode, 'tracker.yaml'), (VisualOdometryNode, 'visual_odometry.yaml')]
)
def test_the_file_has_every_parameter_with_its_default(graph, kind, file):
    node = graph.add(kind)
    declared = {
        name: parameter.value
        for name, parameter in node._parameters.items()
        if not name.startswith(OF_RCLPY)
    }
    assert written(file) == declared


@pytest.mark.parametrize('consumer', ['vins_mono', 'vins_fusion', 'openvins'])
def test_the_files_for_consumers_can_be_used(graph, consumer):
    values = written(f'tracker_{consumer}.yaml')
    node = graph.add(TrackerNode, **values)
    for name, value in values.items():
        assert node.get_parameter(name).value == value
    assert node.get_parameter('max_tracks').value >= 100
