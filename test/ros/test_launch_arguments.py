# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A wrong launch argument ends the launch before any node starts, and is named."""

from __future__ import annotations

import re
import sys

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not installed')

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch_ros.actions import Node
from launch_ros.utilities import evaluate_parameters

from superpoint_ros.resources import share_directory


def entities_of(file, context):
    """Return the entities of a launch file."""
    path = share_directory() / 'launch' / f'{file}.launch.py'
    return PythonLaunchDescriptionSource(str(path)).get_launch_description(context).entities


def run_until_nodes(file, **arguments):
    """Execute the actions of a launch file that come before its first node."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    for entity in entities_of(file, context):
        if isinstance(entity, Node):
            return
        entity.execute(context)
        if isinstance(entity, OpaqueFunction):
            return


@pytest.mark.parametrize(
    ('file', 'arguments', 'message'),
    [
        ('stereo', {'odometry': 'maybe'}, "odometry must be true or false, got 'maybe'"),
        ('rgbd', {'rectified': 'no'}, "rectified must be true or false, got 'no'"),
        ('rgbd', {'pair_tolerance': 'x'}, 'pair_tolerance must be a number from 0.0'),
        ('demo', {'threshold': '2.0'}, 'threshold must lie between 0.0 and 1.0'),
        ('demo_odometry', {'rate': 'fast'}, 'rate must be a number from 0.0 to 1000.0'),
        ('demo_odometry', {'max_side': '9.5'}, 'max_side must be a whole number'),
        ('detector', {'autostart': '2'}, "autostart must be true or false, got '2'"),
        ('rgbd', {'use_sim_time': 'yes'}, "use_sim_time must be true or false, got 'yes'"),
        ('detector', {'image_transport': 'jpg'}, 'must be one of raw, compressed'),
        ('detector', {'depth_source': 'lidar'}, 'must be one of none, stereo, image'),
        ('stereo', {'tracker_params_file': 'none.yaml'}, 'must be a parameter file'),
        ('rgbd', {'odometry_params_file': 'none.yaml'}, 'must be a parameter file'),
        ('demo', {'params_file': 'none.yaml'}, 'must be a parameter file, got .none'),
        ('demo_odometry', {'tracker_params_file': 'x'}, 'must be a parameter file'),
        ('stereo', {'publish_tf': 'no'}, "publish_tf must be true or false, got 'no'"),
        ('stereo', {'odometry': ''}, "odometry must be true or false, got ''"),
        ('demo', {'log_level': 'loud'}, "log_level must be one of debug, .*; got 'loud'"),
        ('rgbd', {'log_level': ''}, "log_level must be one of debug, .*; got ''"),
        ('demo', {'params_file': '""'}, "params_file must be a parameter file, got ''"),
    ],
)
def test_a_wrong_launch_argument_is_named_before_a_node_starts(file, arguments, message):
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=message):
        run_until_nodes(file, **arguments)


def nodes_among(entities, context):
    """Return the nodes among entities and those that they lead to, which are executed."""
    return [
        node
        for entity in entities or ()
        for node in (
            [entity] if isinstance(entity, Node) else nodes_among(entity.visit(context), context)
        )
    ]


@pytest.mark.parametrize(
    ('program', 'argument', 'text'),
    [
        ('stereo.launch.py', 'left_imag', 'has no argument left_imag, .*: is left_image meant'),
        ('/opt/stereo.launch.py', 'max_keypoints', 'has no argument max_keypoints, .* params_f'),
        ('stereo.launch.py', 'left_image', ''),
        ('stereo.launch.py', 'sigterm_timeout', ''),
        ('robot.launch.py', 'left_imag', ''),  # which includes stereo.launch.py
    ],
)
def test_an_unknown_argument_of_the_command_line_is_named(
    monkeypatch, caplog, program, argument, text
):
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', program, f'{argument}:=3'])
    context = LaunchContext(argv=[f'{argument}:=3'])
    path = share_directory() / 'launch' / 'stereo.launch.py'
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(path)))
    logger = get_logger('launch.user')
    logger.addHandler(caplog.handler)
    try:
        assert nodes_among([include], context)
    finally:
        logger.removeHandler(caplog.handler)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(text)
    assert not text or re.match(f'stereo.launch.py {text}', messages[0])


def nodes_of(file, arguments):
    """Return the nodes that a launch file starts, and the context with which it does."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    return nodes_among(entities_of(file, context), context), context


