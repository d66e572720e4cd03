# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Virtual camera that moves over photographs, with known homographies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import math
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from superpoint_ros.data.sequences.image_files import load_images
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame, FrameSequence
from superpoint_ros.geometry.homography import rescale_image, warp_image


class VirtualCamera(FrameSequence):
    """
    Endless sequence of a camera that pans, rotates and zooms smoothly over photographs.

    `photographs` are paths, or uint8 images (H, W) or (H, W, 3). Frames have `size` (width,
    height), are gray unless `color`, and have a `rate` in Hz. Each photograph is shown for
    `seconds_each`; after the last one, the first follows. The frames depend only on the
    photographs, the parameters and the `seed`. A frame never shows anything beyond the borders of
    the photograph; it has the homography from its pixels to those of the photograph. As the camera
    zooms, no calibration fits all frames.

    Files that cannot be read are skipped as in `read_each`, which raises if none can be. Raises
    ValueError if there is no photograph or a side is below one pixel.
    """

    MAX_ANGLE = math.radians(20)
    NEAREST, FURTHEST = 0.5, 0.95  # size of the view relative to the largest that always fits
    PERIODS: ClassVar = {'x': 11.0, 'y': 7.3, 'angle': 17.9, 'zoom': 13.1}  # s, incommensurable

    def __init__(
        self,
        photographs: Iterable[str | Path | np.ndarray],
        size: tuple[int, int] = (640, 480),
        seed: int = 0,
        color: bool = False,
        rate: float = DEFAULT_RATE,
        seconds_each: float = 10.0,
    ):
        self.size, self.rate, self.seconds_each = tuple(size), float(rate), seconds_each
        if min(self.size) < 1:
            raise ValueError(f'a frame needs a width and a height of 1 or more, got {size}')
        w, h = self.size
        sine = math.sin(self.MAX_ANGLE)
        # Width and height of what a frame may cover: its corners rotate outward.
        self._reach = (w + h * sine, h + w * sine)
        self._scenes = [self._scene(image) for image in load_images(photographs, color)]
        if not self._scenes:
            raise ValueError('a virtual camera needs at least one photograph')
        rng = np.random.default_rng(seed)
        self._phases = {name: rng.uniform(0, 2 * math.pi) for name in self.PERIODS}

    def _scene(self, photograph: np.ndarray) -> tuple:
        """Return the photograph, reduced to avoid aliasing, and the homography to the original."""
        height, width = photograph.shape[:2]
        # With at most 1.5 source pixels per pixel of the frame, linear interpolation uses all.
        return rescale_image(photograph, min(1.0, 1.5 / self._largest_scale(width, height)))

    def _largest_scale(self, width: int, height: int) -> float:
        """Return the largest scale, in source pixels, at which the view fits at any angle."""
        # One pixel of border is kept for rounding.
        return min(max(width - 2, 1) / self._reach[0], max(height - 2, 1) / self._reach[1])

    def _wave(self, name: str, seconds: float) -> float:
        """Return the state of the motion of that name, from -1 to 1."""
        return math.sin(2 * math.pi * seconds / self.PERIODS[name] + self._phases[name])

    def frame(self, index: int) -> Frame:
        """Return the frame of a number, from 0, in any order."""
        seconds = index / self.rate
        photograph = int(seconds // self.seconds_each) % len(self._scenes)
        image, to_original = self._scenes[photograph]
        height, width = image.shape[:2]
        w, h = self.size
        middle, amplitude = (self.FURTHEST + self.NEAREST) / 2, (self.FURTHEST - self.NEAREST) / 2
        zoom = middle + amplitude * self._wave('zoom', seconds)
        largest = self._largest_scale(width, height)
        angle, scale = self.MAX_ANGLE * self._wave('angle', seconds), largest * zoom
        free_x = max((width - 2 - scale * self._reach[0]) / 2, 0)
        free_y = max((height - 2 - scale * self._reach[1]) / 2, 0)
        x = (width - 1) / 2 + free_x * self._wave('x', seconds)
        y = (height - 1) / 2 + free_y * self._wave('y', seconds)
        c, s = scale * math.cos(angle), scale * math.sin(angle)
        u, v = (w - 1) / 2, (h - 1) / 2
        view = np.array([[c, -s, x - c * u + s * v], [s, c, y - s * u - c * v], [0, 0, 1.0]])
        picture = warp_image(image, np.linalg.inv(view), self.size, cv2.BORDER_REPLICATE)
        return Frame(picture, seconds, f'{index:06d}', to_original @ view, photograph)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            yield self.frame(index)
            index += 1
