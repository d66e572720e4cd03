# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The names in parameter files stand for the nodes to which ROS gives the parameters."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import rclpy
import yaml

from superpoint_ros.ros.parameter_files import is_name_of, node_names, warn_of_other_nodes
from superpoint_ros.ros.parameters import given_parameters
from support.ros_domain import ros_domain

DOMAIN = ros_domain(5)

BELOW_A_NAMESPACE = {'robot': {'detector': {'ros__parameters': {'size': 1}}}}


@pytest.mark.parametrize('namespace', ['', '/robot', '/north/robot'])
@pytest.mark.parametrize(
    'name',
    ['detector', '/detector', '/**', '/*', '/**/detector', '/*/detector', '/robot/detector']
    + ['robot/detector', '/robot/**', '/robot/*', '/north/**', '/tracker', BELOW_A_NAMESPACE],
)
def test_names_of_nodes_in_parameter_files_are_compared_as_ros_does(name, namespace, tmp_path):
    content = name if isinstance(name, dict) else {name: {'ros__parameters': {'size': 1}}}
    path = tmp_path / 'parameters.yaml'
    path.write_text(yaml.safe_dump(content))
    context = rclpy.Context()
    arguments = ['--ros-args', '--params-file', str(path)]
    rclpy.init(args=arguments, context=context, domain_id=DOMAIN)
    try:
        node = rclpy.create_node('detector', namespace=namespace, context=context)
        has_value = 'size' in given_parameters(node)
        (pattern,) = node_names(content)
        assert is_name_of(pattern, node.get_fully_qualified_name()) == has_value
        node.destroy_node()
    finally:
        context.shutdown()


def test_files_without_parameters_name_no_node():
    for content in (None, {}, {'detector': None}, {'detector': {}}, 'text'):
        assert list(node_names(content)) == []


@pytest.mark.parametrize(
    ('name', 'value', 'count'),
    [
        ('/tracker', '!!python/tuple [left, right]', 1),  # as launch_ros writes it
        ('/**', '!!python/tuple [left, right]', 0),
        ('/tracker', '[left, right', 0),  # ROS has refused it
    ],
)
def test_files_with_tags_or_errors_do_not_end_the_node(name, value, count, tmp_path):
    path = tmp_path / 'parameters.yaml'
    path.write_text(f'{name}:\n  ros__parameters:\n    cameras: {value}\n')
    warnings = []
    node = SimpleNamespace(
        get_fully_qualified_name=lambda: '/detector',
        get_logger=lambda: SimpleNamespace(warning=warnings.append),
    )
    warn_of_other_nodes(node, ['--ros-args', '--params-file', str(path)])
    assert len(warnings) == count
    assert all(f'{path} has no effect: it has parameters of /tracker' in each for each in warnings)
