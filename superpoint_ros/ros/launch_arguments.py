# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Launch arguments that several launch files of this package have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
import sys

from launch import LaunchContext, LaunchDescriptionEntity, SomeSubstitutionsType
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    PopLaunchConfigurations,
    PushLaunchConfigurations,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from superpoint_ros.common.settings_table import Setting, table_of
from superpoint_ros.common.wording import similar_name
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.resources import share_directory
from superpoint_ros.ros.detector.detector_parameters import CameraSettings, DepthInput
from superpoint_ros.ros.parameters import LifecycleSettings
from superpoint_ros.ros.player_parameters import PlayerSettings

CONFIG = share_directory() / 'config'

CAMERAS = {
    'image': (
        'image',
        'Topic of the images (sensor_msgs/Image). With cameras, a name below that of each camera '
        '(image_raw: left/image_raw), or as many topics as cameras, separated by commas.',
    ),
    'camera_info': ('camera_info', 'Topic of the calibration, if it is used; as image.'),
    'cameras': ('', 'Names of several cameras, such as left,right; empty: a single camera.'),
    'image_transport': (
        '',
        'Type of the images: raw or compressed (topic IMAGE/compressed); empty: that of the '
        'parameter file.',
    ),
    'depth_source': (
        '',
        'Source of the depths of keypoints: none, stereo (cameras:=LEFT,RIGHT) or image; empty: '
        'that of the parameter file.',
    ),
    'depth': ('depth', 'Topic of the depth images, if they are used; as image.'),
    'pair_tolerance': (
        '',
        'Largest difference between the stamps of an image and its right image or depth image, in '
        'seconds; empty: that of the parameter file.',
    ),
    'rectified': ('', 'true or false: the images are rectified; empty: as the parameter file.'),
}
"""Arguments of detector.launch.py for the topics of the cameras."""

ODOMETRY_FILES = {
    'tracker_params_file': (str(CONFIG / 'tracker.yaml'), 'Parameter file of the tracker.'),
    'odometry_params_file': (
        str(CONFIG / 'visual_odometry.yaml'),
        'Parameter file of the visual odometry.',
    ),
}
"""Arguments for the parameter files of tracker and visual odometry."""

ODOMETRY_FRAMES = {
    'odom_frame': (
        '',
        'The frame_id of the frame of the poses, such as robot1/odom; empty: as the parameter '
        'file.',
    ),
    'publish_tf': (
        '',
        'true or false: publish the transform from odom_frame to base_frame; empty: as the '
        'parameter file.',
    ),
    'base_frame': (
        '',
        'Frame of the robot, such as base_link, to which the transform is published; empty: as '
        'the parameter file.',
    ),
}
"""Arguments that are parameters of the visual odometry alone."""

ODOMETRY = {
    'odometry': ('true', 'true or false: start tracker and visual odometry, too.'),
    **ODOMETRY_FRAMES,
    **ODOMETRY_FILES,
}
"""Arguments of tracker and visual odometry next to a detector with depths."""

DETECTOR = {
    'namespace': ('', 'Namespace of the nodes and of their relative topics.'),
    'params_file': (
        str(CONFIG / 'detector.yaml'),
        'Parameter file of the detector; config/detector.yaml has all parameters.',
    ),
    'weights': (
        '',
        'Weight file, or the name of one of the package, such as superpoint_nano; empty: that of '
        'the parameter file.',
    ),
    'device': ('', 'auto, cpu, cuda or cuda:N; empty: that of the parameter file.'),
    'threshold': ('', 'Detection threshold, 0 to 1; empty: that of the parameter file.'),
    'log_level': ('info', 'Lowest severity that is logged: debug, info, warn, error or fatal.'),
}
"""Arguments of the detector in every launch file: default and description by name."""

START = {
    'autostart': ('', 'true or false: start without a manager; empty: as the parameter file.'),
    'dds_profile': (
        '',
        'Fast DDS profile: large_images (for images of 0.5 MB and more; start the camera with '
        'it, too) or the path of another one; empty: none.',
    ),
    'use_sim_time': (
        '',
        'true or false: the clock of the nodes is /clock, of a simulation or of a bag that is '
        'played with --clock; empty: as the parameter files, where it is false by default.',
    ),
}
"""Arguments of the detector that the demos do not have."""

PLAYER = {
    'rate': ('0.0', 'Images per second; 0.0: the rate of the source, 30 for images.'),
    'max_side': ('640', 'Larger images are reduced to this size in pixels; 0: never.'),
}
"""Arguments of the camera player in the demos."""

PARAMETERS = (
    'weights',
    'device',
    'threshold',
    'image_transport',
    'depth_source',
    'autostart',
    'use_sim_time',
    'rectified',
    'pair_tolerance',
    'source',
    *ODOMETRY_FRAMES,
    *PLAYER,
)
"""Arguments that are parameters of nodes; empty ones leave the values of the parameter files."""

_OF_LAUNCH = (
    'emulate_tty',
    'launch-prefix',
    'launch-prefix-filter',
    'sigkill_timeout',
    'sigterm_timeout',
)
"""Arguments that the launch system itself reads."""

_EMPTY = ("''", '""')  # an empty value on the command line

