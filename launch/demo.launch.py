# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start a camera player and the detector.

    ros2 launch superpoint_ros demo.launch.py
    ros2 launch superpoint_ros demo.launch.py source:=/path/to/video.mp4

Without a source, a virtual camera moves over photographs of the package. Show
demo/features/overlay (for example in RViz) to see the keypoints.
"""

from launch import LaunchDescription

from superpoint_ros.ros import launch_arguments as shared

ARGUMENTS = {
    **shared.DETECTOR,
    **shared.PLAYER,
    'source': (
        '',
        'Image, folder, video, camera (/dev/video0), recording or bag; room: a simulated room; '
        'empty: a virtual camera.',
    ),
    'namespace': ('demo', 'Namespace of both nodes and of their topics.'),
}


def generate_launch_description():
    """Return the launch arguments and the two nodes."""
    return LaunchDescription(
        [
            *shared.declare(ARGUMENTS),
            shared.player(),
            *shared.detector(shared.DETECTOR),
        ]
    )
