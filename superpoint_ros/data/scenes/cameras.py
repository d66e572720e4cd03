# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random cameras in the free space of a scene, and second views that overlap the first ones."""

from __future__ import annotations

import numpy as np

from superpoint_ros.data.scenes.ray_casting import RayCaster
from superpoint_ros.geometry.poses import camera_pose, unit_vector

CLEARANCE = 0.25
"""Smallest distance in metres of a camera from any surface."""

ROOMY = 0.8
"""Smallest median distance in metres of the surfaces around a camera: inside furniture, half of
the directions end within less."""

PROBES = 48
"""Directions in which the distance to the next surface is measured around a camera."""

TRIALS = 400
"""Positions that are tried for a camera before a scene counts as one without free space."""

HEIGHTS = ((0.15, 0.6), (1.1, 1.9), (0.3, 6.0))
"""Metres above the floor of a wheeled robot's, a hand-held and a drone's camera."""


FIELD_OF_VIEW = (50.0, 100.0)
"""Smallest and largest horizontal field of view of cameras, in degrees."""


def free_position(
    caster: RayCaster, bounds: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """
    Return a position (3,) above a floor with `CLEARANCE` around it, None if none was found.

    `bounds` (2, 3) are the lowest and highest coordinates that are tried.
    """
    for _ in range(TRIALS):
        place = rng.uniform(bounds[0], bounds[1])
        down = caster.cast(place[None], np.array([[0, 0, -1.0]]))
        if down.triangle[0] < 0:
            continue
        floor = place[2] - float(down.distance[0])
        low, high = HEIGHTS[int(rng.integers(len(HEIGHTS)))]
        place[2] = floor + np.exp(rng.uniform(np.log(low), np.log(high)))
        if place[2] < bounds[1, 2] and is_free(caster, place):
            return place
    return None


def is_free(caster: RayCaster, place: np.ndarray) -> bool:
    """Return whether a camera fits at a position (3,), and most surfaces are not close to it."""
    distance = surface_distances(caster, place[None])[0]
    return bool(distance.min() > CLEARANCE and np.median(distance) > ROOMY)


def surface_distances(caster: RayCaster, places: np.ndarray) -> np.ndarray:
    """Return the distances (N, `PROBES`) of positions (N, 3) to what surrounds them, in metres."""
    directions = np.tile(_sphere(PROBES), (len(places), 1))
    hits = caster.cast(np.repeat(places, PROBES, axis=0), directions)
    distance = np.where(hits.triangle >= 0, hits.distance, np.inf)
    return distance.reshape(len(places), PROBES)


def _sphere(count: int) -> np.ndarray:
    """Return unit vectors (N, 3) spread evenly (Fibonacci lattice)."""
    number = np.arange(count) + 0.5
    z = 1 - 2 * number / count
    angle = np.pi * (1 + 5**0.5) * number
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def first_pose(place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the pose of a camera that looks about level, with some pitch and roll."""
    yaw = rng.uniform(0, 2 * np.pi)
    pitch = np.clip(rng.normal(-4, 14), -60, 45)
    roll = rng.normal(0, 5) if rng.random() < 0.7 else rng.normal(0, 20)
    return camera_pose(place, unit_vector(yaw, np.deg2rad(pitch)), np.deg2rad(roll))


def second_pose(
    caster: RayCaster,
    first: np.ndarray,
    depth: np.ndarray,
    baseline: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray | None:
    """
    Return the pose of a second view of what the first one shows, None if its place is not free.

    `depth` (H, W) is the first view's; the camera moves by `baseline` (least, most) times its
    median in a random direction, and looks at a point of the first view, with an error.
    """
    seen = depth[depth > 0]
    if not len(seen):
        return None
    typical = float(np.median(seen))
    length = typical * np.exp(rng.uniform(*np.log(baseline)))
    direction = rng.normal(size=3) * [1, 1, 0.35]
    direction /= np.linalg.norm(direction)
    place = first[:3, 3] + length * direction
    hit = caster.cast(first[None, :3, 3], (place - first[:3, 3])[None])
    blocked = hit.triangle[0] >= 0 and hit.distance[0] < 1 + CLEARANCE / max(length, 1e-6)
    if blocked or not is_free(caster, place):
        return None
    forward = first[:3, 2]
    target = first[:3, 3] + forward * typical * rng.uniform(0.8, 1.6)
    towards = target - place
    towards /= np.linalg.norm(towards)
    # Partly as the first view, partly towards the same point: both happen on robots.
    mixed = towards + rng.uniform(0, 1) * forward + rng.normal(0, 0.12, 3)
    roll = _roll_of(first) + np.deg2rad(
        rng.normal(0, 6) if rng.random() < 0.8 else rng.normal(0, 30)
    )
    return camera_pose(place, mixed, roll)


def _roll_of(pose: np.ndarray) -> float:
    """Return the roll in radians of a pose."""
    level = camera_pose(pose[:3, 3], pose[:3, 2], 0.0)
    return float(np.arctan2(level[:3, 1] @ pose[:3, 0], level[:3, 0] @ pose[:3, 0]))
