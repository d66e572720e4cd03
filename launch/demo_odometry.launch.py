# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start a camera in a simulated room, the detector, the tracker and the visual odometry.

    ros2 launch superpoint_ros demo_odometry.launch.py
    ros2 launch superpoint_ros demo_odometry.launch.py source:=/path/to/a/tum/rgbd/folder

Show demo/tracks/overlay, demo/path and demo/odometry (in RViz, with odom as the fixed frame); the
true pose is on demo/ground_truth/pose.
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration

from superpoint_ros.ros import launch_arguments as shared

ARGUMENTS = {
    **shared.DETECTOR,
    **shared.PLAYER,
    'source': ('room', 'room (simulated), a folder of EuRoC, TUM RGB-D or KITTI, or a bag.'),
    'rate': ('12.0', 'Images per second; 0.0: the rate of the source.'),
    'namespace': ('demo', 'Namespace of the nodes and of their topics.'),
    **shared.ODOMETRY_FRAMES,
    **shared.ODOMETRY_FILES,
}


def start_odometry(context):
    """Return tracker and visual odometry."""
    frames = shared.given_parameters(context, shared.ODOMETRY_FRAMES)
    return [
        shared.node('tracker', LaunchConfiguration('tracker_params_file')),
        shared.node('visual_odometry', LaunchConfiguration('odometry_params_file'), frames),
    ]


def generate_launch_description():
    """Return the launch arguments and the four nodes."""
    return LaunchDescription(
        [
            *shared.declare(ARGUMENTS),
            *shared.detector(shared.DETECTOR),
            OpaqueFunction(function=start_odometry),
            shared.player(),
        ]
    )
