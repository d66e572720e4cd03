# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Show the topics of running nodes in the Rerun viewer, or record them to a .rrd file.

Topics: image, camera_info, features, tracks, odometry, map and ground_truth/pose, in the
namespace; those without a publisher are absent. For example, for a detector on /camera/image_raw:

  superpoint rerun --remap image:=/camera/image_raw camera_info:=/camera/camera_info
  superpoint rerun camera.rrd --namespace /left

Ctrl-C ends it. `rerun camera.rrd` opens a file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import time

from superpoint_ros.cli.options import number
from superpoint_ros.cli.rerun_option import open_recording, recording_file

NOTHING = 'nothing was received: name the topics with --namespace or --remap'


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
    """Add the options that choose topics; `check_remappings` checks them."""
    parser.add_argument('--namespace', default='', metavar='NS', help='namespace of the topics')
    parser.add_argument(
        '--remap',
        nargs='+',
        default=[],
        metavar='TOPIC:=NAME',
        help='topics with other names, such as image:=/camera/image_raw',
    )


def check_remappings(remappings: Sequence[str]) -> None:
    """Raise ValueError for one without `:=`."""
    for mapping in remappings:
        if ':=' not in mapping:
            raise ValueError(f'--remap needs TOPIC:=NAME, got {mapping}')


def run(args: argparse.Namespace) -> int:
    """Log until Ctrl-C or the given time, and print the numbers of messages."""
    from superpoint_ros.ros.testing.subprocesses import ros_session

    check_remappings(args.remap)
    counts: dict[str, int] = {}
    with open_recording(args.file) as recording:
        from superpoint_ros.ros.rerun_node import RerunNode

        try:
            with ros_session() as executor:
                node = RerunNode(recording.scene('camera'), args.namespace, args.remap)
                counts = node.counts
                executor.add_node(node)
                end = time.monotonic() + (args.seconds or float('inf'))
                while time.monotonic() < end:
                    executor.spin_once(timeout_sec=0.1)
                node.log_trajectories()
        except KeyboardInterrupt:
            pass  # the usual end
    logged = ', '.join(f'{topic} {count}' for topic, count in sorted(counts.items()))
    print(f'{args.file or "viewer"}: {logged or NOTHING}')
    return 0 if counts else 1
