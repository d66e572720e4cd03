# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start the detector on a stereo camera: frames with the same stamp share one network call.

    ros2 launch superpoint_ros stereo.launch.py left_image:=/left/image_raw \
        right_image:=/right/image_raw

The features are on left/features and right/features, in the namespace.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superpoint_ros.ros import launch_arguments as shared

TOPICS = {
    'left_image': ('left/image', 'Topic of the left images (sensor_msgs/Image).'),
    'right_image': ('right/image', 'Topic of the right images (sensor_msgs/Image).'),
    'left_camera_info': ('left/camera_info', 'Topic of the left calibration, if it is used.'),
    'right_camera_info': ('right/camera_info', 'Topic of the right calibration, if it is used.'),
}
PASSED_ON = {**shared.DETECTOR, **shared.START}


def generate_launch_description():
    """Return the launch arguments and the node."""
    pairs = {
        topic: [LaunchConfiguration(f'left_{topic}'), ',', LaunchConfiguration(f'right_{topic}')]
        for topic in ('image', 'camera_info')
    }
    detector = shared.detector(PASSED_ON, cameras='left,right', **pairs)
    return LaunchDescription([*shared.declare({**PASSED_ON, **TOPICS}), detector])
