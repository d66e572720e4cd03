# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Sequences of the TUM RGB-D benchmark (Sturm and others, IROS 2012).

A folder has `groundtruth.txt` with lines `stamp tx ty tz qx qy qz qw`, camera to world, and
images: those listed in `rgb.txt`, with lines `stamp path`, or else files that are named after
their stamps, in `rgb/` or in the folder itself. Depth images, registered to the colour images,
are listed in `depth.txt` or lie in `depth/`; each belongs to the image with the nearest stamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re

import numpy as np

from superpoint_ros.data.sequences.frame_files import (
    associate_files,
    FileSequence,
    FrameFiles,
    mean_rate,
)
from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, GroundTruth
from superpoint_ros.data.sequences.text_files import read_calibration, read_numbers, read_rows
from superpoint_ros.geometry.camera_model import CameraModel

GROUND_TRUTH = 'groundtruth.txt'
CALIBRATION = 'camera_info.yaml'
_LONGEST_DIFFERENCE = 0.02  # seconds between image and depth, the default of associate.py

# The calibrations that the benchmark publishes: fx, fy, cx, cy, then k1, k2, p1, p2, k3.
_PUBLISHED = {
    1: ((517.306408, 516.469215, 318.643040, 255.313989),
        (0.262383, -0.953104, -0.005358, 0.002628, 1.163314)),
    2: ((520.908620, 521.007327, 325.141442, 249.701764),
        (0.231222, -0.784899, -0.003257, -0.000105, 0.917205)),
    3: ((535.433105, 539.212524, 320.106653, 247.632132), (0.0, 0.0, 0.0, 0.0, 0.0)),
}  # fmt: skip


def is_tum_folder(folder: Path) -> bool:
    """Return whether a folder has the layout of the benchmark."""
    return (folder / GROUND_TRUTH).is_file() or (folder / 'rgb.txt').is_file()


class TumSequence(FileSequence):
    """
    Frames of a folder of the benchmark, with their true poses if these are known.

    The calibration is that in the folder's `camera_info.yaml`, else the published one if the name
    of the folder contains the camera (freiburg2 or fr2). Stamps are those of the files. Frames
    have their depth `with_depth`. Raises ValueError if there is no image or a line cannot be read.
    """

    depth_factor = 5000.0

    def __init__(self, folder: str | Path, color: bool = False, with_depth: bool = False):
        folder = Path(folder)
        self.color = color
        self.source, self.images = _stamped_images(folder, 'rgb')
        if not self.images:
            raise ValueError(f'{folder} has no images that rgb.txt lists or that have stamps')
        path = folder / GROUND_TRUTH
        self.truth = GroundTruth(read_numbers(path, 8) if path.is_file() else [], str(path))
        self.camera = _camera_of(folder)
        stamps = [stamp for stamp, _ in self.images]
        self.rate = mean_rate(stamps, DEFAULT_RATE)
        self._depth: dict[int, Path] = {}
        if with_depth and ((folder / 'depth.txt').is_file() or (folder / 'depth').is_dir()):
            source, depth = _stamped_images(folder, 'depth')
            self._depth = associate_files(stamps, depth, _LONGEST_DIFFERENCE, source)

    def files(self) -> Iterator[FrameFiles]:
        return (
            FrameFiles(path, stamp, self.truth.at(stamp), depth=self._depth.get(k))
            for k, (stamp, path) in enumerate(self.images)
        )


def _stamped_images(folder: Path, kind: str) -> tuple[Path, list[tuple[float, Path]]]:
    """
    Return the table or folder that lists images, and these with stamps in seconds, in order.

    `kind` is 'rgb' or 'depth'.
    """
    table = folder / f'{kind}.txt'
    if table.is_file():
        stamps = read_numbers(table, 1)[:, 0].tolist()
        images = [
            (stamp, folder / row[1])
            for stamp, row in zip(stamps, read_rows(table, 2, has_header=True), strict=True)
        ]
        if not np.isfinite(stamps).all():
            raise ValueError(f'{table} has stamps that are not finite')
    else:
        table = folder / kind if (folder / kind).is_dir() else folder
        named = [path for path in list_images(table) if re.fullmatch(r'\d+\.?\d*', path.stem)]
        images = [(float(path.stem), path) for path in named]
    return table, sorted(images, key=lambda image: image[0])


def _camera_of(folder: Path) -> CameraModel | None:
    """Return the calibration of the folder's camera, None if it is unknown."""
    if (folder / CALIBRATION).is_file():
        return read_calibration(folder / CALIBRATION)
    number = re.search(r'(?:freiburg|fr)([123])', folder.resolve().name)
    if not number:
        return None
    (fx, fy, cx, cy), distortion = _PUBLISHED[int(number[1])]
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return CameraModel('plumb_bob', matrix, np.array(distortion), (640, 480))
