# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start detector, tracker and visual odometry on a camera with registered depth images.

    ros2 launch superpoint_ros rgbd.launch.py image:=/camera/color/image_raw \
        camera_info:=/camera/color/camera_info \
        depth:=/camera/aligned_depth_to_color/image_raw

The features are on features, with depths; tracks, odometry and path are in the namespace.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superpoint_ros.ros import launch_arguments as shared

TOPICS = {
    'image': ('image', 'Topic of the images (sensor_msgs/Image).'),
    'camera_info': ('camera_info', 'Topic of the calibration of the images.'),
    'depth': ('depth', 'Topic of the registered depth images: 16UC1 (mm) or 32FC1 (m).'),
    'rectified': ('false', 'true or false: images and depth images are rectified.'),
    'pair_tolerance': (
        '0.02',
        'Largest difference between the stamps of image and depth image, in seconds.',
    ),
}
PASSED_ON = {**shared.DETECTOR, **shared.START}


def generate_launch_description():
    """Return the launch arguments and the three nodes."""
    detector = shared.detector([*PASSED_ON, *TOPICS], depth_source='image')
    topics = {topic: LaunchConfiguration(topic) for topic in ('image', 'camera_info')}
    return LaunchDescription(
        [
            *shared.declare({**PASSED_ON, **TOPICS, **shared.ODOMETRY}),
            *detector,
            shared.odometry_nodes('features', topics, ('rectified',)),
        ]
    )
