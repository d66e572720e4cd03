# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Show the topics of running nodes in the Rerun viewer, or record them to a .rrd file.

Topics: image, camera_info, features, tracks, odometry, map and ground_truth/pose, in the
namespace; those without a publisher are absent. For example, for a detector on /camera/image_raw:

  superpoint rerun --remap image:=/camera/image_raw camera_info:=/camera/camera_info
  superpoint rerun camera.rrd --namespace /left

Ctrl-C ends it; then the file appears, unless nothing was received. `rerun camera.rrd` opens it.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
import time
from typing import Any, TYPE_CHECKING
import warnings

from superpoint_ros.cli.options import number
from superpoint_ros.cli.rerun_option import open_recording, recording_file

if TYPE_CHECKING:
    from rclpy.node import Node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'file',
        nargs='?',
        default='',
        type=recording_file,
        metavar='FILE.rrd',
        help='file to write (default: the viewer is started)',
    )
    add_topic_options(parser)
    parser.add_argument(
        '--seconds', type=number(1, 1e6), metavar='S', help='end after this time (default: never)'
    )


def add_topic_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose topics; `make_node` uses them."""
    parser.add_argument('--namespace', default='', metavar='NS', help='namespace of the topics')
    parser.add_argument(
        '--remap',
        nargs='+',
        default=[],
        type=_remapping,
        metavar='TOPIC:=NAME',
        help='topics with other names, such as image:=/camera/image_raw',
    )


def _remapping(text: str) -> str:
    if ':=' not in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not TOPIC:=NAME')
    return text


def make_node(kind: type[Node], args: argparse.Namespace, *arguments: Any) -> Node:
    """Return a new node with the topics that the options choose; raise ValueError for bad ones."""
    from rclpy.exceptions import NameValidationException
    from rclpy.impl.implementation_singleton import rclpy_implementation

    words = [word for mapping in args.remap for word in ('-r', mapping)]
    try:
        with warnings.catch_warnings():  # of rclpy, about the node that could not be made
            warnings.simplefilter('ignore', RuntimeWarning)
            return kind(*arguments, namespace=args.namespace, cli_args=['--ros-args', *words])
    except (NameValidationException, rclpy_implementation.RCLInvalidROSArgsError) as error:
        reason, *_ = str(error).partition('. Error:')  # which names places in the source of rcl
        raise ValueError(f'--namespace or --remap is wrong: {reason}') from error


def run(args: argparse.Namespace) -> int:
    """Log until Ctrl-C or the given time, and print the numbers of messages."""
    from superpoint_ros.ros.testing.subprocesses import ros_session

    counts: dict[str, int] = {}
    with open_recording(args.file) as recording:
        from superpoint_ros.ros.rerun_node import RerunNode

        with suppress(KeyboardInterrupt), ros_session() as executor:  # Ctrl-C is the usual end
            node = make_node(RerunNode, args, recording.scene('camera'))
            counts = node.counts
            executor.add_node(node)
            end = time.monotonic() + (args.seconds or float('inf'))
            try:
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.1)
            finally:
                node.log_trajectories()
    logged = ', '.join(f'{topic} {count}' for topic, count in sorted(counts.items()))
    if not counts:
        logged = 'not written, as ' if args.file else ''
        logged += 'nothing was received: name the topics with --namespace or --remap'
    print(f'{args.file or "viewer"}: {logged}')
    return 0 if counts else 1
