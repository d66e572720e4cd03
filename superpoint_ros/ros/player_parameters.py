# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The player's parameters, and the sequence of frames that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.data.sequences.sequence import FrameSequence, Intrinsics
from superpoint_ros.data.sequences.virtual_camera import VirtualCamera
from superpoint_ros.files import demo_photographs
from superpoint_ros.simulation.room import SimulatedRoom

ROOM = 'room'
"""The source that is no path: a camera that flies through a simulated room."""

ROOM_RATE = 20.0
"""Hz: a simulated frame of 640x480 takes up to 40 ms of a slow processor."""


@dataclass(frozen=True)
class _Parameter:
    """A parameter: its default, its description, and least and largest value of a number."""

    default: object
    description: str
    limits: tuple = ()
    any_type: bool = False


PARAMETERS = {
    'source': _Parameter(
        '',
        'An image, a folder of images, a video file, a camera (/dev/video0 or 0), a folder of the '
        f'TUM RGB-D or KITTI odometry benchmark, or a ROS 2 bag; {ROOM}: a camera that flies '
        'through a simulated room; empty: a virtual camera over photographs.',
        any_type=True,  # a camera's number is not a string
    ),
    'topic': _Parameter('', "The topic of a bag's images; empty: the only one."),
    'truth_topic': _Parameter(
        '',
        "The topic of a bag's true camera poses; empty: the one that ends in ground_truth/pose.",
    ),
    'calibration': _Parameter(
        '',
        "File of the camera's calibration, as camera_calibration writes it; empty: what the "
        'source says itself.',
    ),
    'rate': _Parameter(
        0.0, "Images per second; 0: the source's own rate, 30 for images.", (0.0, 1000.0)
    ),
    'loop': _Parameter(True, 'Begin again after the last frame.'),
    'color': _Parameter(False, 'Publish bgr8 instead of mono8.'),
    'frame_id': _Parameter('camera', "The header's frame_id."),
    'world_frame_id': _Parameter('world', "The frame_id of the true pose's header."),
    'recorded_stamps': _Parameter(
        False, "Stamp the messages with the sequence's own times instead of the present one."
    ),
    'max_side': _Parameter(
        0,
        'Larger images are reduced until neither side is longer, in pixels; 0: as they are.',
        (0, 65535),
    ),
    'width': _Parameter(
        640, "The virtual and the simulated camera's width in pixels.", (16, 8192)
    ),
    'height': _Parameter(
        480, "The virtual and the simulated camera's height in pixels.", (16, 8192)
    ),
    'photographs': _Parameter(
        '',
        'Folder of the photographs that the virtual and the simulated camera see; empty: those '
        'of the package.',
    ),
    'seconds_each': _Parameter(
        10.0, 'How long the virtual camera stays on a photograph, in seconds.', (0.1, 3600.0)
    ),
    'seed': _Parameter(0, "Of the room's furniture and of the flight.", (0, 2**31 - 1)),
    'field_of_view': _Parameter(
        70.0, 'What the simulated camera sees from left to right, in degrees.', (10.0, 130.0)
    ),
    'distortion': _Parameter(
        [0.0, 0.0, 0.0, 0.0, 0.0],
        "The simulated camera's distortion: k1, k2, p1, p2, k3 of plumb_bob.",
    ),
    'exposure': _Parameter(
        0.0, 'Seconds for which the simulated camera is exposed: blurs motion.', (0.0, 1.0)
    ),
    'noise': _Parameter(
        0.0, "Standard deviation of the simulated camera's noise in gray levels.", (0.0, 100.0)
    ),
}
"""The player's parameters by name. None can be changed while it runs."""


def declare_parameters(node: Node) -> dict[str, object]:
    """Return the values of the parameters, which are declared on the way."""
    values = {}
    for name, parameter in PARAMETERS.items():
        descriptor = ParameterDescriptor(
            name=name,
            description=parameter.description,
            read_only=True,
            dynamic_typing=parameter.any_type,
        )
        if parameter.limits:
            least, largest = parameter.limits
            if isinstance(parameter.default, float):
                limits = FloatingPointRange(from_value=least, to_value=largest)
                descriptor.floating_point_range = [limits]
            else:
                descriptor.integer_range = [IntegerRange(from_value=least, to_value=largest)]
        values[name] = node.declare_parameter(name, parameter.default, descriptor).value
    return values


def open_source(values: dict[str, object]) -> FrameSequence:
    """
    Return the sequence that the parameters ask for.

    Raises FileNotFoundError, NotADirectoryError or ValueError for one that cannot be.
    """
    source, rate = str(values['source']), values['rate']
    if source not in ('', ROOM):
        return open_sequence(
            source,
            color=values['color'],
            topic=values['topic'],
            truth_topic=values['truth_topic'],
            calibration=values['calibration'],
        )
    folder = str(values['photographs'])
    photographs = list_images(folder) if folder else demo_photographs()
    if not photographs:
        raise ValueError(f'the folder {folder} holds no photographs')
    size = (values['width'], values['height'])
    if source == ROOM:
        return SimulatedRoom(
            photographs,
            Intrinsics.of_view(size, values['field_of_view'], values['distortion']),
            values['seed'],
            values['color'],
            rate or ROOM_RATE,
            exposure=values['exposure'],
            noise=values['noise'],
        )
    return VirtualCamera(
        photographs,
        size,
        color=values['color'],
        rate=rate or 30.0,
        seconds_each=values['seconds_each'],
    )
