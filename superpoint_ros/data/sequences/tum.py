# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Sequences of the TUM RGB-D benchmark (Sturm and others, IROS 2012).

A folder has `groundtruth.txt` with lines `stamp tx ty tz qx qy qz qw`, camera to world, and
images: those that `rgb.txt` lists, with lines `stamp path`, or else files that are named after
their stamps, in `rgb/` or beside it. Depth images are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path
import re

import numpy as np

from superpoint_ros.data.sequences.calibration_files import read_calibration
from superpoint_ros.data.sequences.ground_truth import Truth
from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.data.sequences.sequence import Frame, Intrinsics
from superpoint_ros.geometry.rotations import pose_matrix

TRUTH = 'groundtruth.txt'
CALIBRATION = 'camera_info.yaml'

# The benchmark's own calibrations: fx, fy, cx, cy, then k1, k2, p1, p2, k3.
_PUBLISHED = {
    1: ((517.306408, 516.469215, 318.643040, 255.313989),
        (0.262383, -0.953104, -0.005358, 0.002628, 1.163314)),
    2: ((520.908620, 521.007327, 325.141442, 249.701764),
        (0.231222, -0.784899, -0.003257, -0.000105, 0.917205)),
    3: ((535.433105, 539.212524, 320.106653, 247.632132), (0.0, 0.0, 0.0, 0.0, 0.0)),
}  # fmt: skip

_log = logging.getLogger(__name__)


def is_tum_folder(folder: Path) -> bool:
    """Return whether the folder is laid out like one of the benchmark."""
    return (folder / TRUTH).is_file() or (folder / 'rgb.txt').is_file()


class TumSequence:
    """
    The frames of a folder of the benchmark, with their true poses where those are known.

    The calibration is that in the folder's `camera_info.yaml`, else the benchmark's own where
    the folder's name says which camera it was (freiburg2 or fr2). Stamps are those of the files.
    Raises ValueError where there is no image, or a line cannot be read.
    """

    def __init__(self, folder: str | Path, color: bool = False):
        folder = Path(folder)
        self._color = color
        self.images = _stamped_images(folder)
        if not self.images:
            raise ValueError(f'{folder} holds no images that rgb.txt lists or that have stamps')
        truth = folder / TRUTH
        rows = _rows(truth, 8) if truth.is_file() else []
        numbers = [[float(word) for word in row] for row in rows]
        poses = [pose_matrix(row[1:4], row[4:]) for row in numbers]
        self.truth = Truth([row[0] for row in numbers], poses)
        self.camera = _camera_of(folder)
        seconds = self.images[-1][0] - self.images[0][0]
        self.rate = (len(self.images) - 1) / seconds if seconds > 0 else 30.0

    def __iter__(self) -> Iterator[Frame]:
        for stamp, path in self.images:
            try:
                image = read_image(path, self._color)
            except (ValueError, OSError) as error:
                _log.warning('skipped: %s', error)
                continue
            yield Frame(image, stamp, path.name, pose=self.truth.at(stamp))


def _stamped_images(folder: Path) -> list[tuple[float, Path]]:
    """Return the images and their stamps, in the order of those."""
    if (folder / 'rgb.txt').is_file():
        rows = _rows(folder / 'rgb.txt', 2)
        images = [(float(row[0]), folder / row[1]) for row in rows]
    else:
        place = folder / 'rgb' if (folder / 'rgb').is_dir() else folder
        named = [path for path in list_images(place) if re.fullmatch(r'\d+\.?\d*', path.stem)]
        images = [(float(path.stem), path) for path in named]
    return sorted(images, key=lambda image: image[0])


def _rows(path: Path, columns: int) -> list[list[str]]:
    """Return the words of the file's lines; raise ValueError where one is cut short."""
    rows = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith('#'):
            continue
        count = columns if columns > 2 else 1
        try:
            np.array(words[:count], float)
            if len(words) < columns:
                raise ValueError(f'{len(words)} words')
        except ValueError as error:
            raise ValueError(
                f'{path}, line {number} has not the {columns} columns that it needs: {error}'
            ) from error
        rows.append(words)
    return rows


def _camera_of(folder: Path) -> Intrinsics | None:
    """Return the calibration of the folder's camera, None where it is not known."""
    if (folder / CALIBRATION).is_file():
        return read_calibration(folder / CALIBRATION)
    number = re.search(r'(?:freiburg|fr)([123])', folder.resolve().name)
    if not number:
        return None
    (fx, fy, cx, cy), distortion = _PUBLISHED[int(number[1])]
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return Intrinsics('plumb_bob', matrix, np.array(distortion), (640, 480))
