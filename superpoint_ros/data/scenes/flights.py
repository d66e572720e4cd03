# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Flights of a camera, or of a stereo pair, through a rendered scene, with exact poses and depth.

Scene, path, light and noise depend only on the scene files and the settings; frames can be
rendered in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from superpoint_ros.data.scenes.camera_motion import CameraTrajectory, MOTIONS
from superpoint_ros.data.scenes.changing_light import ChangingLight
from superpoint_ros.data.scenes.pairs import (
    PairSettings,
    SceneSource,
    SceneVariation,
    SMALLEST_SIDE,
    vary,
)
from superpoint_ros.data.scenes.path_planning import FlightSpace, plan_path
from superpoint_ros.data.scenes.ray_casting import PinholeCamera
from superpoint_ros.settings_table import check_settings, setting

INSTANTS = 6
"""Instants of an exposure that are averaged, each with one ray per pixel."""

ROAD = 3.0
"""Metres to each side of the middle of a street in which cars drive."""

_SCENE, _PATH, _LIGHT, _NOISE = range(4)  # streams of random numbers


@dataclass(frozen=True)
class FlightSettings:
    """
    Settings of a rendered sequence.

    Raises TypeError or ValueError that names the field, its value and what it may be.
    """

    width: int = setting(640, 'Width of the images.', unit='px', range=(SMALLEST_SIDE, 8192))
    height: int = setting(480, 'Height of the images.', unit='px', range=(SMALLEST_SIDE, 8192))
    field_of_view: float = setting(
        80.0, 'Horizontal field of view.', unit='deg', range=(20.0, 140.0)
    )
    rate: float = setting(20.0, 'Frames per second.', unit='Hz', range=(1.0, 1000.0))
    frames: int = setting(400, 'Number of frames.', range=(2, 100_000))
    motion: str = setting(
        'handheld',
        'Motion of the camera: a person who walks, a drone, or a car in a street.',
        choices=tuple(MOTIONS),
    )
    speed: float = setting(
        0.0, 'Mean speed. 0: that of the motion.', unit='m/s', range=(0.0, 100.0)
    )
    baseline: float = setting(
        0.11, 'Distance of the second camera to the right. 0: none.', unit='m', range=(0.0, 2.0)
    )
    depth: bool = setting(True, 'Write depth images of the first camera.')
    exposure: float = setting(
        0.008, 'Exposure time, which causes motion blur.', unit='s', range=(0.0, 1.0)
    )
    exposure_change: float = setting(
        1.0, 'Drifts and jumps of the gray level. 0: none.', range=(0.0, 3.0)
    )
    light_change: float = setting(
        1.0, 'Motion of lamps, sun and clouds. 0: none.', range=(0.0, 3.0)
    )
    noise: float = setting(
        2.0, 'Standard deviation of the noise in gray levels.', range=(0.0, 100.0)
    )
    posters: int = setting(
        120, 'Largest number of posters and carpets in a scene.', range=(0, None)
    )
    seed: int = setting(0, 'Random seed.', range=(0, 2**31 - 1))

    def __post_init__(self):
        check_settings(self)
        if self.exposure > 1 / self.rate:
            raise ValueError(
                f'exposure must be at most the frame interval, {1 / self.rate:.4g} s, '
                f'got {self.exposure}'
            )

    @property
    def metres(self) -> float:
        """Return the length of the path, with a margin for changes of the speed."""
        return 1.2 * self.mean_speed * (self.frames / self.rate + 2)

    @property
    def mean_speed(self) -> float:
        """Return the mean speed in metres per second."""
        return self.speed or MOTIONS[self.motion].speed

    @property
    def camera(self) -> PinholeCamera:
        """Return the calibration of both cameras."""
        half = np.deg2rad(self.field_of_view) / 2
        return PinholeCamera(float(self.width / 2 / np.tan(half)), self.width, self.height)


class RenderedFrame(NamedTuple):
    """
    A frame of a flight.

    Attributes:
        image: uint8 (H, W).
        second: uint8 (H, W), image of the right camera; None for one camera.
        depth: float32 (H, W), metres along the optical axis, 0 without a surface; None if it is
            not wanted.

    """

    image: np.ndarray
    second: np.ndarray | None
    depth: np.ndarray | None


class Flight:
    """
    Sequence of views from a smooth, collision-free flight.

    Raises ValueError if the scene has no free space for the motion.
    """

    def __init__(
        self, scene: SceneSource, pictures: Sequence[np.ndarray], settings: FlightSettings
    ):
        self.settings = settings
        seed, motion = settings.seed, MOTIONS[settings.motion]
        motion = motion._replace(speed=settings.mean_speed)
        if scene.street:
            scene = scene._replace(length=min(max(settings.metres, 40.0), 600.0))
        look = PairSettings(posters=settings.posters, seed=seed)
        variation = vary(scene, pictures, look, np.random.default_rng([seed, _SCENE]))
        self.caster = variation.caster
        space = _space(variation, settings)
        rng = np.random.default_rng([seed, _PATH])
        path = plan_path(space, settings.metres, motion.corners, rng)
        seconds = settings.frames / settings.rate
        self.trajectory = CameraTrajectory(path, motion, seconds, rng)
        self._light = ChangingLight(
            path,
            not scene.street,
            settings.light_change,
            settings.exposure_change,
            settings.noise,
            np.random.default_rng([seed, _LIGHT]),
        )

    def time_of(self, number: int) -> float:
        """Return the time of a frame, the middle of its exposure, in whole nanoseconds."""
        return round(number * 1e9 / self.settings.rate) * 1e-9

    def frame(self, number: int) -> RenderedFrame:
        """Return a frame by its number, from 0."""
        settings, seconds = self.settings, self.time_of(number)
        pose = self.trajectory.pose(seconds)
        image = self._photograph(number, 0)
        second = self._photograph(number, 1) if settings.baseline else None
        depth = self.caster.depth(settings.camera, pose) if settings.depth else None
        return RenderedFrame(image, second, depth)

    def _photograph(self, number: int, camera: int) -> np.ndarray:
        """Return the image of the left (0) or of the right camera (1)."""
        settings, seconds = self.settings, self.time_of(number)
        offset = np.eye(4)
        offset[0, 3] = camera * settings.baseline
        stream = np.random.default_rng([settings.seed, _NOISE, number, camera])
        place = self.trajectory.pose(seconds)[:3, 3]
        light = self._light.at(seconds, place, int(stream.integers(2**31)))
        shares = (np.arange(INSTANTS) + 0.5) / INSTANTS - 0.5
        times = seconds + settings.exposure * shares
        poses = [self.trajectory.pose(time) @ offset for time in times]
        return self.caster.expose(settings.camera, poses, light)


def _space(variation: SceneVariation, settings: FlightSettings) -> FlightSpace:
    """Return where a camera of the settings may fly."""
    motion, bounds = MOTIONS[settings.motion], variation.bounds.copy()
    if motion.along and variation.scene.street:
        bounds[:, 1] = -ROAD, ROAD
    # The second camera needs its place, too.
    clearance = motion.clearance + settings.baseline / 2
    return FlightSpace(variation.caster, bounds, motion.heights, clearance, motion.along)
