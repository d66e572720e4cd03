# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Settings of rendered flights, importable without the extra 'scenes'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.scenes.pairs import MAX_SIDE, MIN_SIDE
from superpoint_ros.data.scenes.ray_casting import PinholeCamera


class Motion(NamedTuple):
    """
    How a camera moves.

    Attributes:
        speed: mean speed in metres per second.
        heights: least and greatest height above the floor in metres.
        clearance: least distance from surfaces in metres.
        corners: metres over which corners are rounded.
        turning: seconds over which the camera turns into a new direction.
        swing: amplitudes of yaw, pitch and roll in degrees.
        bob: amplitude of the steps in metres.
        along: whether the camera goes from one end of the scene to the other.

    """

    speed: float
    heights: tuple[float, float]
    clearance: float
    corners: float
    turning: float
    swing: tuple[float, float, float]
    bob: float = 0.0
    along: bool = False


MOTIONS = {
    'handheld': Motion(0.8, (1.2, 1.8), 0.3, 1.5, 0.5, (18.0, 6.0, 3.0), bob=0.012),
    'drone': Motion(1.5, (0.6, 2.4), 0.4, 2.5, 0.4, (20.0, 8.0, 6.0)),
    'drive': Motion(7.0, (1.4, 1.6), 0.9, 12.0, 0.3, (1.5, 0.8, 0.5), along=True),
}
"""Motions by name: a person, a drone, and a car in a street."""


@dataclass(frozen=True)
class FlightSettings(SettingsGroup):
    """Settings of a rendered sequence."""

    width: int = setting(640, 'Width of the images.', unit='px', range=(MIN_SIDE, MAX_SIDE))
    height: int = setting(480, 'Height of the images.', unit='px', range=(MIN_SIDE, MAX_SIDE))
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
        super().__post_init__()
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
        return PinholeCamera.of_view(self.width, self.height, self.field_of_view)
