# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Sequences in the folder layout of ETH's ASL, as of the EuRoC MAV data set.

`mav0/cam0` to `camN` have `data.csv` (lines `nanoseconds,file`), the images in `data`, and
`sensor.yaml` with the calibration and T_BS, the pose of the camera in the body. The true poses of
the body are in `mav0/state_groundtruth_estimate0/data.csv` or, in TUM VI, `mav0/mocap0/data.csv`:
nanoseconds, position and quaternion w, x, y, z. With two cameras, the pair is `camN` and
`camN+1`. Sequences that this package renders have depth images of the first camera in
`mav0/depth0`: PNG of 16 bits, millimetres, 0 without a surface.

Source: Burri and others, "The EuRoC micro aerial vehicle datasets", IJRR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
import logging
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
from superpoint_ros.data.sequences.sequence import GroundTruth, SecondCamera
from superpoint_ros.data.sequences.text_files import read_numbers, read_rows, read_sensor

DEPTH_FACTOR = 1000.0
"""Value of a pixel of a depth image at 1 m: millimetres, as in ROS (REP 118)."""

DESCRIPTION = 'sequence.json'
"""File that records how a sequence was rendered; it is finished if it has true poses, too."""

_POSES = ('state_groundtruth_estimate0', 'mocap0')
_SYNCHRONOUS = 1e-3  # seconds between two images that were triggered together

_log = logging.getLogger(__name__)


def find_euroc_camera(folder: Path) -> Path | None:
    """
    Return the folder of a camera (`cam0`) in a folder of the layout, None if it has another one.

    `folder` is the sequence, its `mav0`, a `camN`, or the `data` with the images of a camera. Of a
    sequence, the first camera is used.
    """
    folder = folder.absolute()
    for candidate in (folder / 'mav0' / 'cam0', folder / 'cam0', folder, folder.parent):
        is_named = re.fullmatch(r'cam\d+', candidate.name) and (candidate / 'data').is_dir()
        if is_named and (candidate != folder.parent or folder.name == 'data'):
            return candidate
    return None


class EurocSequence(FileSequence):
    """
    Frames of one camera, with stamps in seconds, its calibration and true poses.

    `folder` is one of those that `find_euroc_camera` accepts. A calibration that cannot be read is
    left out with a warning; then there are no poses either, since the pose of the camera in the
    body is unknown. `second_camera` is the next camera (`cam1` for `cam0`), None if it or its
    calibration is missing; frames have its images `with_second`, and depth images `with_depth`.
    Raises ValueError if there is no image, a table cannot be read, or rendering was interrupted.
    """

    depth_factor = DEPTH_FACTOR

    def __init__(
        self,
        folder: str | Path,
        color: bool = False,
        with_second: bool = False,
        with_depth: bool = False,
    ):
        camera = find_euroc_camera(Path(folder))
        if camera is None:
            raise ValueError(f'{folder} has no mav0/cam0 with a folder data')
        tables = [camera.parent / name / 'data.csv' for name in _POSES]
        table = next((each for each in tables if each.is_file()), None)
        if table is None and (camera.parents[1] / DESCRIPTION).is_file():
            raise ValueError(
                f'{camera.parents[1]} is not finished: the same superpoint make-sequence continues'
            )
        self.color = color
        self.source, self.images = _stamped_images(camera)
        if not self.images:
            raise ValueError(f'{camera} has no images that data.csv lists or that have stamps')
        self.stamps = [stamp * 1e-9 for _, stamp in self.images]
        self.rate = mean_rate(self.stamps, 20.0)
        rows, offset = [], None
        try:
            self.camera, offset = read_sensor(camera / 'sensor.yaml')
        except (ValueError, OSError) as error:
            _log.warning('left out the calibration and the true poses: %s', error)
        if offset is not None and table is not None:
            states = read_numbers(table, 8, ',')
            rows = states[:, [0, 1, 2, 3, 5, 6, 7, 4]] * ([1e-9] + [1.0] * 7)
        self.truth = GroundTruth(rows, str(table), offset)
        second = camera.with_name(f'cam{int(camera.name[3:]) + 1}')
        self.second_camera = _read_second(second, offset)
        self._second = self._associated(second) if with_second else {}
        self._depth = self._associated(camera.parent / 'depth0') if with_depth else {}

    def _associated(self, sensor: Path) -> dict[int, Path]:
        """Return the images of another sensor by the number of the frame of the same instant."""
        if not (sensor / 'data').is_dir():
            return {}
        source, images = _stamped_images(sensor)
        others = [(stamp * 1e-9, path) for path, stamp in images]
        return associate_files(self.stamps, others, _SYNCHRONOUS, source)

    def files(self) -> Iterator[FrameFiles]:
        return (
            FrameFiles(
                path, stamp, self.truth.at(stamp), self._second.get(k), self._depth.get(k), exact
            )
            for k, ((path, exact), stamp) in enumerate(zip(self.images, self.stamps, strict=True))
        )


def _read_second(camera: Path, offset: np.ndarray | None) -> SecondCamera | None:
    """Return the second camera; `offset` (4, 4) is the pose of the first one in the body."""
    if offset is None or not (camera / 'data').is_dir():
        return None
    try:
        calibration, pose = read_sensor(camera / 'sensor.yaml')
    except (ValueError, OSError) as error:
        _log.warning('left out the second camera: %s', error)
        return None
    return SecondCamera(calibration, np.linalg.inv(offset) @ pose)


def _stamped_images(camera: Path) -> tuple[Path, list[tuple[Path, int]]]:
    """Return the table or folder that lists images, and these with stamps in ns, in order."""
    table = camera / 'data.csv'
    if table.is_file():
        rows = read_rows(table, 2, ',', has_header=True)
        named = [(row[0], camera / 'data' / row[1]) for row in rows]
    else:
        table = camera / 'data'
        named = [(path.stem, path) for path in list_images(table)]
        named = [(stem, path) for stem, path in named if stem.isdecimal()]
    try:
        stamps = np.array([int(stamp) for stamp, _ in named], np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'{table} must have stamps in nanoseconds: {error}') from error
    order = np.argsort(stamps, kind='stable')
    return table, [(named[index][1], int(stamps[index])) for index in order]
