# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Match the keypoints of two images, draw the matches and save them as a NumPy file.

Writes matches.png, both images side by side with a line for each match, and matches.npz with the
arrays keypoints_a and keypoints_b (K, 2), x and y in pixels: row k of both is one match. Matches
are mutual nearest neighbours of the descriptors.

The number of matches that fit one homography tells whether the images show the same: of unrelated
images, no more than about 20 do.

With --wide, the images may be turned by any angle, zoomed by up to 4, or taken at oblique angles,
for relocalisation, loop closures or drones: they are aligned first. This takes several times as
long, except for images that match well as they are.

Exit status: 0 done, also without any match; 2 if an image cannot be read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

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
    parser.add_argument('image_a', type=Path, metavar='IMAGE_A', help='first image file')
    parser.add_argument('image_b', type=Path, metavar='IMAGE_B', help='second image file')
    add_out(parser, 'folder for the results')
    parser.add_argument(
        '--wide',
        action='store_true',
        help='before matching, align images that are turned, zoomed or seen at oblique angles',
    )
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Match both images, write picture and arrays, and print one summary."""
    from superpoint_ros.common.file_writing import write_npz
    from superpoint_ros.geometry.alignment import view_change
    from superpoint_ros.geometry.homography import homography_inliers
    from superpoint_ros.visualization import draw_matches, write_picture
    from superpoint_ros.wide_matching import match_images, match_wide

    picture, arrays = args.out / 'matches.png', args.out / 'matches.npz'
    keep_inputs([args.image_a, args.image_b], [picture, arrays])
    images = [read_for_detection(path, color=True) for path in (args.image_a, args.image_b)]
    match = match_wide if args.wide else match_images
    matched = match(*images, make_detector(args))
    args.out.mkdir(parents=True, exist_ok=True)
    a, b = matched.a.keypoints, matched.b.keypoints
    write_picture(picture, draw_matches(images[0], a, images[1], b, matched.matches))
    points_a, points_b = matched.points
    write_npz(arrays, keypoints_a=points_a, keypoints_b=points_b)
    fitting = int(homography_inliers(points_a, points_b).sum())
    how = ''
    if matched.to_b is not None:
        change = view_change(matched.to_b, images[1].shape[1::-1])
        how = (
            f' after alignment by {change.rotation:.0f} degrees, a zoom of {change.zoom:.2f} '
            f'and a stretch of {change.stretch:.2f}'
        )
    matches = counted(len(points_a), 'match', 'matches')
    print(f'{matches}{how}, {fitting} of them consistent with one homography: see {args.out}')
    return 0
