# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The names in parameter files stand for the nodes to which ROS gives the parameters."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import rclpy
import yaml

from superpoint_ros.ros.parameter_files import (
    is_name_of,
    node_names,
    warn_of_ignored_parameters,
)
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
        list_parameters=lambda *_: SimpleNamespace(names=[]),
    )
    warn_of_ignored_parameters(node, ['--ros-args', '--params-file', str(path)])
    assert len(warnings) == count
    assert all(f'{path} has no effect: it has parameters of /tracker' in each for each in warnings)


@pytest.mark.parametrize(
    ('key', 'text', 'is_named'),
    [
        ('', 'max_features: 1', True),
        ('/robot/detector', 'max_features: 1', True),
        ('detector', 'max_features: 1', False),  # of the node without a namespace
        ('/**', 'max_features: 1', False),  # may be meant for another node
        ('/robot/detector', 'size: 1', False),
        ('/robot/detector', 'siz: 1', False),  # another warning names the right one
        ('/robot/detector', 'sensor: {gain: 1}', True),
        ('/robot/detector', 'qos_overrides: {/tf: {publisher: {depth: 1}}}', False),
    ],
)
def test_an_unknown_parameter_for_the_node_is_named(key, text, is_named, tmp_path, capfd):
    path = tmp_path / 'parameters.yaml'
    path.write_text(f'{key}:\n  ros__parameters:\n    {text}\n')
    source = ['--params-file', str(path)] if key else ['-p', text.replace(': ', ':=')]
    context, arguments = rclpy.Context(), ['--ros-args', *source]
    rclpy.init(args=arguments, context=context, domain_id=DOMAIN)
    try:
        node = rclpy.create_node('detector', namespace='/robot', context=context)
        node.declare_parameter('size', 1)
        warn_of_ignored_parameters(node, arguments)
        node.destroy_node()
    finally:
        context.shutdown()
    name = 'sensor.gain' if 'gain' in text else 'max_features'
    said = f'the parameter {name} is unknown and is ignored; ros2 param list /robot/detector'
    output = capfd.readouterr().err
    assert (said in output) == ('is unknown' in output) == is_named
