# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames of sequences, the calibration of their cameras, and the true poses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import logging
from typing import NamedTuple

import numpy as np

from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.geometry.poses import pose_matrix

DEFAULT_RATE = 30.0
_MAX_RATE = 1000.0  # Hz; cameras are slower: the stamps are wrong, or all equal
LONGEST_GAP = 0.15
"""Longest time in seconds between two measured poses between which poses are interpolated."""

_log = logging.getLogger(__name__)


def plausible_rate(rate: float, default: float = DEFAULT_RATE) -> float:
    """Return a rate in Hz if a camera can have it, else `default`."""
    return rate if 0 < rate < _MAX_RATE else default


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
        nanoseconds: the stamp as the source has it, in nanoseconds, which `stamp` rounds to about
            0.2 microseconds; None if the source has no such stamps.

    """

    image: np.ndarray
    stamp: float
    name: str
    homography: np.ndarray | None = None
    photograph: int | None = None
    pose: np.ndarray | None = None
    second: np.ndarray | None = None
    depth: np.ndarray | None = None
    nanoseconds: int | None = None


@contextmanager
def naming_frame(frame: Frame) -> Iterator[None]:
    """Add the name of a frame to a ValueError inside this context, as one of another size."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f'{frame.name}: {error}') from error


def with_known_size(camera: CameraModel) -> CameraModel:
    """Return a calibration for a sequence; raise CameraModelError if its size is unknown."""
    if not all(camera.size):
        raise CameraModelError('the image size of the camera is missing')
    return camera


class SecondCamera(NamedTuple):
    """Second camera of a stereo pair; `pose` (4, 4) takes its coordinates to the first camera."""

    camera: CameraModel
    pose: np.ndarray


class FrameSequence(ABC):
    """
    Frames, and what is known of them before they are read.

    Attributes:
        rate: mean rate in Hz.
        camera: calibration of the camera, None if it is unknown.
        second_camera: second camera of a stereo pair, None if there is none.
        has_truth: whether frames may have a true pose.
        has_depth: whether frames may have depth.

    """

    rate: float
    camera: CameraModel | None = None
    second_camera: SecondCamera | None = None
    has_truth = True
    has_depth = True

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Return the frames from the beginning."""


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
