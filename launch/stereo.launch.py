# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start detector, tracker and visual odometry on a rectified stereo camera.

    ros2 launch superpoint_ros stereo.launch.py left_image:=/left/image_rect \
        right_image:=/right/image_rect

The features are on left/features, with depths, and right/features; tracks, odometry and path are
in the namespace. Frames with the same stamp share one network call.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superpoint_ros.ros import launch_arguments as shared

TOPICS = {
    'left_image': ('left/image', 'Topic of the rectified left images (sensor_msgs/Image).'),
    'right_image': ('right/image', 'Topic of the rectified right images (sensor_msgs/Image).'),
    'left_camera_info': ('left/camera_info', 'Topic of the left calibration.'),
    'right_camera_info': ('right/camera_info', 'Topic of the right calibration.'),
    'pair_tolerance': (
        '',
        'Largest difference between the stamps of left and right image, in seconds; empty: that '
        'of the parameter file.',
    ),
}
PASSED_ON = {**shared.DETECTOR, **shared.START}


def generate_launch_description():
    """Return the launch arguments and the three nodes."""
    pairs = {
        topic: [LaunchConfiguration(f'left_{topic}'), ',', LaunchConfiguration(f'right_{topic}')]
        for topic in ('image', 'camera_info')
    }
    names = [*PASSED_ON, 'pair_tolerance']
    detector = shared.detector(names, cameras='left,right', depth_source='stereo', **pairs)
    left = {topic: LaunchConfiguration(f'left_{topic}') for topic in pairs}
    return LaunchDescription(
        [
            *shared.declare({**PASSED_ON, **TOPICS, **shared.ODOMETRY}),
            *detector,
            shared.odometry_nodes('left/features', left, rectified=True),
        ]
    )
