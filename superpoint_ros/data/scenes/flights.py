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
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from superpoint_ros.data.scenes.changing_light import ChangingLight
from superpoint_ros.data.scenes.flight_settings import FlightSettings, Motion, MOTIONS
from superpoint_ros.data.scenes.path_planning import (
    FlightSpace,
    lengths_along,
    places_along,
    plan_path,
)
from superpoint_ros.data.scenes.variations import SceneSource, SceneVariation, vary
from superpoint_ros.geometry.poses import camera_pose, unit_vector

RENDERER_VERSION = 2
"""
Version of what decides how a frame of given scenes and settings looks: path, light and rendering.

Increase it when such frames change; sequences of another version are then rendered again.
"""

INSTANTS = 6
"""Instants of an exposure that are averaged, each with one ray per pixel."""

ROAD = 3.0
"""Metres to each side of the middle of a street in which cars drive."""

TICK = 0.02
"""Seconds between the knots of the splines of a motion."""

STEPS_PER_SECOND = 1.8
"""Frequency of the steps of a person who walks, in Hz."""

_SPEED_PERIOD, _SPEED_SHARE = 9.0, 0.3  # slow changes of the speed
_PERIODS = (5.3, 3.7, 4.3)  # seconds, of yaw, pitch and roll
_SCENE, _PATH, _LIGHT, _NOISE = range(4)  # streams of random numbers


class CameraTrajectory:
    """
    Poses of a camera that follows `path` (N, 3), in metres, for `seconds`.

    Camera coordinates: x right, y down, z forward. Raises ValueError if the path is too short.
    """

    def __init__(self, path: np.ndarray, motion: Motion, seconds: float, rng: np.random.Generator):
        phases = rng.uniform(0, 2 * np.pi, 5)
        times = np.arange(-0.5, seconds + 1.0, TICK)
        speed = 1 + _SPEED_SHARE * np.sin(2 * np.pi * times / _SPEED_PERIOD + phases[0])
        gone = np.concatenate([[0.0], np.cumsum(motion.speed * TICK * speed[:-1])])
        length = lengths_along(path)[-1]
        if length < gone[-1]:
            raise ValueError(f'a path of {length:.1f} m is too short: {gone[-1]:.1f} m are needed')
        places = places_along(path, gone)
        width = motion.turning / TICK
        # The path consists of short straight pieces: smooth away their corners.
        places = gaussian_filter1d(places, 3, axis=0, mode='nearest')
        ahead = np.gradient(places, axis=0)
        yaw = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
        pitch = np.arctan2(ahead[:, 2], np.hypot(ahead[:, 0], ahead[:, 1])) / 2
        waves = [
            np.deg2rad(angle) * np.sin(2 * np.pi * times / period + phase)
            for angle, period, phase in zip(motion.swing, _PERIODS, phases[1:4], strict=True)
        ]
        yaw = gaussian_filter1d(yaw, width, mode='nearest') + waves[0]
        pitch = gaussian_filter1d(pitch, width, mode='nearest') + waves[1]
        places[:, 2] += motion.bob * np.sin(2 * np.pi * STEPS_PER_SECOND * times + phases[4])
        self._position = CubicSpline(times, places)
        self._velocity = self._position.derivative()
        self._angles = CubicSpline(times, np.stack([yaw, pitch, waves[2]], axis=1))

    def pose(self, seconds: float) -> np.ndarray:
        """Return the pose, camera to world, at a time: (4, 4)."""
        yaw, pitch, roll = self._angles(seconds)
        return camera_pose(self._position(seconds), unit_vector(yaw, pitch), roll)

    def velocity(self, seconds: float) -> np.ndarray:
        """Return the velocity in the world, in metres per second, at a time: (3,)."""
        return self._velocity(seconds)


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
        rng = np.random.default_rng([seed, _LIGHT])
        self._light = ChangingLight(path, not scene.street, settings, rng)

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
