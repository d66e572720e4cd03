# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Light that moves and an exposure that changes during a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.data.scenes.flight_settings import FlightSettings
from superpoint_ros.data.scenes.ray_casting import Lamp, Lighting
from superpoint_ros.geometry.poses import unit_vector

LAMPS = 4
"""Lamps that are switched on around a camera indoors: the nearest ones."""

SPACING = 4.0
"""Metres of path for each lamp indoors."""

MEAN = 110.0
"""Mean gray level of the images, around which the exposure changes."""

_PERIODS = (6.1, 4.7, 7.9)  # seconds, of the swinging lamps along x, y and z
_SUN_PERIOD = 40.0
_CLOUD_PERIOD = 11.0
_STEP_INTERVAL = 4.0  # seconds between two jumps of the exposure
_RECOVERY = 0.7  # seconds in which an automatic exposure recovers from a jump


class ChangingLight:
    """
    Lamps that swing, or a sun that moves, and an exposure that drifts and jumps.

    `places` (N, 3) are on the path of the camera; without `lamps` there is a sun.
    """

    def __init__(
        self, places: np.ndarray, lamps: bool, settings: FlightSettings, rng: np.random.Generator
    ):
        self._motion, self._exposure = settings.light_change, settings.exposure_change
        self._noise = settings.noise
        self._ambient = rng.uniform(0.3, 0.5)
        self._shadows = bool(rng.random() < 0.7)
        self._vignetting = rng.uniform(0.1, 0.4)
        self._phases = rng.uniform(0, 2 * np.pi, 6)
        self._jumps = rng.normal(0, 1, 10_000)
        self._lamps: list[tuple[Lamp, np.ndarray]] = []
        self._sun = None
        if lamps:
            steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
            count = max(int(steps.sum() / SPACING), 2)
            for place in places[rng.integers(len(places), size=count)]:
                lamp = Lamp(place + [0, 0, 0.3], rng.uniform(0.6, 1.4), rng.uniform(2, 6))
                self._lamps.append((lamp, rng.uniform(0, 2 * np.pi, 4)))
        else:
            self._sun = (rng.uniform(25, 65), rng.uniform(0, 360), rng.uniform(0.4, 0.9))

    def at(self, seconds: float, place: np.ndarray, noise_seed: int) -> Lighting:
        """Return the light at a time, for a camera at `place` (3,)."""
        return Lighting(
            self._ambient,
            self._lamps_near(seconds, place),
            self._shadows,
            MEAN * float(np.exp(self._exposure * self._drift(seconds))),
            self._sun_at(seconds),
            self._vignetting,
            blur=0.4,
            noise=self._noise,
            noise_seed=noise_seed,
        )

    def _lamps_near(self, seconds: float, place: np.ndarray) -> Sequence[Lamp]:
        """Return the nearest lamps as they swing and flicker."""
        if not self._lamps:
            return ()
        distances = [np.linalg.norm(lamp.position - place) for lamp, _ in self._lamps]
        order = np.argsort(distances, kind='stable')
        # Fading out before another lamp is nearer: none appears from one frame to the next.
        limit = distances[order[LAMPS]] if len(order) > LAMPS else np.inf
        result = []
        for index in order[:LAMPS]:
            lamp, phases = self._lamps[index]
            angles = 2 * np.pi * seconds / np.array(_PERIODS) + phases[:3]
            swing = self._motion * 0.4 * np.sin(angles)
            fade = min(3 * (1 - distances[index] / limit), 1.0)
            strength = 1 + 0.4 * self._motion * np.sin(angles[0] * 1.7 + phases[3])
            strength = float(lamp.strength * fade * strength)
            result.append(lamp._replace(position=lamp.position + swing, strength=strength))
        return tuple(result)

    def _sun_at(self, seconds: float) -> np.ndarray | None:
        """Return the vector towards the sun; clouds weaken it."""
        if self._sun is None:
            return None
        elevation, azimuth, strength = self._sun
        wave = np.sin(2 * np.pi * seconds / _SUN_PERIOD + self._phases[0])
        cloud = 0.5 + 0.5 * np.sin(2 * np.pi * seconds / _CLOUD_PERIOD + self._phases[1])
        strength *= 1 - min(0.6 * self._motion, 1) * cloud
        azimuth += 15 * self._motion * wave
        return strength * unit_vector(np.deg2rad(azimuth), np.deg2rad(elevation))

    def _drift(self, seconds: float) -> float:
        """Return the logarithm of the exposure, relative to `exposure` = 1."""
        slow = 0.3 * np.sin(2 * np.pi * seconds / 5.9 + self._phases[2])
        number = int(seconds // _STEP_INTERVAL)
        since = seconds - number * _STEP_INTERVAL
        jump = 0.35 * np.clip(self._jumps[number % len(self._jumps)], -1.5, 1.5)
        return float(slow + jump * np.exp(-since / _RECOVERY))
