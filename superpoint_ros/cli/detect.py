# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Find the keypoints of images, draw them and save them as NumPy files.

For an image NAME.jpg this writes NAME_keypoints.png, the image with a ring around each keypoint
(green: highest score, red: lowest), and NAME.npz with the arrays keypoints (N, 2), x and y in
pixels, scores (N,) and descriptors (N, D).

With --rerun, images and keypoints are also shown in the Rerun viewer, or written to a .rrd file.

A result never replaces one of the images. Images that cannot be read, or need more memory than
there is, are skipped and named.

Exit status: 0 all images are done; 1 some were skipped; 2 all were.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from superpoint_ros.cli.memory_errors import naming_lack_of_memory
from superpoint_ros.cli.options import (
    add_detector_options,
    add_out,
    image_files,
    keep_inputs,
    make_detector,
    read_for_detection,
)
from superpoint_ros.cli.rerun_option import add_rerun_option, open_recording
from superpoint_ros.common.wording import counted_keypoints

if TYPE_CHECKING:
    import numpy as np

    from superpoint_ros.features import Features


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', help='image files, or folders of images'
    )
    add_out(parser, 'folder for the results')
    parser.add_argument(
        '--format', choices=('png', 'jpg'), default='png', help='format of drawings (default: png)'
    )
    add_rerun_option(parser)
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Detect in every image, report each that fails, and print one summary."""
    from tqdm import tqdm

    from superpoint_ros.common.file_reading import numbered_names, read_each
    from superpoint_ros.visualization import draw_keypoints, write_picture

    paths = image_files(args.images)
    names = numbered_names(path.stem for path in paths)
    jobs = [
        (path, args.out / f'{name}_keypoints.{args.format}', args.out / f'{name}.npz')
        for path, name in zip(paths, names, strict=True)
    ]
    keep_inputs(paths, [picture for _, picture, _ in jobs])
    detector = make_detector(args)
    args.out.mkdir(parents=True, exist_ok=True)

    def detect(
        job: tuple[Path, Path, Path],
    ) -> tuple[np.ndarray, Features, np.ndarray, Path, Path]:
        path, picture, arrays = job
        with naming_lack_of_memory(path):
            image = read_for_detection(path, color=True)
            features = detector(image)
            return image, features, draw_keypoints(image, features), picture, arrays

    counts, skipped = [], []
    with open_recording(args.rerun) as recording:
        scene = recording.scene('images') if recording else None
        found = read_each(detect, tqdm(jobs, unit='image'), skipped)
        for image, features, drawn, picture, arrays in found:
            write_picture(picture, drawn)
            features.save(arrays)
            if scene:
                scene.set_time(len(counts))
                scene.log_image(image)
                scene.log_keypoints(features)
            counts.append(len(features))
    left_out = f', {len(skipped)} skipped' if skipped else ''
    print(f'{counted_keypoints(len(counts), sum(counts))}{left_out}: see {args.out}')
    return 1 if skipped else 0
