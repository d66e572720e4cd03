# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Sequences of the KITTI odometry benchmark (Geiger, Lenz and Urtasun, CVPR 2012).

`sequences/NN` has images in `image_0` (gray, left) to `image_3`, `times.txt` in seconds, and
`calib.txt` with a projection matrix for each camera. `poses/NN.txt`, in the folder that contains
`sequences`, has a line of 12 numbers for each frame: the pose of the left gray camera, camera to
world. Images are named after the number of their frame, from 000000 on; some may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.frame_files import FileSequence, FrameFiles, mean_rate
from superpoint_ros.data.sequences.image_files import list_images, load_images
from superpoint_ros.data.sequences.sequence import SecondCamera
from superpoint_ros.data.sequences.text_files import read_numbers, read_rows
from superpoint_ros.geometry.camera_model import CameraModel

_CAMERAS = (0, 2, 1, 3)  # the left gray one first, then the left colour one
_LEFT = (0, 2)
_FILES = ('times.txt', 'calib.txt')


def is_kitti_folder(folder: Path) -> bool:
    """Return whether a folder has the layout of the benchmark's sequences, perhaps in part."""
    present = [name for name in _FILES if (folder / name).is_file()]
    return len(present) == len(_FILES) or bool(present and _cameras(folder))


def _cameras(folder: Path) -> list[int]:
    """Return the numbers of the cameras that a folder has images of, the preferred one first."""
    return [number for number in _CAMERAS if (folder / f'image_{number}').is_dir()]


class KittiSequence(FileSequence):
    """
    Frames of one camera of a sequence, with their true poses if `poses/` has them.

    The camera is the first of image_0, image_2, image_1, image_3 that exists. Of a left camera,
    `second_camera` is the right one, None if its images are missing; frames have its images
    `with_second`. Raises ValueError if there is no camera, a file is missing or cannot be read, or
    the times do not ascend.
    """

    def __init__(self, folder: str | Path, color: bool = False, with_second: bool = False):
        folder = Path(folder)
        self.color = color
        for name in _FILES:
            if not (folder / name).is_file():
                raise ValueError(f'{folder} has no {name}, which sequences of KITTI odometry have')
        cameras = _cameras(folder)
        if not cameras:
            raise ValueError(f'{folder} has none of image_0 to image_3')
        self.source = folder / f'image_{cameras[0]}'
        self.images = list_images(self.source)
        if not self.images:
            raise ValueError(f'{self.source} has no images')
        times = folder / 'times.txt'
        stamps = _read_stamps(times)
        frames = _frame_numbers(self.images, len(stamps), times)
        self.stamps = stamps[frames].tolist()
        # Of the first image that can be read.
        height, width = next(load_images(self.images, color=False)).shape
        self.camera, shift = _read_camera(folder, cameras[0], (width, height))
        poses = _read_poses(folder, shift)
        self.poses = [poses[frame] if frame < len(poses) else None for frame in frames]
        self.rate = mean_rate(self.stamps, 10.0)
        right = folder / f'image_{cameras[0] + 1}'
        if cameras[0] in _LEFT and right.is_dir():
            camera, right_shift = _read_camera(folder, cameras[0] + 1, (width, height))
            pose = np.eye(4)
            pose[:3, 3] = right_shift - shift
            self.second_camera = SecondCamera(camera, pose)
        self._right = right if with_second and self.second_camera else None

    def files(self) -> Iterator[FrameFiles]:
        return (
            FrameFiles(path, stamp, pose, self._right / path.name if self._right else None)
            for path, stamp, pose in zip(self.images, self.stamps, self.poses, strict=True)
        )


def _read_stamps(path: Path) -> np.ndarray:
    """Return the stamps (N,) of frames in seconds; raise ValueError if they do not ascend."""
    stamps = read_numbers(path, 1)[:, 0]
    if not np.isfinite(stamps).all():
        raise ValueError(f'{path} has stamps that are not finite')
    backwards = np.flatnonzero(np.diff(stamps) <= 0)
    if len(backwards):
        raise ValueError(
            f'{path}: the stamps must ascend, number {backwards[0] + 2} does not follow '
            f'number {backwards[0] + 1}'
        )
    return stamps


def _frame_numbers(images: Sequence[Path], count: int, times: Path) -> list[int]:
    """
    Return the number of the frame of each image, of `count` frames in the file `times`.

    If images are missing, their names tell which; names that are not numbers are taken in order.
    Raises ValueError for more images than frames, or a number beyond the last frame.
    """
    lines = counted(count, 'line')
    if len(images) > count:
        raise ValueError(f'{times} has {lines} for {counted(len(images), "image")}')
    if len(images) == count or not all(path.stem.isdecimal() for path in images):
        return list(range(len(images)))
    numbers = [int(path.stem) for path in images]
    if max(numbers) >= count:
        raise ValueError(
            f'{times} has {lines}, for frames 0 to {count - 1}: there is none for '
            f'{images[int(np.argmax(numbers))]}'
        )
    return numbers


def _read_camera(
    folder: Path, number: int, size: tuple[int, int]
) -> tuple[CameraModel, np.ndarray]:
    """Return the calibration of a camera and its position (3,) in the left gray camera."""
    path = folder / 'calib.txt'
    projection = _projection(path, number)
    try:
        camera = CameraModel('plumb_bob', projection[:, :3], np.zeros(0), size)
        # P = K [I | t]: t is the position of the left gray camera in this camera.
        return camera, -np.linalg.solve(camera.matrix, projection[:, 3])
    except ValueError as error:
        raise ValueError(f'{path} is not a calibration: {error}') from error


def _read_poses(folder: Path, shift: np.ndarray) -> list[np.ndarray | None]:
    """Return the poses (4, 4) of a camera at `shift` (3,) in the left gray one, if they exist."""
    folder = folder.resolve()
    path = folder.parent.parent / 'poses' / f'{folder.name}.txt'
    if not path.is_file():
        return []
    poses: list[np.ndarray | None] = []
    for row in read_numbers(path, 12):
        pose = np.eye(4)
        pose[:3] = row.reshape(3, 4)
        pose[:3, 3] += pose[:3, :3] @ shift
        poses.append(pose if np.isfinite(pose).all() else None)
    return poses


def _projection(path: Path, camera: int) -> np.ndarray:
    """Return the projection matrix (3, 4) of a camera."""
    for words in read_rows(path, 1):
        if words[0] == f'P{camera}:' and len(words) == 13:
            try:
                return np.array(words[1:], float).reshape(3, 4)
            except ValueError as error:
                raise ValueError(f'{path}, line P{camera}: {error}') from error
    raise ValueError(f'{path} has no line P{camera}: with 12 numbers')
