# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Image files and folders of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
import logging
from pathlib import Path
import re

import cv2
import numpy as np

from superpoint_ros.data.image_encodings import to_8_bits
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame

IMAGE_SUFFIXES = frozenset(
    ('.bmp', '.jpeg', '.jpg', '.jp2', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff')
    + ('.webp',)
)

_log = logging.getLogger(__name__)


def read_image(path: str | Path, color: bool = False) -> np.ndarray:
    """
    Return the image in a file, uint8: gray (H, W), or BGR (H, W, 3) with `color`.

    Pixels of 16 bits and floats are converted by `to_8_bits`. Raises FileNotFoundError if there is
    no such file, ValueError if it is not an image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no image file {path}')
    image = None
    # OpenCV raises an error for an empty buffer and for a header with an absurd size.
    data = np.fromfile(path, np.uint8)
    if data.size:
        flags = (cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE) | cv2.IMREAD_ANYDEPTH
        try:
            image = cv2.imdecode(data, flags)
        except cv2.error as error:
            raise ValueError(f'{path} cannot be read as an image: {error.err}') from error
    if image is None:
        raise ValueError(f'{path} cannot be read as an image (empty, damaged or another format)')
    return to_8_bits(image)


def list_images(folder: str | Path) -> list[Path]:
    """
    Return the files of a folder that are named like images, in natural order (2 before 10).

    Subfolders and hidden files are left out. Raises NotADirectoryError if it is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'{folder} is not a folder')
    files = (path for path in folder.iterdir() if not path.name.startswith('.'))
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted(images, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that compares the numbers in names by value."""
    parts = re.findall(r'\d+|\D+', name.lower())
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in parts]


def read_frames(
    images: Iterable[tuple[Path, float, np.ndarray | None]], color: bool, source: str | Path
) -> Iterator[Frame]:
    """
    Yield the frames of image files, given as path, stamp in seconds and true pose or None.

    Files that cannot be read are skipped with a warning that names them. Raises ValueError that
    names `source`, which lists the files, if none can be read.
    """
    last, count = None, 0
    for path, stamp, pose in images:
        try:
            image = read_image(path, color)
        except (ValueError, OSError) as error:
            _log.warning('skipped: %s', error)
            last = error
            continue
        count += 1
        yield Frame(image, stamp, path.name, pose=pose)
    if not count:
        raise ValueError(f'no image of {source} can be read: {last}')


def mean_rate(stamps: Sequence[float], default: float) -> float:
    """Return the mean rate in Hz of ascending stamps in seconds, `default` if they give none."""
    seconds = stamps[-1] - stamps[0] if len(stamps) else 0.0
    return (len(stamps) - 1) / seconds if seconds > 0 else default


class ImageSequence:
    """
    Frames of image files in the given order, at `rate` Hz.

    Files that cannot be read are skipped with a warning that names them. Raises ValueError if none
    is left; `source` names the folder in the message.
    """

    camera = None  # unknown

    def __init__(
        self,
        paths: Sequence[Path],
        color: bool = False,
        rate: float = DEFAULT_RATE,
        source: str = 'the list of files',
    ):
        self.paths = list(paths)
        self.rate = float(rate)
        self._color, self._source = color, source
        if not self.paths:
            raise ValueError(
                f'{source} has no images (files ending in {", ".join(sorted(IMAGE_SUFFIXES))})'
            )
        if not any(_is_readable(path) for path in self.paths):
            raise ValueError(f'{source} has no image that can be read')

    def __iter__(self) -> Iterator[Frame]:
        images = ((path, 0.0, None) for path in self.paths)
        frames = read_frames(images, self._color, self._source)
        for index, frame in enumerate(frames):
            yield replace(frame, stamp=index / self.rate)


def _is_readable(path: Path) -> bool:
    """Return whether a file can be read as an image."""
    try:
        read_image(path)
    except (ValueError, OSError):
        return False
    return True
