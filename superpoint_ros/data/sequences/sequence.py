# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames of sequences, the calibration of their cameras, and the true poses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
import logging
import math
from typing import NamedTuple, Protocol

import numpy as np

from superpoint_ros.geometry.rotations import pose_matrix

DEFAULT_RATE = 30.0
LONGEST_GAP = 0.15
"""Longest time in seconds between two measured poses between which poses are interpolated."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Frame:
    """
    One image of a sequence.

    Attributes:
        image: uint8, gray (H, W) or BGR (H, W, 3).
        stamp: seconds since the start of the sequence, or since 1970 for cameras and recordings.
        name: name of the frame, unique in its sequence.
        homography: (3, 3), from pixels of the frame to pixels of the photograph that it shows;
            None if it is unknown.
        photograph: index of that photograph, None if there is none.
        pose: true pose (4, 4), float64, from the camera (x right, y down, z forward) to the world,
            in metres; None if it is unknown.
        second: uint8, image of the second camera of a stereo pair, of the same instant; None if
            it is missing or was not asked for.
        depth: float32 (H, W), depth in metres of each pixel along the optical axis, 0 if it is
            unknown; None if it is missing or was not asked for.

    """

    image: np.ndarray
    stamp: float
    name: str
    homography: np.ndarray | None = None
    photograph: int | None = None
    pose: np.ndarray | None = None
    second: np.ndarray | None = None
    depth: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """
    Calibration of a camera: distortion_model, k and d of `sensor_msgs/CameraInfo`.

    `matrix` (3, 3) is that of images of `size` (width, height) in pixels; the centre of the
    top-left pixel is (0, 0). `distortion` (N,) is empty for a camera without distortion. Raises
    ValueError if a number is not finite, a focal length not positive, or the size below 1.
    """

    model: str
    matrix: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int]

    def __post_init__(self):
        object.__setattr__(self, 'matrix', np.array(self.matrix, np.float64))
        object.__setattr__(self, 'distortion', np.array(self.distortion, np.float64).reshape(-1))
        object.__setattr__(self, 'size', (int(self.size[0]), int(self.size[1])))
        if self.matrix.shape != (3, 3):
            raise ValueError(f'a camera matrix must have shape (3, 3), got {self.matrix.shape}')
        if not (np.isfinite(self.matrix).all() and np.isfinite(self.distortion).all()):
            raise ValueError('the calibration has numbers that are not finite')
        if not (self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0):
            raise ValueError('the focal lengths of a camera must be positive')
        if min(self.size) < 1:
            raise ValueError(f'the image size of a camera must be positive, got {self.size}')

    @classmethod
    def of_view(
        cls,
        size: tuple[int, int] = (640, 480),
        degrees: float = 70.0,
        distortion: np.ndarray | tuple[float, ...] = (),
    ) -> Intrinsics:
        """
        Return a camera with a horizontal field of view in degrees and a central optical axis.

        `distortion` is that of `plumb_bob`: k1, k2, p1, p2, k3; the angle is that of the camera
        without it. Raises ValueError if the angle is not between 0 and 180.
        """
        if not 0 < degrees < 180:
            raise ValueError(f'a field of view must be between 0 and 180 degrees, got {degrees}')
        width, height = size
        focal = width / 2 / math.tan(math.radians(degrees) / 2)
        matrix = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
        return cls('plumb_bob', np.array(matrix), np.array(distortion, float), size)

    def scaled(self, size: tuple[int, int]) -> Intrinsics:
        """Return the calibration of the same images, resized to (width, height)."""
        x, y = size[0] / self.size[0], size[1] / self.size[1]
        # Pixel centres move: (p + 0.5) s - 0.5.
        resize = np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])
        return Intrinsics(self.model, resize @ self.matrix, self.distortion, size)


class SecondCamera(NamedTuple):
    """Second camera of a stereo pair; `pose` (4, 4) takes its coordinates to the first camera."""

    intrinsics: Intrinsics
    pose: np.ndarray


class FrameSequence(Protocol):
    """
    Frames at `rate` Hz on average, and the calibration of their camera, None if unknown.

    Sequences with a second camera have it in an attribute `second_camera`.
    """

    rate: float
    camera: Intrinsics | None

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames from the beginning."""
        ...


class GroundTruth:
    """
    Measured poses of a camera, interpolated at other times.

    `rows` are measurements in any order: stamp in seconds, position x, y, z in metres and
    quaternion x, y, z, w of any length, of the body to which the camera is fixed. `offset` (4, 4)
    is the pose of the camera in that body. Rows with a number that is not finite or a quaternion
    of length 0 are left out with a warning that names `source`.
    """

    def __init__(
        self, rows: Iterable[Sequence[float]], source: str, offset: np.ndarray | None = None
    ):
        measured = np.array([*rows], np.float64).reshape(-1, 8)
        length = np.linalg.norm(measured[:, 4:], axis=1, keepdims=True)
        valid = np.isfinite(measured).all(axis=1) & (length[:, 0] > 1e-6)
        if not valid.all():
            _log.warning(
                '%s: left out %d of %d poses, the first is number %d: a number is not finite or '
                'the quaternion has length 0',
                source,
                (~valid).sum(),
                len(valid),
                valid.argmin(),
            )
        measured, length = measured[valid], length[valid]
        order = np.argsort(measured[:, 0], kind='stable')
        self._stamps, self._positions = measured[order, 0], measured[order, 1:4]
        self._quaternions = (measured[:, 4:] / length)[order]
        self._offset = np.eye(4) if offset is None else offset

    def __len__(self) -> int:
        return len(self._stamps)

    def at(self, stamp: float) -> np.ndarray | None:
        """Return the pose (4, 4), camera to world; None too far from all measurements."""
        after = int(np.searchsorted(self._stamps, stamp))
        if after < len(self) and self._stamps[after] == stamp:
            return pose_matrix(self._positions[after], self._quaternions[after]) @ self._offset
        if not 0 < after < len(self):
            return None
        a, b = self._stamps[after - 1], self._stamps[after]
        if b - a > LONGEST_GAP:
            return None
        share = (stamp - a) / (b - a)
        p, q = self._quaternions[after - 1], self._quaternions[after]
        # A rotation has two quaternions: take the nearer one. Over times this short, the mean of
        # the quaternions is as good as a spherical interpolation.
        q = q if p @ q >= 0 else -q
        position = (1 - share) * self._positions[after - 1] + share * self._positions[after]
        return pose_matrix(position, (1 - share) * p + share * q) @ self._offset
