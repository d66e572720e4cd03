# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Write keypoints, descriptors and verified matches of a folder of images to a COLMAP database.

COLMAP then makes the reconstruction from the database and the same folder:

  superpoint export-colmap IMAGES --out database.db
  colmap mapper --database_path database.db --image_path IMAGES --output_path sparse

By default all pairs of images are matched, which takes long for more than about 200 images. Of a
video or a walk, match each image with the next ones (--overlap); of a large collection, the pairs
that an image retrieval has found (--pairs). Images that cannot be read, or need more memory than
there is, are skipped and named.

Exit status: 0 done; 1 some images were skipped; 2 wrong input.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from superpoint_ros.cli.memory_errors import naming_lack_of_memory
from superpoint_ros.cli.options import (
    add_detector_options,
    make_detector,
    number,
    output_file,
    output_folder,
    read_for_detection,
)
from superpoint_ros.common.wording import counted, counted_keypoints

if TYPE_CHECKING:
    import pycolmap

    from superpoint_ros.geometry.camera_model import CameraModel
    from superpoint_ros.integrations.image_matches import ImageFeatures

MAX_KEYPOINTS = 2000
"""Default of the command: reconstructions need more points than odometry."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'images', type=Path, metavar='IMAGES', help='folder of images; subfolders are included'
    )
    parser.add_argument(
        '--out',
        required=True,
        type=output_file,
        metavar='DB',
        help='new database, such as database.db',
    )
    parser.add_argument(
        '--hloc',
        type=output_folder,
        metavar='DIR',
        help='also write features.h5, matches.h5 and pairs.txt for hloc to this folder',
    )
    parser.add_argument(
        '--calibration',
        type=Path,
        metavar='FILE',
        help='calibration of all images, as camera_calibration writes it (default: EXIF data or '
        "COLMAP's guess, for COLMAP to refine)",
    )
    _add_matching(parser)
    add_detector_options(parser, {'max_keypoints': MAX_KEYPOINTS})


def _add_matching(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the pairs and their matches."""
    pairs = parser.add_mutually_exclusive_group()
    pairs.add_argument(
        '--overlap',
        type=number(1, 10000, int),
        metavar='N',
        help='match each image with the next N in the order of the names (default: all pairs)',
    )
    pairs.add_argument(
        '--pairs', type=Path, metavar='FILE', help='match these: two names of images in each line'
    )
    parser.add_argument(
        '--ratio',
        type=number(0.1, 1),
        default=0.9,
        metavar='X',
        help='ratio test: largest ratio of the distances to the nearest and the second nearest '
        'descriptor; 1 turns it off (default: %(default)s)',
    )
    parser.add_argument(
        '--max-error',
        type=number(0.1, 100),
        default=4.0,
        metavar='PX',
        help='largest distance of a verified match from its epipolar line (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Detect, match, write the files, and print a summary."""
    from tqdm import tqdm

    from superpoint_ros.data.sequences.text_files import read_calibration
    from superpoint_ros.integrations.colmap import write_database
    from superpoint_ros.integrations.image_matches import (
        choose_pairs,
        list_collection,
        match_pairs,
        read_pairs,
    )

    if args.out.exists():
        raise ValueError(f'{args.out} exists: delete it, or choose another --out')
    # Errors of all files come before the detection, which may take long.
    if args.hloc:
        from superpoint_ros.integrations import hloc

        hloc.check_new(args.hloc)
    names = list_collection(args.images)
    if args.hloc:
        hloc.check_distinct(names)
    listed = read_pairs(args.pairs, names) if args.pairs else []
    calibration = read_calibration(args.calibration) if args.calibration else None
    images, skipped = _detect(args, names, calibration)
    if len(images) < 2:
        raise ValueError(f'a reconstruction needs two images; {len(images)} could be read')
    cameras = _cameras(args, images, calibration)
    if args.pairs:
        known = {image.name: number for number, image in enumerate(images)}
        numbers = [known.get(name) for name in names]
        pairs = [(numbers[a], numbers[b]) for a, b in listed]
        pairs = [pair for pair in pairs if None not in pair]
    else:
        pairs = choose_pairs(len(images), args.overlap)
    ratio = args.ratio if args.ratio < 1 else None
    matches = list(match_pairs(images, tqdm(pairs, unit='pair', desc='match'), ratio))
    if args.hloc:
        hloc.write_hloc(args.hloc, images, matches)
    checked = tqdm(matches, unit='pair', desc='verify')
    verified = write_database(args.out, images, cameras, checked, args.max_error)
    found = counted_keypoints(len(images), sum(len(image.features) for image in images))
    print(
        f'{args.out}: {found}, {verified} of {counted(len(matches), "pair")} with verified matches'
        + (f'; {counted(skipped, "image")} skipped' if skipped else '')
    )
    return 1 if skipped else 0


def _detect(
    args: argparse.Namespace, names: list[str], calibration: CameraModel | None
) -> tuple[list[ImageFeatures], int]:
    """
    Return the features of the images, and the number of those that cannot be read.

    Raises ValueError for the first image that the calibration does not fit.
    """
    from tqdm import tqdm

    from superpoint_ros.common.file_reading import read_each
    from superpoint_ros.data.sequences.image_files import read_image
    from superpoint_ros.integrations.image_matches import check_name, ImageFeatures, turn_back

    detector = make_detector(args)

    def detect(name: str) -> ImageFeatures:
        check_name(name, bool(args.hloc))
        with naming_lack_of_memory(args.images / name):
            image = read_for_detection(args.images / name)
            # COLMAP and hloc read images without turning them as their EXIF data say.
            stored = read_image(args.images / name, upright=False)
            features = detector(image)
        features = replace(features, keypoints=turn_back(features.keypoints, image, stored))
        return ImageFeatures(name, (stored.shape[1], stored.shape[0]), features)

    images = []
    for image in read_each(detect, tqdm(names, unit='image', desc='detect')):
        if calibration is not None and image.size != calibration.size:
            raise ValueError(
                f'{args.calibration} is for images of {"x".join(map(str, calibration.size))}, '
                f'{image.name} has {"x".join(map(str, image.size))}'
            )
        images.append(image)
    return images, len(names) - len(images)


def _cameras(
    args: argparse.Namespace, images: list[ImageFeatures], calibration: CameraModel | None
) -> list[pycolmap.Camera]:
    """Return the camera of each image."""
    from superpoint_ros.integrations.colmap import calibrated_camera, camera_of_image

    if calibration is None:
        return [camera_of_image(args.images / image.name, image.size) for image in images]
    return [calibrated_camera(calibration)] * len(images)
