# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Flights of a camera, or of a stereo pair, through a rendered scene, with exact poses and depth.

Scene, path, light and noise depend only on the scene files and the settings; frames can be
rendered in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from superpoint_ros.data.scenes.camera_motion import CameraTrajectory
from superpoint_ros.data.scenes.changing_light import ChangingLight
from superpoint_ros.data.scenes.flight_settings import FlightSettings, MOTIONS
from superpoint_ros.data.scenes.path_planning import FlightSpace, plan_path
from superpoint_ros.data.scenes.variations import SceneSource, SceneVariation, vary

RENDERER_VERSION = 1
"""
Version of what decides how a frame of given scenes and settings looks: path, light and rendering.

Increase it when such frames change; sequences of another version are then rendered again.
"""

INSTANTS = 6
"""Instants of an exposure that are averaged, each with one ray per pixel."""

ROAD = 3.0
"""Metres to each side of the middle of a street in which cars drive."""

_SCENE, _PATH, _LIGHT, _NOISE = range(4)  # streams of random numbers


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
        rng = np.random.default_rng([seed, _SCENE])
        variation = vary(scene, pictures, settings.posters, rng)
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
