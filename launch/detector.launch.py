# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start the detector node on one camera or several cameras.

    ros2 launch superpoint_ros detector.launch.py image:=/camera/image_raw
    ros2 launch superpoint_ros detector.launch.py cameras:=left,right image:=image_raw

Empty arguments leave the values of the parameter file unchanged. On the command line, "''" is
empty: threshold:="''".
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration

from superpoint_ros.ros import launch_arguments as shared
from superpoint_ros.ros.camera_topics import camera_remappings
from superpoint_ros.ros.process_environment import profile_variables

PROFILES = {'large_images': shared.CONFIG / 'fastdds_large_images.xml'}

ARGUMENTS = {
    **shared.CAMERAS,
    **shared.DETECTOR,
    **shared.START,
}


def start_detector(context):
    """Return the node, with the arguments that are not empty."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = shared.given_parameters(context, ARGUMENTS.keys() & shared.PARAMETERS)
    cameras = [name.strip() for name in given['cameras'].split(',') if name.strip()]
    if cameras:
        parameters['cameras'] = cameras
    remappings = [
        remapping
        for topic in ('image', 'camera_info', 'depth')
        for remapping in camera_remappings(cameras, topic, given[topic])
    ]
    node = shared.node('detector', given['params_file'], parameters, remappings=remappings)
    return [*use_profile(given['dds_profile'], context.environment), node]


def use_profile(profile, environment):
    """Return the actions that make Fast DDS use a profile."""
    if not profile:
        return []
    path = Path(PROFILES.get(profile, profile))
    if not path.is_file():
        raise FileNotFoundError(f'dds_profile must be large_images or a file, got {profile!r}')
    variables = profile_variables(environment)
    return [SetEnvironmentVariable(name, str(path.resolve())) for name in variables]


def generate_launch_description():
    """Return the launch arguments and the node."""
    start = OpaqueFunction(function=start_detector)
    return LaunchDescription([*shared.declare(ARGUMENTS), start])
