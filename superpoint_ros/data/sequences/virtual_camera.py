# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A camera that moves over photographs: a camera on any machine, with known homographies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import math
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame
from superpoint_ros.geometry.homography import scaling, warp_image


class VirtualCamera:
    """
    A camera that pans, turns and zooms over photographs, smoothly and without end.

    `photographs` are paths, or uint8 images (H, W) or (H, W, 3); frames have `size` (width,
    height), are gray unless `color`, and come `rate` a second. Each photograph is shown for
    `seconds_each`, then the next, and so on from the first. What is seen depends on nothing but
    the photographs, the size and the `seed`. Every frame shows the photograph only, nothing
    beyond its borders, and carries the homography from its pixels to the photograph's.

    Raises ValueError where there is no photograph, or a size of less than one pixel.
    """

    camera = None  # it zooms: none for all frames
    MAX_ANGLE = math.radians(20)
    NEAREST, FURTHEST = 0.5, 0.95  # the view's size, of the largest that fits in any turn
    PERIODS: ClassVar = {'x': 11.0, 'y': 7.3, 'angle': 17.9, 'zoom': 13.1}  # s, never in step

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
        self._scenes = [self._scene(photograph, color) for photograph in photographs]
        if not self._scenes:
            raise ValueError('a virtual camera needs at least one photograph')
        rng = np.random.default_rng(seed)
        self._phases = {name: rng.uniform(0, 2 * math.pi) for name in self.PERIODS}

    def _scene(self, photograph: str | Path | np.ndarray, color: bool) -> tuple:
        """Return the photograph at a size without aliasing, and its scale from the original."""
        if not isinstance(photograph, np.ndarray):
            photograph = read_image(photograph, color)
        elif photograph.ndim == 3 and not color:
            photograph = cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY)
        elif photograph.ndim == 2 and color:
            photograph = cv2.cvtColor(photograph, cv2.COLOR_GRAY2BGR)
        height, width = photograph.shape[:2]
        # At most 1.5 pixels of the photograph to one of the frame: linear interpolation sees all.
        scale = min(1.0, 1.5 / self._largest_scale(width, height))
        if scale == 1.0:
            return photograph, np.eye(3)
        reduced = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(photograph, reduced, interpolation=cv2.INTER_AREA)
        return image, scaling(width / reduced[0], height / reduced[1])

    def _largest_scale(self, width: int, height: int) -> float:
        """Return pixels of the photograph to one of the frame where the view fits in any turn."""
        # Corners turned outward by up to MAX_ANGLE; a border of one pixel is kept for rounding.
        w, h = self.size
        sine = math.sin(self.MAX_ANGLE)
        return min(max(width - 2, 1) / (w + h * sine), max(height - 2, 1) / (h + w * sine))

    def _wave(self, name: str, seconds: float) -> float:
        """Return where the motion of that name stands, from -1 to 1."""
        return math.sin(2 * math.pi * seconds / self.PERIODS[name] + self._phases[name])

    def frame(self, index: int) -> Frame:
        """Return frame number `index`, from 0; any frame at any time."""
        seconds = index / self.rate
        photograph = int(seconds // self.seconds_each) % len(self._scenes)
        image, to_original = self._scenes[photograph]
        height, width = image.shape[:2]
        w, h = self.size
        middle, amplitude = (self.FURTHEST + self.NEAREST) / 2, (self.FURTHEST - self.NEAREST) / 2
        zoom = middle + amplitude * self._wave('zoom', seconds)
        largest = self._largest_scale(width, height)
        angle, scale = self.MAX_ANGLE * self._wave('angle', seconds), largest * zoom
        sine = math.sin(self.MAX_ANGLE)
        free_x = max((width - 2 - scale * (w + h * sine)) / 2, 0)
        free_y = max((height - 2 - scale * (h + w * sine)) / 2, 0)
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
