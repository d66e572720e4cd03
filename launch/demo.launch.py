# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start a camera player and the detector on its images.

    ros2 launch superpoint_ros demo.launch.py
    ros2 launch superpoint_ros demo.launch.py source:=/path/to/video.mp4

Without a source the camera is a virtual one that moves over photographs of the package. Show
demo/features/overlay (in RViz, say) to see the keypoints.
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
        '',
        'Image, folder, video, camera (/dev/video0), recording or bag; room: a simulated room; '
        'empty: a virtual camera.',
    ),
    'rate': ('0.0', "Images per second; 0.0: the source's own rate, 30 for images."),
    'max_side': ('640', 'Larger images are reduced to so many pixels; 0: as they are.'),
    'namespace': ('demo', 'Namespace of both nodes and of their topics.'),
    'params_file': (
        str(SHARE / 'config' / 'detector.yaml'),
        'File of parameters of the detector.',
    ),
    'weights': ('', "Weight file; empty: the parameter file's, or the shipped one."),
    'device': ('', "auto, cpu, cuda or cuda:N; empty: the parameter file's."),
    'threshold': ('', "Least score of a keypoint, 0 to 1; empty: the parameter file's."),
    'log_level': ('info', 'Least severity of what is logged: debug, info, warn, error or fatal.'),
}
DETECTORS = ('namespace', 'params_file', 'weights', 'device', 'threshold', 'log_level')


def generate_launch_description():
    """Return the launch arguments and the two nodes."""
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    types = {'source': str, 'rate': float, 'max_side': int}
    player = Node(
        package='superpoint_ros',
        executable='player',
        name='player',
        namespace=given['namespace'],
        parameters=[
            {name: ParameterValue(given[name], value_type=kind) for name, kind in types.items()}
        ],
        ros_arguments=['--log-level', given['log_level']],
        output='screen',
    )
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'detector.launch.py')),
        launch_arguments=[(name, given[name]) for name in DETECTORS],
    )
    return LaunchDescription([*declarations, player, detector])
