# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Image files and folders of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
import logging
from pathlib import Path
import re
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from superpoint_ros.data.image_encodings import decode_image, to_8_bits
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame
from superpoint_ros.files import demo_photographs

Item = TypeVar('Item')

IMAGE_SUFFIXES = frozenset(
    ('.bmp', '.jpeg', '.jpg', '.jp2', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff')
    + ('.webp',)
)

_log = logging.getLogger(__name__)


def read_image(path: str | Path, color: bool = False, upright: bool = True) -> np.ndarray:
    """
    Return the image in a file, uint8: gray (H, W), or BGR (H, W, 3) with `color`.

    It is turned as its EXIF data say if `upright`, otherwise it is as stored. Pixels of 16 bits
    and floats are converted by `to_8_bits`. Raises FileNotFoundError if there is no such file,
    IsADirectoryError if it is a folder, ValueError if it is not an image.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder: an image file is needed')
    if not path.is_file():
        raise FileNotFoundError(f'there is no image file {path}')
    # Not IMREAD_COLOR: with it, OpenCV refuses gray TIFF files of floats.
    flags = (cv2.IMREAD_ANYCOLOR if color else cv2.IMREAD_GRAYSCALE) | cv2.IMREAD_ANYDEPTH
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = decode_image(np.fromfile(path, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f'{path} cannot be read as an image: {error.err}') from error
    if image is None:
        raise ValueError(f'{path} cannot be read as an image (empty, damaged or another format)')
    return convert_color(to_8_bits(image), color)


def load_image(image: str | Path | np.ndarray, color: bool) -> np.ndarray:
    """Return an image, uint8, or that in a file, in BGR if `color`, else in gray."""
    if isinstance(image, np.ndarray):
        return convert_color(image, color)
    return read_image(image, color)


def convert_color(image: np.ndarray, color: bool) -> np.ndarray:
    """Return a gray (H, W) or BGR (H, W, 3) image in BGR if `color`, else in gray."""
    if color == (image.ndim == 3):
        return image
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if color else cv2.COLOR_BGR2GRAY)


def reduce_to_side(
    image: np.ndarray, longest_side: int, interpolation: int = cv2.INTER_AREA
) -> np.ndarray:
    """Return the image, reduced so that no side is longer than `longest_side`; 0: no limit."""
    height, width = image.shape[:2]
    factor = longest_side / max(height, width)
    if not 0 < factor < 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=interpolation)


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


def find_photographs(folder: str | Path | None) -> list[Path]:
    """
    Return the images of a folder, or those of the package without a folder, in natural order.

    Raises NotADirectoryError if it is not a folder, ValueError if it has no images.
    """
    paths = list_images(folder) if folder else demo_photographs()
    _check_not_empty(paths, str(folder))
    return paths


def _check_not_empty(paths: Sequence[Path], source: str) -> None:
    """Raise ValueError that names the source and the formats if there are no images."""
    if not paths:
        raise ValueError(
            f'{source} has no images (files ending in {", ".join(sorted(IMAGE_SUFFIXES))})'
        )


def evenly_spaced(items: Sequence[Item], most: int) -> list[Item]:
    """Return `most` of the items, evenly spaced from the first to the last; all if fewer."""
    count = min(most, len(items))
    return [items[index] for index in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that compares the numbers in names by value."""
    parts = re.findall(r'\d+|\D+', name.lower())
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in parts]


class FrameFiles(NamedTuple):
    """
    The files of a frame.

    Attributes:
        image: the image.
        stamp: its stamp in seconds.
        pose: its true pose, None if it is unknown.
        second: image of the second camera, None if there is none.
        depth: depth image of 16 bits, None if there is none.
        nanoseconds: its stamp in nanoseconds, None if it has none.

    """

    image: Path
    stamp: float
    pose: np.ndarray | None = None
    second: Path | None = None
    depth: Path | None = None
    nanoseconds: int | None = None


