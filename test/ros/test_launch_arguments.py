# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A wrong launch argument ends the launch before any node starts, and is named."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip('launch_ros', reason='launch_ros is not installed')

from launch import LaunchContext
from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from superpoint_ros.files import share_directory


def run_until_nodes(file, **arguments):
    """Execute the actions of a launch file that come before its first node."""
    path = share_directory() / 'launch' / file
    spec = importlib.util.spec_from_file_location(path.stem.replace('.', '_'), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, Node):
            return
        entity.execute(context)
        if isinstance(entity, OpaqueFunction):
            return


@pytest.mark.parametrize(
    ('file', 'arguments', 'message'),
    [
        ('stereo.launch.py', {'odometry': 'maybe'}, "odometry must be true or false, got 'maybe'"),
        ('rgbd.launch.py', {'rectified': 'no'}, "rectified must be true or false, got 'no'"),
        ('rgbd.launch.py', {'pair_tolerance': 'x'}, 'pair_tolerance must be a number from 0.0'),
        ('demo.launch.py', {'threshold': '2.0'}, 'threshold must lie between 0.0 and 1.0'),
        ('demo_odometry.launch.py', {'rate': 'fast'}, 'rate must be a number from 0.0 to 1000.0'),
        ('demo_odometry.launch.py', {'max_side': '9.5'}, 'max_side must be a whole number'),
        ('detector.launch.py', {'autostart': '2'}, "autostart must be true or false, got '2'"),
        ('detector.launch.py', {'image_transport': 'jpg'}, 'must be one of raw, compressed'),
        ('detector.launch.py', {'depth_source': 'lidar'}, 'must be one of none, stereo, image'),
        ('stereo.launch.py', {'tracker_params_file': 'none.yaml'}, 'must be a parameter file'),
    ],
)
def test_a_wrong_launch_argument_is_named_before_a_node_starts(file, arguments, message):
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=message):
        run_until_nodes(file, **arguments)


@pytest.mark.parametrize('file', ['detector', 'stereo', 'rgbd', 'demo', 'demo_odometry'])
def test_the_defaults_of_launch_arguments_pass_the_check(file):
    run_until_nodes(f'{file}.launch.py')