def parameters_of(file, **arguments):
    """Return the parameters that a launch file gives to each node, besides parameter files."""
    nodes, context = nodes_of(file, arguments)
    found = {node.node_executable: {} for node in nodes}
    for node in nodes:
        for part in evaluate_parameters(context, node._Node__parameters):
            if isinstance(part, dict):
                found[node.node_executable].update(part)
    return found


def namespaces_of(file, **arguments):
    """Return the different namespaces that a launch file gives to its nodes."""
    nodes, context = nodes_of(file, arguments)
    return {context.perform_substitution(node._Node__node_namespace) for node in nodes}


@pytest.mark.parametrize('empty', ['', "''", '""'])
def test_empty_launch_arguments_leave_the_values_of_the_parameter_files(empty):
    for file in ('stereo', 'rgbd'):
        assert 'threshold' not in parameters_of(file)['detector']
    nodes = parameters_of('rgbd', threshold=empty, rectified=empty, pair_tolerance=empty)
    assert nodes == {'detector': {'depth_source': 'image'}, 'tracker': {}, 'visual_odometry': {}}
    nodes = parameters_of('demo_odometry', threshold=empty, rate=empty, max_side=empty)
    assert nodes['player'] == {'source': 'room'}
    assert nodes['detector'] == {}


@pytest.mark.parametrize('quotes', ["''", '""'])
def test_two_quotation_marks_stand_for_any_empty_launch_argument(quotes):
    empty = dict.fromkeys(('namespace', 'cameras', 'dds_profile'), quotes)
    assert parameters_of('detector', **empty) == {'detector': {}}
    for file in ('detector', 'stereo', 'rgbd', 'demo', 'demo_odometry'):
        assert namespaces_of(file, namespace=quotes) == {''}
    for file, topic in (('detector', 'image'), ('rgbd', 'depth'), ('stereo', 'left_image')):
        with pytest.raises(ValueError, match='must be the name of a topic'):
            parameters_of(file, **{topic: quotes})


def test_launch_arguments_are_parameters_of_their_types_whatever_their_text():
    values = {'weights': '/data/run #2: new/1.safetensors', 'device': '0', 'threshold': '1e-3'}
    detector = parameters_of('detector', autostart='False', **values)['detector']
    assert detector == {**values, 'threshold': 0.001, 'autostart': False}
    player = parameters_of('demo', source='0', rate='15')['player']
    assert player == {'source': '0', 'rate': 15.0, 'max_side': 640}
    for level in ('debug', 'WARN', 'detector:=debug'):
        assert parameters_of('demo', log_level=level)


@pytest.mark.parametrize('file', ['detector', 'stereo', 'rgbd'])
def test_the_launch_argument_use_sim_time_holds_for_all_nodes(file):
    for text, value in (('true', True), ('False', False), ("''", None)):
        nodes = parameters_of(file, use_sim_time=text)
        assert [node.get('use_sim_time') for node in nodes.values()] == [value] * len(nodes)


@pytest.mark.parametrize('file', ['stereo', 'rgbd', 'demo_odometry'])
def test_the_frames_of_the_odometry_are_launch_arguments_for_that_node_alone(file):
    frames = {'odom_frame': '7', 'publish_tf': False}
    nodes = parameters_of(file, odom_frame='7', publish_tf='false')
    assert frames.items() <= nodes['visual_odometry'].items()
    for name in ('detector', 'tracker'):
        assert not frames.keys() & nodes[name].keys()


@pytest.mark.parametrize('name', ['demo', 'demo_odometry', 'stereo', 'rgbd'])
def test_launch_arguments_of_the_detector_do_not_leak_from_other_launch_files(name):
    def entities(file, kind):
        return [each for each in entities_of(file, LaunchContext()) if isinstance(each, kind)]

    [include] = entities(name, IncludeLaunchDescription)
    passed = {argument for argument, _ in include.launch_arguments}
    assert passed == {each.name for each in entities('detector', DeclareLaunchArgument)}


@pytest.mark.parametrize('name', ['demo', 'demo_odometry', 'stereo', 'rgbd'])
def test_values_for_the_detector_do_not_leak_into_the_next_launch_file(name):
    _, context = nodes_of(name, {})
    declared = [
        each.name for each in entities_of(name, context) if isinstance(each, DeclareLaunchArgument)
    ]
    assert context.launch_configurations.keys() == set(declared)
