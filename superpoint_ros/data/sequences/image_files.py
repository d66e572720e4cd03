# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images in files, in folders, and their colour and size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
import logging
from pathlib import Path
import re
from typing import TypeVar

import cv2
import numpy as np

from superpoint_ros.common.file_reading import is_found, list_named, read_each
from superpoint_ros.data.image_encodings import decode_image, gray_from_color, to_8_bits
from superpoint_ros.resources import demo_photographs

Item = TypeVar('Item')

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    ('.avif', '.bmp', '.dib', '.gif', '.jp2', '.jpe', '.jpeg', '.jpg', '.pam', '.pbm', '.pgm')
    + ('.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp')
)
"""
Suffixes of the formats of OpenCV for photographs.

A build may lack some, such as OpenCV 4.6 .gif: those files are then named as unreadable. Left out
are formats of floats (.exr, .hdr, .pfm, .pic), since such files often contain disparities and lie
in one folder with the images, and Sun raster (.ras, .sr), whose gray files OpenCV reads as black.
"""


def read_image(path: str | Path, color: bool = False, upright: bool = True) -> np.ndarray:
    """
    Return the image in a file, uint8: gray (H, W), or BGR (H, W, 3) with `color`.

    Of a file with several, such as an animated GIF, it is the first. It is turned as its EXIF data
    say if `upright`, otherwise it is as stored. Pixels of 16 bits and floats are converted by
    `to_8_bits`. Raises FileNotFoundError if there is no such file, IsADirectoryError if it is a
    folder, ValueError if it is not an image.
    """
    # Not IMREAD_COLOR: with it, OpenCV refuses gray TIFF files of floats.
    flags = (cv2.IMREAD_ANYCOLOR if color else cv2.IMREAD_GRAYSCALE) | cv2.IMREAD_ANYDEPTH
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    return convert_color(to_8_bits(read_pixels(path, flags)), color)


def read_pixels(path: str | Path, flags: int) -> np.ndarray:
    """
    Return the image in a file as `cv2.imread` with these flags.

    Colour images of floats and 32-bit integers, which OpenCV does not read as gray, become gray.
    Raises FileNotFoundError if there is no such file, IsADirectoryError if it is a folder,
    ValueError if it is not an image.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder: an image file is needed')
    if not path.is_file():
        raise FileNotFoundError(f'there is no image file {path}')
    try:
        content = np.fromfile(path, np.uint8)
        image = decode_image(content, flags)
        if image is None and not flags & (cv2.IMREAD_COLOR | cv2.IMREAD_ANYCOLOR):
            image = decode_image(content, flags | cv2.IMREAD_ANYCOLOR)
            image = image if image is None or image.ndim == 2 else gray_from_color(image)
    except cv2.error as error:
        raise ValueError(f'{path} cannot be read as an image: {error.err}') from error
    if image is None:
        raise ValueError(
            f'{path} cannot be read as an image (empty, damaged, or in a format that OpenCV '
            f'{cv2.__version__} does not read)'
        )
    return image


def read_mask(path: str | Path) -> np.ndarray:
    """
    Return the mask in an image file, uint8 (H, W): 0 where the image is black, elsewhere 255.

    Images of 16 bits and floats are black only where they are 0. Raises as `read_pixels`.
    """
    try:
        pixels = read_pixels(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except (ValueError, OSError) as error:
        raise type(error)(f'the mask cannot be used: {error}') from error
    return np.where(pixels != 0, 255, 0).astype(np.uint8)


def load_image(image: str | Path | np.ndarray, color: bool) -> np.ndarray:
    """Return an image, uint8, or that in a file, in BGR if `color`, else in gray."""
    if isinstance(image, np.ndarray):
        return convert_color(image, color)
    return read_image(image, color)


def load_images(
    images: Iterable[str | Path | np.ndarray], color: bool, skipped: list | None = None
) -> Iterator[np.ndarray]:
    """Yield images as `load_image`, and skip files that cannot be read as `read_each` does."""
    return read_each(partial(load_image, color=color), images, skipped)


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

    Subfolders and hidden files are left out, and links to missing files, or to those in
    folders that must not be searched, with a warning. Raises NotADirectoryError if it is not a
    folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'{folder} is not a folder')
    named = list_named(folder, IMAGE_SUFFIXES)
    broken = [path.name for path in named if not is_found(path)]
    if broken:
        _log.warning(
            'links to missing or closed files in %s left out: %d, the first is %s',
            *(folder, len(broken), broken[0]),
        )
    images = (path for path in named if is_found(path) and path.is_file())
    return sorted(images, key=lambda path: _natural_key(path.name))


def find_photographs(folder: str | Path | None) -> list[Path]:
    """
    Return the images of a folder, or those of the package without a folder, in natural order.

    Raises NotADirectoryError if it is not a folder, ValueError if it has no images.
    """
    paths = list_images(folder) if folder else demo_photographs()
    check_not_empty(paths, str(folder))
    return paths


def check_not_empty(paths: Sequence[Path], source: str) -> None:
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
