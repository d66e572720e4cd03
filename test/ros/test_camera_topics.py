# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The launch arguments of the topics name those of one camera or of any number of cameras."""

from __future__ import annotations

import re

import pytest

from superpoint_ros.files import share_directory
from superpoint_ros.ros.camera_topics import camera_remappings


def test_a_topic_is_that_of_a_single_camera():
    assert camera_remappings([], 'image', '/camera/image_raw') == [('image', '/camera/image_raw')]
    assert camera_remappings([], 'image', 'image') == []


def test_a_relative_topic_is_below_the_name_of_each_camera():
    assert camera_remappings(['left', 'right', 'rear'], 'image', 'image_raw') == [
        ('left/image', 'left/image_raw'),
        ('right/image', 'right/image_raw'),
        ('rear/image', 'rear/image_raw'),
    ]
    assert camera_remappings(['left', 'right'], 'image', 'image') == []


def test_a_list_of_topics_has_one_for_each_camera():
    topics = '/rig/cam0/info, left/info'
    assert camera_remappings(['front', 'left'], 'camera_info', topics) == [
        ('front/camera_info', '/rig/cam0/info'),
        ('left/camera_info', 'left/info'),
    ]
    assert camera_remappings(['front'], 'image', '/front/image_raw') == [
        ('front/image', '/front/image_raw')
    ]


@pytest.mark.parametrize(
    ('cameras', 'value', 'message'),
    [
        (['left', 'right'], '/camera/image_raw', 'left/image_raw, or topics'),
        (['left', 'right'], 'a,b,c', 'each of the cameras left, right; got'),
        (['left'], '/a,/b', 'each of the cameras left; got'),
        ([], '/a,/b', 'one topic without cameras'),
        ([], '', 'the name of a topic'),
        (['left', 'right'], 'a,', 'the name of a topic'),
    ],
)
def test_a_topic_that_cannot_be_that_of_each_camera_is_refused(cameras, value, message):
    with pytest.raises(ValueError, match=f'image must be .*{message}'):
        camera_remappings(cameras, 'image', value)


def loaded(file, **arguments):
    """Return a context with launch arguments, and the entities of a launch file in it."""
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    path = share_directory() / 'launch' / f'{file}.launch.py'
    source = PythonLaunchDescriptionSource(str(path))
    return context, source.get_launch_description(context).entities


@pytest.mark.parametrize('name', ['demo', 'demo_odometry', 'stereo', 'rgbd'])
def test_launch_arguments_of_the_detector_do_not_leak_from_other_launch_files(name):
    pytest.importorskip('launch_ros', reason='launch_ros is not installed')
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription

    def entities(file, kind):
        return [each for each in loaded(file)[1] if isinstance(each, kind)]

    [include] = entities(name, IncludeLaunchDescription)
    passed = {argument for argument, _ in include.launch_arguments}
    assert passed == {each.name for each in entities('detector', DeclareLaunchArgument)}


@pytest.mark.parametrize(
    ('file', 'argument', 'value', 'message'),
    [
        (
            'detector',
            'params_file',
            '/none.yaml',
            "params_file must be a parameter file, got '/none",
        ),
        ('stereo', 'tracker_params_file', '/none.yaml', 'tracker_params_file must be a parameter'),
        ('rgbd', 'odometry_params_file', '/none.yaml', 'odometry_params_file must be a parameter'),
        (
            'demo_odometry',
            'tracker_params_file',
            '/none.yaml',
            'tracker_params_file must be a par',
        ),
        ('detector', 'pair_tolerance', 'x', "pair_tolerance must be a number of seconds, got 'x'"),
        ('detector', 'threshold', '2.0', 'threshold must lie between 0.0 and 1.0, got 2.0'),
    ],
)
def test_a_wrong_launch_argument_ends_the_launch_with_its_name(file, argument, value, message):
    pytest.importorskip('launch_ros', reason='launch_ros is not installed')
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction

    context, entities = loaded(file, **{argument: value})

    def visit(entities):
        for each in entities:
            if isinstance(each, (DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction)):
                visit(each.visit(context) or [])

    with pytest.raises((FileNotFoundError, ValueError), match=re.escape(message)):
        visit(entities)


@pytest.mark.parametrize(
    ('file', 'argument'),
    [
        ('demo', 'params_file'),
        ('demo_odometry', 'odometry_params_file'),
        ('stereo', 'params_file'),
        ('rgbd', 'tracker_params_file'),
    ],
)
def test_no_node_starts_before_a_missing_parameter_file_is_refused(file, argument):
    pytest.importorskip('launch_ros', reason='launch_ros is not installed')
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    context, entities = loaded(file, **{argument: '/none.yaml'})

    def visit_until_refused():
        for each in entities:
            assert isinstance(each, (DeclareLaunchArgument, OpaqueFunction)), each
            each.visit(context)

    with pytest.raises(FileNotFoundError, match=f'{argument} must be a parameter file'):
        visit_until_refused()
