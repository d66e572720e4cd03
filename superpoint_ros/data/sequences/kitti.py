# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Sequences of the KITTI odometry benchmark (Geiger, Lenz and Urtasun, CVPR 2012).

`sequences/NN` has images in `image_0` (gray, left) to `image_3`, `times.txt` in seconds, and
`calib.txt` with a projection matrix for each camera; `poses/NN.txt`, beside `sequences`, has a
line of 12 numbers for each frame: the left gray camera's pose, camera to world.
"""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path

import numpy as np

from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.data.sequences.sequence import Frame, Intrinsics

_CAMERAS = (0, 2, 1, 3)  # the left gray one first, then the left one in colour

_log = logging.getLogger(__name__)


def is_kitti_folder(folder: Path) -> bool:
    """Return whether the folder is laid out like one of the benchmark's sequences."""
    return (folder / 'times.txt').is_file() and (folder / 'calib.txt').is_file()


class KittiSequence:
    """
    The frames of one camera of a sequence, with their true poses where `poses/` has them.

    The camera is the first of image_0, image_2, image_1, image_3 that is there. Raises ValueError
    where there is none, or a file does not have what it should.
    """

    def __init__(self, folder: str | Path, color: bool = False):
        folder = Path(folder)
        self._color = color
        there = [number for number in _CAMERAS if (folder / f'image_{number}').is_dir()]
        if not there:
            raise ValueError(f'{folder} holds none of image_0 to image_3')
        self.images = list_images(folder / f'image_{there[0]}')
        if not self.images:
            raise ValueError(f'{folder / f"image_{there[0]}"} holds no images')
        self.stamps = _numbers(folder / 'times.txt', 1)[:, 0]
        lines, count = len(self.stamps), len(self.images)
        if lines < count:
            raise ValueError(f'{folder / "times.txt"} has {lines} lines for {count} images')
        projection = _projection(folder / 'calib.txt', there[0])
        # P = K [I | t]: t is where the left gray camera is for this one.
        matrix = projection[:, :3]
        self._shift = np.eye(4)
        self._shift[:3, 3] = -np.linalg.solve(matrix, projection[:, 3])
        height, width = read_image(self.images[0]).shape
        self.camera = Intrinsics('plumb_bob', matrix, np.zeros(0), (width, height))
        self.poses = self._read_poses(folder)
        seconds = self.stamps[len(self.images) - 1] - self.stamps[0]
        self.rate = (len(self.images) - 1) / seconds if seconds > 0 else 10.0

    def _read_poses(self, folder: Path) -> np.ndarray:
        """Return this camera's poses (N, 4, 4), of which there may be none."""
        folder = folder.resolve()
        path = folder.parent.parent / 'poses' / f'{folder.name}.txt'
        if not path.is_file():
            return np.zeros((0, 4, 4))
        rows = _numbers(path, 12)
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3] = rows.reshape(-1, 3, 4)
        return poses @ self._shift

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.images):
            try:
                image = read_image(path, self._color)
            except (ValueError, OSError) as error:
                _log.warning('skipped: %s', error)
                continue
            pose = self.poses[index] if index < len(self.poses) else None
            yield Frame(image, float(self.stamps[index]), path.name, pose=pose)


def _numbers(path: Path, columns: int) -> np.ndarray:
    """Return the numbers (N, columns) in a file; raise ValueError where it has others."""
    try:
        numbers = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    if numbers.shape[1] != columns:
        raise ValueError(f'{path} needs {columns} numbers in a line, it has {numbers.shape[1]}')
    return numbers


def _projection(path: Path, camera: int) -> np.ndarray:
    """Return the projection matrix (3, 4) of a camera."""
    for line in path.read_text(encoding='utf-8').splitlines():
        name, _, numbers = line.partition(':')
        if name.strip() == f'P{camera}' and len(numbers.split()) == 12:
            return np.array(numbers.split(), float).reshape(3, 4)
    raise ValueError(f'{path} has no line P{camera}: with 12 numbers')
