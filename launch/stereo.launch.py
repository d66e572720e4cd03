# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start the detector on a pair of cameras: one network, frames of one stamp in one go.

    ros2 launch superpoint_ros stereo.launch.py left_image:=/left/image_raw \
        right_image:=/right/image_raw

The features are on left/features and right/features, in the namespace.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetRemap

SHARE = Path(__file__).resolve().parents[1]

TOPICS = {
    'left/image': ('left_image', 'Topic of the left images (sensor_msgs/Image).'),
    'right/image': ('right_image', 'Topic of the right images (sensor_msgs/Image).'),
    'left/camera_info': ('left_camera_info', 'Topic of the left calibration, where used.'),
    'right/camera_info': ('right_camera_info', 'Topic of the right calibration, where used.'),
}
PASSED_ON = {
    'namespace': ('', 'Namespace of the node and of its relative topics.'),
    'params_file': (
        str(SHARE / 'config' / 'detector.yaml'),
        'File of parameters; config/detector.yaml has them all, with comments.',
    ),
    'weights': ('', "Weight file; empty: the parameter file's, or the shipped one."),
    'device': ('', "auto, cpu, cuda or cuda:N; empty: the parameter file's."),
    'threshold': ('', "Least score of a keypoint, 0 to 1; empty: the parameter file's."),
    'autostart': ('', "true or false: start at once, or for a manager; empty: the file's."),
    'dds_profile': ('', 'large_images or the path of a profile of Fast DDS; empty: none.'),
    'log_level': ('info', 'Least severity of what is logged: debug, info, warn, error or fatal.'),
}


def generate_launch_description():
    """Return the launch arguments and the node."""
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in PASSED_ON.items()
    ]
    declarations += [
        DeclareLaunchArgument(name, default_value=topic, description=description)
        for topic, (name, description) in TOPICS.items()
    ]
    remappings = [
        SetRemap(src=topic, dst=LaunchConfiguration(name)) for topic, (name, _) in TOPICS.items()
    ]
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'detector.launch.py')),
        launch_arguments=[
            ('cameras', 'left,right'),
            *((name, LaunchConfiguration(name)) for name in PASSED_ON),
        ],
    )
    return LaunchDescription([*declarations, GroupAction([*remappings, detector])])
