# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What every sequence gives: frames, and where it is known, the camera that took them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np

DEFAULT_RATE = 30.0


@dataclass(frozen=True, eq=False)
class Frame:
    """
    Hold one image of a sequence.

    `image` is uint8, (H, W) gray or (H, W, 3) BGR. `stamp` is in seconds: since the sequence's
    start, or since 1970 for a camera and where a recording says so. `name` says which frame it is,
    unique within its sequence. `homography` (3, 3) maps the frame's pixels to those of the
    photograph that it shows, where that is known, and `photograph` is that one's index. `pose`
    (4, 4), float64, is the true one where that is known: it takes points of the camera (x to the
    right, y down, z forward) to the world, in metres.
    """

    image: np.ndarray
    stamp: float
    name: str
    homography: np.ndarray | None = None
    photograph: int | None = None
    pose: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """
    Hold a camera's calibration: what `sensor_msgs/CameraInfo` calls distortion_model, k and d.

    `matrix` (3, 3) is of images of `size` (width, height) in pixels, the centre of the top-left
    one being (0, 0). `distortion` (N,) is empty for a camera without any. Raises ValueError where
    a number is not finite, a focal length not positive, or the size is none.
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
            raise ValueError(f'a camera matrix has shape (3, 3), got {self.matrix.shape}')
        if not (np.isfinite(self.matrix).all() and np.isfinite(self.distortion).all()):
            raise ValueError('the calibration has numbers that are not finite')
        if not (self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0):
            raise ValueError('the focal lengths of a camera must be positive')
        if min(self.size) < 1:
            raise ValueError(f'a camera needs a width and a height of 1 or more, got {self.size}')

    @classmethod
    def of_view(
        cls,
        size: tuple[int, int] = (640, 480),
        degrees: float = 70.0,
        distortion: np.ndarray | tuple[float, ...] = (),
    ) -> Intrinsics:
        """
        Return a camera that sees `degrees` from left to right, its axis in the image's middle.

        `distortion` is that of `plumb_bob`: k1, k2, p1, p2, k3; the angle is that without it.
        Raises ValueError where the angle is not above 0 and below 180.
        """
        if not 0 < degrees < 180:
            raise ValueError(f'a field of view is above 0 and below 180 degrees, got {degrees}')
        width, height = size
        focal = width / 2 / math.tan(math.radians(degrees) / 2)
        matrix = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
        return cls('plumb_bob', np.array(matrix), np.array(distortion, float), size)

    def scaled(self, size: tuple[int, int]) -> Intrinsics:
        """Return the calibration of the same images resized to (width, height)."""
        x, y = size[0] / self.size[0], size[1] / self.size[1]
        # Pixel centres move: (p + 0.5) s - 0.5.
        resize = np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])
        return Intrinsics(self.model, resize @ self.matrix, self.distortion, size)


class FrameSequence(Protocol):
    """What all sequences have: frames, `rate` of them a second, of a camera that may be known."""

    rate: float
    camera: Intrinsics | None

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames from the beginning on."""
        ...
