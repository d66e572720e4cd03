# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Start the detector node on one camera, or on several.

    ros2 launch superpoint_ros detector.launch.py image:=/camera/image_raw
    ros2 launch superpoint_ros detector.launch.py cameras:=left,right namespace:=robot

Arguments that are left empty leave the parameter file's values as they are.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parents[1]
PROFILES = {'large_images': SHARE / 'config' / 'fastdds_large_images.xml'}
# The name of Fast DDS 2 (Jazzy), and that of Fast DDS 3.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

ARGUMENTS = {
    'image': ('image', 'Topic of the camera images (sensor_msgs/Image), for a single camera.'),
    'camera_info': ('camera_info', 'Topic of its calibration, where that is used.'),
    'cameras': ('', 'Names of several cameras, such as left,right: left/image and so on.'),
    'namespace': ('', 'Namespace of the node and of its relative topics.'),
    'params_file': (
        str(SHARE / 'config' / 'detector.yaml'),
        'File of parameters; config/detector.yaml has them all, with comments.',
    ),
    'weights': ('', "Weight file; empty: the parameter file's, or the shipped one."),
    'device': ('', "auto, cpu, cuda or cuda:N; empty: the parameter file's."),
    'threshold': ('', "Least score of a keypoint, 0 to 1; empty: the parameter file's."),
    'autostart': ('', "true or false: start at once, or for a manager; empty: the file's."),
    'dds_profile': (
        '',
        'Profile of Fast DDS: large_images (for images of 0.5 MB and more; start the camera with '
        'it, too) or the path of another; empty: none.',
    ),
    'log_level': ('info', 'Least severity of what is logged: debug, info, warn, error or fatal.'),
}


def start_detector(context):
    """Return the node, with those of the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    overrides = {name: given[name] for name in ('weights', 'device') if given[name]}
    if given['threshold']:
        overrides['threshold'] = number('threshold', given['threshold'])
    if given['autostart']:
        overrides['autostart'] = truth('autostart', given['autostart'])
    cameras = [name.strip() for name in given['cameras'].split(',') if name.strip()]
    if cameras:
        overrides['cameras'] = cameras
    topics = [name for name in ('image', 'camera_info') if given[name] != name]
    node = Node(
        package='superpoint_ros',
        executable='detector',
        name='detector',
        namespace=given['namespace'],
        parameters=[given['params_file'], overrides] if overrides else [given['params_file']],
        remappings=[(name, given[name]) for name in topics],
        ros_arguments=['--log-level', given['log_level']],
        output='screen',
    )
    return [*use_profile(given['dds_profile']), node]


def use_profile(profile):
    """Return the actions that have Fast DDS use a profile."""
    if not profile:
        return []
    path = Path(PROFILES.get(profile, profile))
    if not path.is_file():
        raise FileNotFoundError(f'dds_profile must be large_images or a file, got {profile!r}')
    return [SetEnvironmentVariable(name, str(path.resolve())) for name in PROFILE_VARIABLES]


def number(name, text):
    """Return the number that the text of an argument says."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{name} must be a number, got {text!r}') from None


def truth(name, text):
    """Return whether the text of an argument says true."""
    if text.lower() not in ('true', 'false'):
        raise ValueError(f'{name} must be true or false, got {text!r}')
    return text.lower() == 'true'


def generate_launch_description():
    """Return the launch arguments and the node."""
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=start_detector)])
