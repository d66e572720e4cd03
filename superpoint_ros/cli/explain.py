# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Show the steps of the detection in pictures, and why a pixel is a keypoint or not.

  superpoint explain IMAGE --out DIR
  superpoint explain IMAGE --out DIR --pixel 203 118

The pictures are numbered in the order of the steps: cells, channels with the dustbin, pixel
shuffle, heatmap, selection by threshold and suppression, descriptors. docs/output.md explains
them. The decision on a pixel, by default that of the best keypoint, is printed.
"""

from __future__ import annotations

import argparse

from superpoint_ros.cli.options import (
    add_detector_options,
    add_out,
    keep_inputs,
    make_detector,
    read_for_detection,
)
from superpoint_ros.common.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('image', metavar='IMAGE', help='image file')
    add_out(parser, 'folder for the pictures')
    parser.add_argument(
        '--pixel',
        type=int,
        nargs=2,
        metavar=('X', 'Y'),
        help='pixel to explain (default: that of the keypoint with the highest score)',
    )
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the pictures and print the decision."""
    import numpy as np

    from superpoint_ros.evaluation import step_pictures as pictures
    from superpoint_ros.evaluation.detection_steps import run_steps
    from superpoint_ros.visualization import write_picture

    image = read_for_detection(args.image)
    detector = make_detector(args)
    steps = run_steps(detector, image)
    best = np.unravel_index(steps.score_map.argmax(), image.shape)[::-1]
    decision = steps.explain(*map(int, args.pixel or best))
    made = {
        '1_cells': pictures.cells(steps),
        '2_channels': pictures.channels(steps),
        '3_pixel_shuffle': pictures.pixel_shuffle(steps),
        '4_heatmap': pictures.heatmap(steps),
        '5_selection': pictures.selection(steps),
    }
    if len(steps.features):
        view, homography = pictures.other_view(image)
        made['6_descriptors'] = pictures.descriptors(
            steps, run_steps(detector, view), homography, detector.metadata.descriptors_trained
        )
    files = {args.out / f'{name}.png': picture for name, picture in made.items()}
    descriptors = args.out / '6_descriptors.png'
    keep_inputs([args.image], [*files, descriptors])
    args.out.mkdir(parents=True, exist_ok=True)
    if descriptors not in files:
        descriptors.unlink(missing_ok=True)  # of an image that was explained there before
    for path, picture in files.items():
        write_picture(path, picture)
    print(*decision, sep='\n')
    keypoints = counted(len(steps.features), 'keypoint')
    print(f'{keypoints}, {len(made)} pictures: see {args.out}')
    return 0
