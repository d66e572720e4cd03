# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The simulated camera as a sequence: frames with their true poses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame, Intrinsics
from superpoint_ros.simulation.camera_path import Trajectory
from superpoint_ros.simulation.layout import furnish
from superpoint_ros.simulation.rendering import Renderer, Rendering

_SHIFTS = ((3, 2), (0, 5), (4, 0), (1, 3), (5, 1), (2, 4))
"""
One for each instant whose mean is an image with motion blur: the rays' place in a pixel, in
sixths. Edges between panels become smooth by it; the order is such that no motion undoes that.
"""


class SimulatedRoom:
    """
    A camera that flies through a room whose walls, floor and furniture carry photographs.

    `photographs` are paths, or uint8 images (H, W) or (H, W, 3). Frames are as `camera` sees them
    (default: 640x480, 70 degrees, no distortion), gray unless `color`, `rate` a second, endless
    or `count` of them. Each has its pose. The seed sets how the room is furnished, how the camera
    flies, and the noise; any frame can be had at any time and is always the same.

    `exposure` in seconds blurs what moves meanwhile; the stamp and the pose are of its middle.
    `noise` is the standard deviation of each pixel's noise in gray levels.

    Raises ValueError where there is no photograph, for a calibration that cannot be simulated (see
    `Renderer`), and for a number that cannot be.
    """

    def __init__(
        self,
        photographs: Iterable[str | Path | np.ndarray],
        camera: Intrinsics | None = None,
        seed: int = 0,
        color: bool = False,
        rate: float = DEFAULT_RATE,
        count: int | None = None,
        exposure: float = 0.0,
        noise: float = 0.0,
    ):
        if not rate > 0:
            raise ValueError(f'the rate must be above 0 Hz, got {rate}')
        if not (0 <= exposure <= 1 / rate):
            raise ValueError(
                f'the exposure must be 0 to the time of a frame, {1 / rate:.4g} s, got {exposure}'
            )
        if not 0 <= noise <= 100:
            raise ValueError(f'the noise must be 0 to 100 gray levels, got {noise}')
        if count is not None and count < 1:
            raise ValueError(f'a flight needs 1 frame or more, got {count}')
        self.camera = camera or Intrinsics.of_view()
        self.seed, self.rate, self.count = int(seed), float(rate), count
        self.exposure, self.noise = float(exposure), float(noise)
        images = [_as_image(photograph, color) for photograph in photographs]
        self.panels = furnish(images, np.random.default_rng(self.seed))
        self._renderer = Renderer(self.panels, self.camera)
        self._trajectory = Trajectory(self.seed)

    def pose(self, seconds: float) -> np.ndarray:
        """Return the true pose at a time, (4, 4): from the camera's coordinates to the world's."""
        return self._trajectory.pose(seconds)

    def look(self, pose: np.ndarray) -> Rendering:
        """Return what is seen from any pose, with the depths, without blur and noise."""
        return self._renderer.render(pose)

    def frame(self, index: int) -> Frame:
        """Return frame number `index`, from 0; any frame at any time."""
        seconds = index / self.rate
        image = self._exposed(seconds) if self.exposure else self.look(self.pose(seconds)).image
        if self.noise:
            rng = np.random.default_rng((self.seed, index))
            grains = rng.standard_normal(image.shape, np.float32)
            grains *= self.noise
            grains += image
            image = np.rint(grains.clip(0, 255)).astype(np.uint8)
        return Frame(image, seconds, f'{index:06d}', pose=self.pose(seconds))

    def _exposed(self, seconds: float) -> np.ndarray:
        """Return the mean of what is seen during the exposure."""
        count, total = len(_SHIFTS), 0.0
        for number, places in enumerate(_SHIFTS):
            shift = tuple((place + 0.5) / count - 0.5 for place in places)
            pose = self.pose(seconds + ((number + 0.5) / count - 0.5) * self.exposure)
            seen = self._renderer.render(pose, shift, edges=False).image
            total = total + seen.astype(np.float32)
        return np.rint(total / count).astype(np.uint8)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self.count is None or index < self.count:
            yield self.frame(index)
            index += 1


def _as_image(photograph: str | Path | np.ndarray, color: bool) -> np.ndarray:
    """Return the photograph, gray or in colour."""
    if not isinstance(photograph, np.ndarray):
        return read_image(photograph, color)
    if photograph.ndim == 3 and not color:
        return cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY)
    if photograph.ndim == 2 and color:
        return cv2.cvtColor(photograph, cv2.COLOR_GRAY2BGR)
    return photograph
