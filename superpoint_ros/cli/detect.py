# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Find the keypoints of images, draw them and save them as NumPy files.

For an image NAME.jpg this writes NAME_keypoints.png, the image with a ring around each keypoint
(green: highest score, red: lowest), and NAME.npz with the arrays keypoints (N, 2), x and y in
pixels, scores (N,) and descriptors (N, D).

Exit status: 0 all images were read; 1 some could not be read (they are named); 2 none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from superpoint_ros.cli.options import add_detector_options

    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', help='image files, or folders of images'
    )
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder for the results'
    )
    parser.add_argument(
        '--format',
        choices=('png', 'jpg'),
        default='png',
        help='format of drawings (default: png)',
    )
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Detect in every image, report each that fails, and print one summary."""
    from tqdm import tqdm

    from superpoint_ros.cli.options import make_detector
    from superpoint_ros.data.sequences.image_files import read_image
    from superpoint_ros.visualization import draw_keypoints, write_picture

    detector = make_detector(args)
    paths = _image_files(args.images)
    args.out.mkdir(parents=True, exist_ok=True)
    counts, failed = [], 0
    for path, name in tqdm(list(zip(paths, _unique_names(paths), strict=True)), unit='image'):
        try:
            image = read_image(path, color=True)
            features = detector(image)
        except (ValueError, OSError) as error:
            tqdm.write(f'skipped: {_about(path, error)}', file=sys.stderr)
            failed += 1
            continue
        picture = draw_keypoints(image, features)
        write_picture(args.out / f'{name}_keypoints.{args.format}', picture)
        features.save(args.out / f'{name}.npz')
        counts.append(len(features))
    if not counts:
        raise ValueError(f'none of {failed} images could be read')
    mean = sum(counts) / len(counts)
    skipped = f', {failed} skipped' if failed else ''
    print(f'{len(counts)} images, {mean:.0f} keypoints each on average{skipped}: see {args.out}')
    return 1 if failed else 0


def _image_files(sources: Iterable[str]) -> list[Path]:
    """Return the files named, and for each folder its images."""
    from superpoint_ros.data.sequences.image_files import list_images

    paths: list[Path] = []
    for source in map(Path, sources):
        paths += list_images(source) if source.is_dir() else [source]
    if not paths:
        raise ValueError(f'there are no images in {", ".join(map(str, sources))}')
    return paths


def _unique_names(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the name of each path without suffix, with a number if it was used before."""
    used: set[str] = set()
    for path in paths:
        name, number = path.stem, 2
        while name in used:
            name, number = f'{path.stem}_{number}', number + 1
        used.add(name)
        yield name


def _about(path: Path, error: Exception) -> str:
    """Return the text of the error, preceded by the path unless it names it."""
    return str(error) if str(path) in str(error) else f'{path}: {error}'
