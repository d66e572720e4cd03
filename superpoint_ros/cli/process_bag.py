# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Add the messages that the detector node would publish to a recorded ROS 2 bag.

OUT gets all messages of IN, and for each image topic a topic of features (/left/image_raw:
/left/features). This needs the Python packages of ROS, but runs no node. OUT appears when it is
complete; an interrupted run leaves nothing there.

Exit status: 0 all done; 1 some images could not be used, or messages are not of ROS 2 (JSON,
Protobuf) and were left out: both are named; 2 wrong input.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

from superpoint_ros.cli.options import add_detector_options, make_detector, output_folder
from superpoint_ros.cli.settings_options import add_options, given_options
from superpoint_ros.common.wording import counted, counted_keypoints
from superpoint_ros.ros.bags.bag_options import BagOptions, count_images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', metavar='IN', type=Path, help='folder of a bag, or its file')
    parser.add_argument('out', metavar='OUT', type=output_folder, help='folder of the new bag')
    add_options(parser, BagOptions)
    parser.add_argument(
        '--mask', metavar='FILE', help='image, black where no keypoints are allowed'
    )
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Process the bag with a progress bar, and print one summary."""
    from tqdm import tqdm

    from superpoint_ros.data.sequences.image_files import read_mask
    from superpoint_ros.ros.bags.bag_processing import process_bag

    mask = read_mask(args.mask) if args.mask else None
    options = BagOptions(**given_options(args, BagOptions), mask=mask)
    total = count_images(args.bag, options.topics)
    if args.out.exists():
        raise ValueError(f'{args.out} already exists: remove it, or choose another name')
    detector = make_detector(args)
    start = time.perf_counter()
    with tqdm(total=total, unit='image') as progress:
        summary = process_bag(
            args.bag,
            args.out,
            detector,
            options,
            progress.update,
            lambda text: tqdm.write(f'skipped: {text}', file=sys.stderr),
        )
    seconds = time.perf_counter() - start
    skipped = f', {summary.bad} skipped' if summary.bad else ''
    if summary.left_out:
        skipped += f', {counted(summary.left_out, "message")} left out'
    print(
        f'{counted_keypoints(summary.images, summary.keypoints)}{skipped}; '
        f'{seconds:.1f} s for {summary.seconds:.1f} s of recording'
    )
    for images, features in summary.topics.items():
        print(f'{images} -> {features}')
    return 1 if summary.bad or summary.left_out else 0
