"""
Start the detector node on one camera.

    ros2 launch superpoint_ros detector.launch.py image:=/camera/image_raw

Arguments that are left empty leave the parameter file's values as they are.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parents[1]

ARGUMENTS = {
    'image': ('image', 'Topic of the camera images (sensor_msgs/Image).'),
    'namespace': ('', 'Namespace of the node and of its relative topics.'),
    'params_file': (
        str(SHARE / 'config' / 'detector.yaml'),
        'File of parameters; config/detector.yaml has them all, with comments.',
    ),
    'weights': ('', "Weight file; empty: the parameter file's, or the shipped one."),
    'device': ('', "auto, cpu, cuda or cuda:N; empty: the parameter file's."),
    'threshold': ('', "Least probability of a keypoint, 0 to 1; empty: the parameter file's."),
    'log_level': ('info', 'Least severity of what is logged: debug, info, warn, error or fatal.'),
}


def start_detector(context):
    """Return the node, with those of the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    overrides = {name: given[name] for name in ('weights', 'device') if given[name]}
    if given['threshold']:
        overrides['threshold'] = number('threshold', given['threshold'])
    return [
        Node(
            package='superpoint_ros',
            executable='detector',
            name='detector',
            namespace=given['namespace'],
            parameters=[given['params_file'], overrides] if overrides else [given['params_file']],
            remappings=[('image', given['image'])],
            ros_arguments=['--log-level', given['log_level']],
            output='screen',
        )
    ]


def number(name, text):
    """Return the number that the text of an argument says."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{name} must be a number, got {text!r}') from None


def generate_launch_description():
    """Return the launch arguments and the node."""
    declarations = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declarations, OpaqueFunction(function=start_detector)])