_PARSED = {
    'log_level': Setting(
        'log_level',
        'info',
        DETECTOR['log_level'][1],
        choices=('debug', 'info', 'warn', 'error', 'fatal'),
        type=str,
    ),
    'odometry': Setting('odometry', True, ODOMETRY['odometry'][1], type=bool),
    'publish_tf': Setting('publish_tf', True, ODOMETRY_FRAMES['publish_tf'][1], type=bool),
    'use_sim_time': Setting('use_sim_time', False, START['use_sim_time'][1], type=bool),
    **{
        name: table_of(group)[name]
        for group, names in (
            (DetectionSettings, ('threshold',)),
            (LifecycleSettings, ('autostart',)),
            (CameraSettings, ('image_transport',)),
            (DepthInput, ('depth_source', 'rectified', 'pair_tolerance')),
            (PlayerSettings, ('rate', 'max_side')),
        )
        for name in names
    },
}
"""Settings of the arguments whose values are checked before any node starts."""


def declare(arguments: Mapping[str, tuple[str, str]]) -> list[LaunchDescriptionEntity]:
    """
    Return the declarations of arguments, given default and description by name.

    Their values are checked next, before any node starts: nodes that already run would keep
    running after the launch has failed. Two quotation marks become an empty value, which the
    command line refuses.
    """
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]

    def check(context: LaunchContext) -> None:
        _warn_of_unknown_names(context, arguments)
        for name in arguments:
            text = LaunchConfiguration(name).perform(context)
            if text in _EMPTY:
                context.launch_configurations[name] = text = ''
            parse(name, text)

    return [*declared, OpaqueFunction(function=check)]


def _warn_of_unknown_names(context: LaunchContext, known: Iterable[str]) -> None:
    """
    Warn of arguments on the command line that the launch file which it names does not have.

    `ros2 launch` ignores them. Launch files that include one of these may have further arguments.
    """
    file = Path(getattr(context.locals, 'current_launch_file_path', '')).name
    if not file or not any(Path(each).name == file for each in sys.argv):
        return
    given = {argument.partition(':=')[0] for argument in context.argv}
    for unknown in sorted(given.difference(known, _OF_LAUNCH)):
        similar = similar_name(unknown, known)
        advice = (
            f'is {similar} meant?'
            if similar
            else '--show-args lists those that it has; params_file sets any parameter'
        )
        get_logger('launch.user').warning(
            f'{file} has no argument {unknown}, which is ignored: {advice}'
        )


def parse(name: str, text: str) -> object:
    """
    Return the value of a launch argument.

    That of an empty one is '', which leaves the value of the parameter file.

    Raises TypeError, ValueError or FileNotFoundError that names the argument if it is wrong.
    """
    if name in PARAMETERS and not text:
        return ''
    if name.endswith('params_file') and not Path(text).is_file():
        raise FileNotFoundError(f'{name} must be a parameter file, got {text!r}')
    if name == 'log_level':  # of all loggers, or of one: NAME:=LEVEL
        _PARSED[name].parse(text.rpartition(':=')[2].lower())
        return text
    return _PARSED[name].parse(text) if name in _PARSED else text


def given_parameters(context: LaunchContext, names: Iterable[str]) -> dict[str, object]:
    """Return the values of those launch arguments that are not empty, as parameters of a node."""
    values = {name: parse(name, LaunchConfiguration(name).perform(context)) for name in names}
    return {name: value for name, value in values.items() if value != ''}


def detector(
    names: Iterable[str], **arguments: SomeSubstitutionsType
) -> list[LaunchDescriptionEntity]:
    """
    Return detector.launch.py with these arguments of the calling file, and further ones.

    Its other arguments have their defaults: without a value, they would take that of a launch
    argument of the same name that is given to the calling file, which does not have it. Nor do its
    values stay set for other launch files, unlike its environment variables.
    """
    file = share_directory() / 'launch' / 'detector.launch.py'
    defaults = {name: default for name, (default, _) in (CAMERAS | DETECTOR | START).items()}
    given = {name: LaunchConfiguration(name) for name in names}
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(file)),
        launch_arguments=(defaults | given | arguments).items(),
    )
    return [PushLaunchConfigurations(), include, PopLaunchConfigurations()]


def node(name: str, *parameters: object, **options: object) -> Node:
    """
    Return a node of this package with the arguments `namespace` and `log_level`.

    `options` are further ones of `launch_ros.actions.Node`.
    """
    return Node(
        package='superpoint_ros',
        executable=name,
        name=name,
        namespace=LaunchConfiguration('namespace'),
        parameters=[each for each in parameters if each],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
        **options,
    )


def odometry_nodes(
    features: str,
    topics: Mapping[str, SomeSubstitutionsType],
    names: Iterable[str] = (),
    **fixed: object,
) -> LaunchDescriptionEntity:
    """
    Return tracker and visual odometry with the arguments in `ODOMETRY`.

    `features` is the topic of the features, `topics` has those of `image` and `camera_info`.
    `names` are arguments that are parameters of both nodes, besides `autostart` and
    `use_sim_time`; `fixed` are further parameters.
    """
    of_both = ('autostart', 'use_sim_time', *names)

    def make(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        parameters = given_parameters(context, of_both) | fixed
        image_topics = list(topics.items())
        return [
            node(
                'tracker',
                LaunchConfiguration('tracker_params_file'),
                parameters,
                remappings=[('features', features), *image_topics],
            ),
            node(
                'visual_odometry',
                LaunchConfiguration('odometry_params_file'),
                parameters | given_parameters(context, ODOMETRY_FRAMES),
                remappings=image_topics,
            ),
        ]

    return OpaqueFunction(function=make, condition=IfCondition(LaunchConfiguration('odometry')))


def player() -> LaunchDescriptionEntity:
    """Return the camera player with the arguments `source` and those in `PLAYER`."""

    def make(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return [node('player', given_parameters(context, ('source', *PLAYER)))]

    return OpaqueFunction(function=make)
