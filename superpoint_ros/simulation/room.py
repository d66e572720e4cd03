# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Simulated camera in a room: an image sequence with ground-truth poses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import math
from pathlib import Path

import numpy as np

from superpoint_ros.data.sequences.image_files import load_images
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE, Frame, FrameSequence, SecondCamera
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.poses import camera_pose, unit_vector
from superpoint_ros.simulation.layout import FREE_SPACE, furnish, ROOM_SIZE
from superpoint_ros.simulation.rendering import Renderer, Rendering

_SHIFTS = ((3, 2), (0, 5), (4, 0), (1, 3), (5, 1), (2, 4))
"""
Shifts of the rays, in sixths of a pixel, for the instants that are averaged to motion blur.

They smooth the edges of panels; their order keeps motion in any direction from cancelling them.
"""

_PERIODS = (19.0, 15.0, 11.0)  # seconds, of x, y and z; without a common period
_SECOND = 0.25  # share of the second, faster wave
_TURN = 75.0  # seconds per turn about the vertical
_YAW, _PITCH, _ROLL = (math.radians(angle) for angle in (25, 8, 5))
_YAW_PERIOD, _PITCH_PERIOD, _ROLL_PERIOD = 23.0, 13.0, 11.0


class CameraPath:
    """
    Smooth endless flight through the centre of the room, like that of a hand-held camera.

    The mean speeds are about 0.5 m/s and 7 degrees/s. The seed chooses the start and the direction
    of rotation.
    """

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        self._phases = rng.uniform(0, 2 * math.pi, (2, 3))
        self._angles = rng.uniform(0, 2 * math.pi, 4)
        self._direction = float(rng.choice((-1, 1)))

    def pose(self, seconds: float) -> np.ndarray:
        """Return the camera-to-world transform (4, 4) at a time in seconds."""

        def wave(number: int, period: float) -> float:
            return math.sin(2 * math.pi * seconds / period + self._angles[number])

        yaw = self._angles[3] + self._direction * 2 * math.pi * seconds / _TURN
        yaw += _YAW * wave(0, _YAW_PERIOD)
        pitch, roll = _PITCH * wave(1, _PITCH_PERIOD), _ROLL * wave(2, _ROLL_PERIOD)
        return camera_pose(self._position(seconds), unit_vector(yaw, pitch), roll)

    def _position(self, seconds: float) -> np.ndarray:
        """Return the position (3,) in metres."""
        phase = 2 * math.pi * seconds / np.array(_PERIODS)
        slow, fast = np.sin(phase + self._phases[0]), np.sin(2.3 * phase + self._phases[1])
        centre = np.array([0, 0, ROOM_SIZE[2] / 2])
        return centre + np.array(FREE_SPACE) * ((1 - _SECOND) * slow + _SECOND * fast)


class SimulatedRoom(FrameSequence):
    """
    Sequence of a camera that flies through a room covered with photographs.

    `photographs` are paths, or uint8 images (H, W) or (H, W, 3). Frames are gray unless `color`;
    each has its pose. The same arguments always give the same frames.

    Attributes:
        camera: calibration; by default 640x480, 70 degrees field of view, no distortion.
        seed: seed of the furniture, the flight and the noise.
        rate: frames per second.
        count: number of frames; None for an endless sequence.
        exposure: exposure time in seconds (motion blur); stamp and pose are those of its centre.
        noise: standard deviation of the pixel noise in gray levels.
        second_camera: right camera of a stereo pair with parallel axes, None without a baseline.

    With a `baseline` in metres, frames have the image of the right camera; `with_depth`, they have
    the exact depth of each pixel. Files that cannot be read are skipped with a warning. Raises
    ValueError without photographs, for a calibration that cannot be simulated (see `Renderer`),
    and for values out of range; and the error of the last file if none can be read.

    """

    def __init__(
        self,
        photographs: Iterable[str | Path | np.ndarray],
        camera: CameraModel | None = None,
        seed: int = 0,
        color: bool = False,
        rate: float = DEFAULT_RATE,
        count: int | None = None,
        exposure: float = 0.0,
        noise: float = 0.0,
        baseline: float = 0.0,
        with_depth: bool = False,
    ):
        # Limits of the room, for any caller. The settings of the player and of the odometry
        # benchmark may have narrower ones, such as a stereo baseline above 0.
        if not rate > 0:
            raise ValueError(f'rate must be above 0 Hz, got {rate}')
        if not (0 <= exposure <= 1 / rate):
            raise ValueError(
                f'exposure must be 0 to the frame interval, {1 / rate:.4g} s, got {exposure}'
            )
        if not 0 <= noise <= 100:
            raise ValueError(f'noise must be 0 to 100 gray levels, got {noise}')
        if count is not None and count < 1:
            raise ValueError(f'count must be 1 or more, got {count}')
        if not 0 <= baseline <= 1:
            raise ValueError(f'baseline must be 0 to 1 m, got {baseline}')
        self.camera = camera or CameraModel.of_view()
        self.seed, self.rate, self.count = int(seed), float(rate), count
        self.exposure, self.noise = float(exposure), float(noise)
        self.with_depth = with_depth
        if baseline:
            pose = np.eye(4)
            pose[0, 3] = baseline
            self.second_camera = SecondCamera(self.camera, pose)
        images = list(load_images(photographs, color))
        self.panels = furnish(images, np.random.default_rng(self.seed))
        self._renderer = Renderer(self.panels, self.camera)
        self._path = CameraPath(self.seed)

    def pose(self, seconds: float) -> np.ndarray:
        """Return the camera-to-world transform (4, 4) at a time in seconds."""
        return self._path.pose(seconds)

    def render(self, pose: np.ndarray) -> Rendering:
        """Return image and depth from any pose, without blur and noise."""
        return self._renderer.render(pose)

    def frame(self, index: int) -> Frame:
        """Return frame number `index`, from 0; frames can be taken in any order."""
        seconds = index / self.rate
        image, second, depth = self._seen(seconds, np.eye(4), (self.seed, index)), None, None
        if self.second_camera is not None:
            second = self._seen(seconds, self.second_camera.pose, (self.seed, index, 1))
        if self.with_depth:
            depth = self.render(self.pose(seconds)).depth
            depth[~np.isfinite(depth)] = 0
        pose = self.pose(seconds)
        return Frame(image, seconds, f'{index:06d}', pose=pose, second=second, depth=depth)

    def _seen(self, seconds: float, offset: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """Return the image, with blur and noise, of a camera at `offset` (4, 4) from the first."""
        if self.exposure:
            image = self._exposed(seconds, offset)
        else:
            image = self.render(self.pose(seconds) @ offset).image
        if self.noise:
            grains = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
            grains *= self.noise
            grains += image
            image = np.rint(grains.clip(0, 255)).astype(np.uint8)
        return image

    def _exposed(self, seconds: float, offset: np.ndarray) -> np.ndarray:
        """Return the mean image over the exposure."""
        count, total = len(_SHIFTS), 0.0
        for number, places in enumerate(_SHIFTS):
            shift = tuple((place + 0.5) / count - 0.5 for place in places)
            pose = self.pose(seconds + ((number + 0.5) / count - 0.5) * self.exposure)
            seen = self._renderer.render(pose @ offset, shift, edges=False).image
            total = total + seen.astype(np.float32)
        return np.rint(total / count).astype(np.uint8)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self.count is None or index < self.count:
            yield self.frame(index)
            index += 1
