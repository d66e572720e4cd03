# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Image sequences with known homographies in the layout of HPatches, or of its predecessor.

A data set is a folder of sequences. In HPatches (Balntas and others, CVPR 2017), they are `v_NAME`
with changes of the viewpoint and `i_NAME` with changes of the illumination. A sequence has images
`1.png`, `2.png`, ... (also .ppm and other formats) and text files `H_1_2`, `H_1_3`, ... with the
homographies from image 1 to the others.

In the benchmark of Mikolajczyk and others ("A comparison of affine region detectors", IJCV 2005),
the sequences are `bark`, `bikes`, ..., the images `img1.ppm`, `img2.ppm`, ..., and the
homographies `H1to2p`, `H1to3p`, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
import re

import numpy as np

from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.data.sequences.text_files import read_rows
from superpoint_ros.geometry.homography import check_homography, rescale_image

KINDS = {'v_': 'viewpoint', 'i_': 'illumination'}
FIXED_CAMERA = ('bikes', 'leuven', 'trees', 'ubc')
"""Sequences of Mikolajczyk and others with blur, light and JPEG; they count as illumination."""

INCOMPLETE = 'incomplete'
"""File in the folder of a benchmark that is being made."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HomographySequence:
    """
    Gray images of a sequence, and the homographies from the first to each of the others.

    `kind` is 'viewpoint' or 'illumination'; `homographies` has one entry less than `images`.
    `numbers` are those of the other images in the names of their files.
    """

    name: str
    kind: str
    images: list[np.ndarray]
    homographies: list[np.ndarray]
    numbers: Sequence[int]


def list_homography_sequences(data: str | Path) -> list[Path]:
    """
    Return the sequence folders in `data`, sorted by name.

    Raises NotADirectoryError if it is not a folder, ValueError if it has none or is incomplete.
    """
    data = Path(data)
    if not data.is_dir():
        raise NotADirectoryError(f'{data} is not a folder')
    if (data / INCOMPLETE).exists():
        raise ValueError(
            f'{data} is incomplete: `superpoint make-benchmark` has not finished; if it was '
            'interrupted, delete the folder and make the benchmark again'
        )
    folders = [
        path
        for path in data.iterdir()
        if path.is_dir() and (path.name[:2] in KINDS or any(path.glob('H1to*p')))
    ]
    if not folders:
        raise ValueError(
            f'{data} has no sequences: expected folders v_* and i_* with images 1.png, 2.png, '
            '... and homographies H_1_2, ..., or folders with img1.ppm, ... and H1to2p, ...'
        )
    return sorted(folders)


def read_sequence(
    folder: Path, longest_side: int | None = None, max_pairs: int | None = None
) -> HomographySequence:
    """
    Return the sequence in a folder, with images resized to `longest_side` if that is given.

    The homographies are those between the resized images. At most `max_pairs` images are read in
    addition to the first. Images that cannot be read, or whose homography cannot, are skipped with
    a warning. Raises ValueError if no pair is left.
    """
    is_hpatches = folder.name[:2] in KINDS
    stem, homography_name = ('', 'H_1_{}') if is_hpatches else ('img', 'H1to{}p')
    found = ((re.fullmatch(stem + r'(\d+)', path.stem), path) for path in list_images(folder))
    files = {match[1]: path for match, path in found if match}
    if '1' not in files:
        raise ValueError(f'{folder} has no image 1 ({stem}1.png, {stem}1.ppm, ...)')
    first, from_first = _resized(read_image(files.pop('1')), longest_side)
    images, homographies, numbers = [first], [], []
    for number in sorted(files, key=int):
        if len(numbers) == max_pairs:
            break
        try:
            image, to_original = _resized(read_image(files[number]), longest_side)
            homography = read_homography(folder / homography_name.format(number))
        except (ValueError, OSError) as error:
            _log.warning('skipped image %s of %s: %s', number, folder.name, error)
            continue
        images.append(image)
        homographies.append(np.linalg.inv(to_original) @ homography @ from_first)
        numbers.append(int(number))
    if not homographies:
        raise ValueError(f'{folder} has no pair of images with a homography')
    default = 'illumination' if folder.name in FIXED_CAMERA else 'viewpoint'
    kind = KINDS.get(folder.name[:2], default)
    return HomographySequence(folder.name, kind, images, homographies, numbers)


def _resized(image: np.ndarray, longest_side: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the image resized to the longest side, and the homography back from it."""
    return rescale_image(image, longest_side / max(image.shape) if longest_side else 1.0)


def read_homography(path: Path) -> np.ndarray:
    """Return the homography in a text file of 3x3 numbers; raise ValueError if it has none."""
    try:
        return check_homography(np.array(read_rows(path, 3), np.float64))
    except ValueError as error:
        raise ValueError(f'{path} is not a homography of 3x3 numbers: {error}') from error


def write_homography(path: Path, homography: np.ndarray) -> None:
    """Write the homography as text, with all digits."""
    np.savetxt(path, homography, fmt='%.17g')
