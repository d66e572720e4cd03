# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Show how the keypoints of an image come about, in pictures, and why a pixel is one or is not.

  superpoint explain IMAGE --out DIR
  superpoint explain IMAGE --out DIR --pixel 203 118

The pictures are numbered in the order of the steps: cells, channels with the dustbin, pixel
shuffle, heatmap, selection by threshold and suppression, descriptors. docs/output.md explains
them. The decision on a pixel, by default that of the best keypoint, is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from superpoint_ros.commands.detector_options import (
        add_engine_arguments,
        add_settings_arguments,
    )

    parser.add_argument('image', metavar='IMAGE', help='image file')
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='for the pictures')
    parser.add_argument(
        '--pixel',
        type=int,
        nargs=2,
        metavar=('X', 'Y'),
        help='pixel of the image to explain (default: that of the best keypoint)',
    )
    add_engine_arguments(parser)
    add_settings_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the pictures and print the decision."""
    import numpy as np

    from superpoint_ros.commands.detector_options import make_detector
    from superpoint_ros.drawing import write_picture
    from superpoint_ros.explanation import pictures
    from superpoint_ros.explanation.anatomy import dissect
    from superpoint_ros.sequences import read_image

    image = read_image(args.image)
    detector = make_detector(args)
    detector(image)  # names what is wrong with the image
    anatomy = dissect(detector, image)
    best = np.unravel_index(anatomy.worth.argmax(), image.shape)[::-1]
    decision = anatomy.decision(*map(int, args.pixel or best))
    made = {
        '1_cells': pictures.cells(anatomy),
        '2_channels': pictures.channels(anatomy),
        '3_pixel_shuffle': pictures.pixel_shuffle(anatomy),
        '4_heatmap': pictures.heatmap(anatomy),
        '5_selection': pictures.selection(anatomy),
    }
    if len(anatomy.features):
        view, homography = pictures.other_view(image)
        made['6_descriptors'] = pictures.descriptors(
            anatomy,
            dissect(detector, view),
            homography,
            detector.metadata.descriptors_trained,
        )
    args.out.mkdir(parents=True, exist_ok=True)
    for name, picture in made.items():
        write_picture(args.out / f'{name}.png', picture)
    print(*decision, sep='\n')
    print(f'{len(anatomy.features)} keypoints, {len(made)} pictures: see {args.out}')
    return 0
