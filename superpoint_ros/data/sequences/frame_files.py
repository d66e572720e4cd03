# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames from image files: second images, depth images and stamps that belong to them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.sequences.image_files import check_not_empty, read_image, read_pixels
from superpoint_ros.data.sequences.limited_warnings import LimitedWarnings
from superpoint_ros.data.sequences.sequence import (
    DEFAULT_RATE,
    Frame,
    FrameSequence,
    plausible_rate,
)

_log = logging.getLogger(__name__)


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


class FileSequence(FrameSequence):
    """
    Frames of image files.

    Images that cannot be read are skipped with warnings, of which the first ones name them;
    without its second image or depth, a frame has None there. Reading raises ValueError if no
    image can be read.

    Attributes:
        source: file or folder that lists the images, for errors.
        color: whether frames are BGR, else gray.
        depth_factor: value of a pixel of the depth images at 1 m.

    """

    source: str | Path
    color: bool
    depth_factor = 1000.0

    @abstractmethod
    def files(self) -> Iterator[FrameFiles]:
        """Return the files of all frames, without reading them."""

    def __iter__(self) -> Iterator[Frame]:
        warnings = LimitedWarnings(_log, self.source)
        try:
            yield from self._read(warnings)
        finally:
            warnings.finish()

    def _read(self, warnings: LimitedWarnings) -> Iterator[Frame]:
        """Yield the frames whose image can be read."""
        last, count = None, 0
        for files in self.files():
            try:
                image = read_image(files.image, self.color)
            except (ValueError, OSError) as error:
                warnings.warn('skipped: %s', error)
                last = error
                continue
            count += 1
            second = _read_extra(files.second, partial(read_image, color=self.color), warnings)
            depth = _read_extra(
                files.depth, partial(read_depth, factor=self.depth_factor), warnings
            )
            if depth is not None and depth.shape != image.shape[:2]:
                warnings.warn('left out: %s has another size than %s', files.depth, files.image)
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
            raise ValueError(f'no image of {self.source} can be read: {last}')


def _read_extra(
    path: Path | None, read: Callable[[Path], np.ndarray], warnings: LimitedWarnings
) -> np.ndarray | None:
    """Return the second image or the depth in a file, None with a warning if it is unreadable."""
    if path is None:
        return None
    try:
        return read(path)
    except (ValueError, OSError) as error:
        warnings.warn('left out: %s', error)
        return None


def read_depth(path: str | Path, factor: float) -> np.ndarray:
    """
    Return the depth in metres, float32 (H, W), in an image of 16 bits; 0 is unknown.

    `factor` is the value of a pixel at 1 m. Raises FileNotFoundError if there is no such file,
    ValueError if it is not a depth image.
    """
    depth = read_pixels(path, cv2.IMREAD_UNCHANGED)
    if depth.ndim != 2 or depth.dtype != np.uint16:
        raise ValueError(f'{path} is not a depth image: one channel of 16 bits is needed')
    return depth.astype(np.float32) / np.float32(factor)


def nearest_stamps(
    stamps: Sequence[float], others: Sequence[float], tolerance: float
) -> dict[int, int]:
    """
    Return the index of the other stamp that belongs to a stamp, by the index of the stamp.

    Pairs with the smallest differences come first and no index occurs twice, as `associate.py` of
    the TUM RGB-D benchmark does it. Both lists must ascend; times are in seconds.
    """
    a, b = np.asarray(stamps, np.float64), np.asarray(others, np.float64)
    first, last = np.searchsorted(b, a - tolerance), np.searchsorted(b, a + tolerance, 'right')
    near = [(i, j) for i in range(len(a)) for j in range(first[i], last[i])]
    result: dict[int, int] = {}
    used: set[int] = set()
    for i, j in sorted(near, key=lambda pair: abs(a[pair[0]] - b[pair[1]])):
        if i not in result and j not in used:
            result[i] = j
            used.add(j)
    return result


def associate_files(
    stamps: Sequence[float], others: Sequence[tuple[float, Path]], tolerance: float, source: Path
) -> dict[int, Path]:
    """
    Return the file whose stamp belongs to a stamp, as `nearest_stamps`, by the index of the stamp.

    If there are files and none belongs to a stamp, the reason is logged with `source`.
    """
    times = [stamp for stamp, _ in others]
    chosen = nearest_stamps(stamps, times, tolerance)
    if stamps and times and not chosen:
        places = np.searchsorted(times, stamps)
        beside = np.clip([places - 1, places], 0, len(times) - 1)
        nearest = np.abs(np.array(times)[beside] - np.array(stamps)).min()
        _log.warning(
            '%s: none of its images belongs to one of the camera: stamps differ by at least '
            '%.4g s, %g s are allowed',
            *(source, nearest, tolerance),
        )
    return {index: others[other][1] for index, other in chosen.items()}


def mean_rate(stamps: Sequence[float], default: float) -> float:
    """Return the mean rate in Hz of ascending stamps in seconds, `default` if they give none."""
    seconds = stamps[-1] - stamps[0] if len(stamps) else 0.0
    return plausible_rate((len(stamps) - 1) / seconds if seconds > 0 else 0.0, default)


class ImageSequence(FileSequence):
    """
    Frames of image files in the given order, at DEFAULT_RATE Hz.

    Files that cannot be read are skipped with a warning that names them. Raises ValueError if none
    is left; `source` names the folder in the message.
    """

    rate = DEFAULT_RATE

    def __init__(
        self, paths: Sequence[Path], color: bool = False, source: str = 'the list of files'
    ):
        self.paths = list(paths)
        self.color, self.source = color, source
        check_not_empty(self.paths, source)
        if not any(_is_readable(path) for path in self.paths):
            raise ValueError(f'{source} has no image that can be read')

    def files(self) -> Iterator[FrameFiles]:
        return (FrameFiles(path, index / self.rate) for index, path in enumerate(self.paths))

    def __iter__(self) -> Iterator[Frame]:
        # A file that is skipped leaves no gap.
        for index, frame in enumerate(super().__iter__()):
            yield replace(frame, stamp=index / self.rate)


def _is_readable(path: Path) -> bool:
    """Return whether a file can be read as an image."""
    try:
        read_image(path)
    except (ValueError, OSError):
        return False
    return True
