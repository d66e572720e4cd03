# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Writing of sequences in the ASL layout of EuRoC, which `EurocSequence` reads.

The body has the axes of REP 103 (x forward, y left, z up) and its origin in the first camera.
`state_groundtruth_estimate0` has the columns of EuRoC; the biases of the missing inertial unit
are 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.data.sequences.euroc import DEPTH_FACTOR
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.poses import OPTICAL_TO_BODY, quaternion_of

START = 1_600_000_000_000_000_000
"""Stamp of the first frame in nanoseconds."""

_TRUTH = 'state_groundtruth_estimate0/data.csv'

_TRUTH_HEADER = (
    '#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],'
    'q_RS_z [],v_RS_R_x [m s^-1],v_RS_R_y [m s^-1],v_RS_R_z [m s^-1],b_w_RS_S_x [rad s^-1],'
    'b_w_RS_S_y [rad s^-1],b_w_RS_S_z [rad s^-1],b_a_RS_S_x [m s^-2],b_a_RS_S_y [m s^-2],'
    'b_a_RS_S_z [m s^-2]'
)


class EurocWriter:
    """
    Writer of the sequence in `folder`, for cameras `cam0` and, with a baseline in metres, `cam1`.

    Frames are complete or missing, so that writing can be interrupted and continued.
    """

    def __init__(
        self, folder: Path, camera: CameraModel, rate: float, baseline: float, depth: bool
    ):
        self.root = Path(folder) / 'mav0'
        self._camera, self._rate = camera, rate
        self._offsets = {'cam0': 0.0, **({'cam1': baseline} if baseline else {})}
        self.sensors = (*self._offsets, *(['depth0'] if depth else []))

    def path(self, sensor: str, stamp: int) -> Path:
        """Return the file of an image."""
        return self.root / sensor / 'data' / f'{stamp}.png'

    def has(self, stamp: int) -> bool:
        """Return whether the frame is complete."""
        return all(self.path(sensor, stamp).is_file() for sensor in self.sensors)

    def remove(self, stamps: Iterable[int]) -> None:
        """Remove frames and, before them, the true poses, so that the sequence is unfinished."""
        (self.root / _TRUTH).unlink(missing_ok=True)
        for stamp, sensor in product(stamps, self.sensors):
            self.path(sensor, stamp).unlink(missing_ok=True)

    def write(
        self, stamp: int, images: Mapping[str, np.ndarray], depth: np.ndarray | None
    ) -> None:
        """
        Write a frame with a stamp in nanoseconds; raise OSError if the disk is full.

        `images`, uint8 (H, W), have the names of their cameras; `depth` (H, W) is in metres.
        """
        pictures = dict(images)
        if depth is not None:
            codes = np.clip(np.rint(depth * DEPTH_FACTOR), 0, 65535)
            # Further away than 65.535 m is unknown, like the sky.
            pictures['depth0'] = np.where(codes < 65535, codes, 0).astype(np.uint16)
        for sensor, picture in pictures.items():
            data = cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
            write_atomically(self.path(sensor, stamp), data.tobytes())

    def finish(
        self, stamps: Sequence[int], truth: Iterable[tuple[int, np.ndarray, np.ndarray]]
    ) -> None:
        """
        Write the tables of images and ground truth, and the calibrations.

        `stamps` are those of the images, in nanoseconds; `truth` has, by such stamps, the pose
        (4, 4) of the first camera and its velocity (3,).
        """
        listed = ['#timestamp [ns],filename', *(f'{stamp},{stamp}.png' for stamp in stamps)]
        for sensor in self.sensors:
            self._write_text(f'{sensor}/data.csv', listed)
            self._write_text(f'{sensor}/sensor.yaml', self._sensor_yaml(sensor))
        rows = [_TRUTH_HEADER]
        to_body = np.linalg.inv(OPTICAL_TO_BODY)
        for stamp, pose, velocity in truth:
            body = pose @ to_body
            x, y, z, w = quaternion_of(body)
            numbers = [*body[:3, 3], w, x, y, z, *velocity]
            values = ','.join(f'{number:.9f}' for number in numbers)
            rows.append(f'{stamp},{values}{",0" * 6}')
        self._write_text(_TRUTH, rows)  # last: with it, the sequence is finished

    def _sensor_yaml(self, sensor: str) -> list[str]:
        """Return the lines of the calibration of a sensor."""
        pose = OPTICAL_TO_BODY.copy()
        pose[:3, 3] += pose[:3, 0] * self._offsets.get(sensor, 0.0)
        matrix, (width, height) = self._camera.matrix, self._camera.size
        kind = 'camera' if sensor in self._offsets else 'depth image, millimetres, 0 is unknown'
        numbers = ', '.join(f'{number:.9g}' for number in pose.ravel())
        intrinsics = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
        return [
            f'sensor_type: {kind}',
            'T_BS:',
            '  cols: 4',
            '  rows: 4',
            f'  data: [{numbers}]',
            f'rate_hz: {self._rate:g}',
            f'resolution: [{width}, {height}]',
            'camera_model: pinhole',
            f'intrinsics: [{", ".join(f"{float(value)!r}" for value in intrinsics)}]',
            'distortion_model: radial-tangential',
            'distortion_coefficients: [0.0, 0.0, 0.0, 0.0]',
        ]

    def _write_text(self, name: str, lines: Sequence[str]) -> None:
        write_atomically(self.root / name, ('\n'.join(lines) + '\n').encode())
