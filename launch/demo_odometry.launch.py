# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start a camera in a simulated room, the detector, the tracker and the visual odometry.

    ros2 launch superpoint_ros demo_odometry.launch.py
    ros2 launch superpoint_ros demo_odometry.launch.py source:=/path/to/a/tum/rgbd/folder

Show demo/tracks/overlay, demo/path and demo/odometry (in RViz, with odom as the fixed frame); the
true pose is on demo/ground_truth/pose.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(__file__).resolve().parents[1]

ARGUMENTS = {
    'source': (
        'room',
        'What is played: room (simulated), a folder of TUM RGB-D or KITTI, or a bag.',
    ),
    'rate': ('12.0', "Images per second; 0.0: the source's own rate."),
    'max_side': ('640', 'Larger images are reduced to so many pixels; 0: as they are.'),
    'namespace': ('demo', 'Namespace of the nodes and of their topics.'),
    'params_file': (
        str(SHARE / 'config' / 'detector.yaml'),
        'File of parameters of the detector.',
    ),
    'tracker_params_file': (
        str(SHARE / 'config' / 'tracker.yaml'),
        'File of parameters of the tracker.',
    ),
    'odometry_params_file': (
        str(SHARE / 'config' / 'visual_odometry.yaml'),
        'File of parameters of the visual odometry.',
    ),
    'weights': ('', "Weight file; empty: the parameter file's, or the shipped one."),
    'device': ('', "auto, cpu, cuda or cuda:N; empty: the parameter file's."),
    'threshold': ('', "Least score of a keypoint, 0 to 1; empty: the parameter file's."),
    'log_level': ('info', 'Least severity of what is logged: debug, info, warn, error or fatal.'),
}
DETECTORS = ('namespace', 'params_file', 'weights', 'device', 'threshold', 'log_level')


def generate_launch_description():
    """Return the launch arguments and the four nodes."""
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}

    def node(name, *parameters):
        return Node(
            package='superpoint_ros',
            executable=name,
            name=name,
            namespace=given['namespace'],
            parameters=list(parameters),
            ros_arguments=['--log-level', given['log_level']],
            output='screen',
        )

    types = {'source': str, 'rate': float, 'max_side': int}
    played = {name: ParameterValue(given[name], value_type=kind) for name, kind in types.items()}
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'detector.launch.py')),
        launch_arguments=[(name, given[name]) for name in DETECTORS],
    )
    return LaunchDescription(
        [
            *declarations,
            detector,
            node('tracker', given['tracker_params_file']),
            node('visual_odometry', given['odometry_params_file']),
            node('player', played),
        ]
    )