def read_frames(
    images: Iterable[FrameFiles], color: bool, source: str | Path, depth_factor: float = 1000.0
) -> Iterator[Frame]:
    """
    Yield the frames of image files.

    `depth_factor` is the value of a pixel of the depth images at 1 m. Images that cannot be read
    are skipped with a warning that names them; without its second image or depth, a frame has
    None there. Raises ValueError that names `source`, which lists the files, if no image can be
    read.
    """
    last, count = None, 0
    for files in images:
        try:
            image = read_image(files.image, color)
        except (ValueError, OSError) as error:
            _log.warning('skipped: %s', error)
            last = error
            continue
        count += 1
        second = _read_extra(files.second, lambda path: read_image(path, color))
        depth = _read_extra(files.depth, lambda path: read_depth(path, depth_factor))
        if depth is not None and depth.shape != image.shape[:2]:
            _log.warning('left out: %s has another size than %s', files.depth, files.image)
            depth = None
        yield Frame(
            image,
            files.stamp,
            files.image.name,
            pose=files.pose,
            second=second,
            depth=depth,
            nanoseconds=files.nanoseconds,
        )
    if not count:
        raise ValueError(f'no image of {source} can be read: {last}')


def _read_extra(path: Path | None, read: Callable[[Path], np.ndarray]) -> np.ndarray | None:
    """Return the second image or the depth in a file, None with a warning if it is unreadable."""
    if path is None:
        return None
    try:
        return read(path)
    except (ValueError, OSError) as error:
        _log.warning('left out: %s', error)
        return None


def read_depth(path: str | Path, factor: float) -> np.ndarray:
    """
    Return the depth in metres, float32 (H, W), in an image of 16 bits; 0 is unknown.

    `factor` is the value of a pixel at 1 m. Raises FileNotFoundError if there is no such file,
    ValueError if it is not a depth image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no depth image {path}')
    depth = decode_image(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.ndim != 2 or depth.dtype != np.uint16:
        raise ValueError(f'{path} is not a depth image: one channel of 16 bits is needed')
    return depth.astype(np.float32) / np.float32(factor)


def nearest_stamps(
    stamps: Sequence[float], others: Sequence[float], tolerance: float
) -> list[int | None]:
    """
    Return, for each stamp, the index of the other stamp that belongs to it, None if there is none.

    Pairs with the smallest differences come first and no index occurs twice, as `associate.py` of
    the TUM RGB-D benchmark does it. Both lists must ascend; times are in seconds.
    """
    a, b = np.asarray(stamps, np.float64), np.asarray(others, np.float64)
    first, last = np.searchsorted(b, a - tolerance), np.searchsorted(b, a + tolerance, 'right')
    near = [(i, j) for i in range(len(a)) for j in range(first[i], last[i])]
    result: list[int | None] = [None] * len(a)
    used: set[int] = set()
    for i, j in sorted(near, key=lambda pair: abs(a[pair[0]] - b[pair[1]])):
        if result[i] is None and j not in used:
            result[i] = j
            used.add(j)
    return result


def mean_rate(stamps: Sequence[float], default: float) -> float:
    """Return the mean rate in Hz of ascending stamps in seconds, `default` if they give none."""
    seconds = stamps[-1] - stamps[0] if len(stamps) else 0.0
    return (len(stamps) - 1) / seconds if seconds > 0 else default


class ImageSequence:
    """
    Frames of image files in the given order, at DEFAULT_RATE Hz.

    Files that cannot be read are skipped with a warning that names them. Raises ValueError if none
    is left; `source` names the folder in the message.
    """

    camera = None  # unknown

    rate = DEFAULT_RATE

    def __init__(
        self, paths: Sequence[Path], color: bool = False, source: str = 'the list of files'
    ):
        self.paths = list(paths)
        self._color, self._source = color, source
        _check_not_empty(self.paths, source)
        if not any(_is_readable(path) for path in self.paths):
            raise ValueError(f'{source} has no image that can be read')

    def __iter__(self) -> Iterator[Frame]:
        images = (FrameFiles(path, 0.0) for path in self.paths)
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
