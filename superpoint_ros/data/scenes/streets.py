# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Streets composed of separate buildings and objects, each with its origin at its base.

Along the x axis runs a road; large objects stand in a row on each side and face it, small ones
(cones, signs, trees, vehicles) stand on the pavements and on the road.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.data.scenes.decoration import pick, plane
from superpoint_ros.data.scenes.meshes import merge, TexturedMesh

BUILDING = 5.0
"""Metres of footprint, along its longer side, from which an object counts as a building."""

LARGEST = 45.0
"""Metres of footprint of the largest building that is placed."""

LENGTH = 60.0
"""Metres of street, unless another length is given."""


def compose_street(
    objects: Sequence[TexturedMesh],
    pictures: Sequence[np.ndarray],
    rng: np.random.Generator,
    length: float = LENGTH,
) -> TexturedMesh:
    """
    Return a street of `length` metres with a ground that shows one of the pictures.

    Raises ValueError if none of the objects is small enough to be placed.
    """
    sizes = [np.ptp(each.bounds, axis=0) for each in objects]
    longest = [float(size[:2].max()) for size in sizes]
    buildings = [o for o, side in zip(objects, longest, strict=True) if BUILDING <= side < LARGEST]
    small = [o for o, side in zip(objects, longest, strict=True) if side < BUILDING]
    if not buildings and not small:
        raise ValueError(f'a street needs objects with a footprint below {LARGEST:g} m')
    half_road = rng.uniform(3, 8)
    pavement = rng.uniform(1.5, 5)
    parts: list[TexturedMesh] = []
    for side in (-1, 1):
        parts += _row(buildings, side, half_road + pavement, length, rng)
    count = int(rng.integers(15, 40)) if small else 0
    for _ in range(round(count * length / LENGTH)):
        thing = pick(small, rng)
        on_road = rng.random() < 0.25
        across = (
            rng.uniform(-half_road, half_road)
            if on_road
            else (rng.choice([-1, 1]) * (half_road + rng.uniform(0.2, pavement)))
        )
        angle = rng.uniform(0, 2 * np.pi)
        parts.append(thing.moved(_placed(rng.uniform(-length / 2, length / 2), across, angle)))
    street = merge(parts)
    if pictures:
        ground = np.array([[-length, -LENGTH, 0], [length, LENGTH, 0]])
        picture = pick(pictures, rng)
        street = merge([street, plane(ground, -0.02, picture, rng)])
    return street


def _row(
    buildings: Sequence[TexturedMesh],
    side: int,
    front: float,
    length: float,
    rng: np.random.Generator,
) -> list[TexturedMesh]:
    """Return buildings placed side by side, `front` metres from the middle of the road."""
    parts: list[TexturedMesh] = []
    x = -length / 2
    while buildings and x < length / 2:
        building = pick(buildings, rng)
        turned = building.moved(_placed(0, 0, np.pi / 2 * int(rng.integers(4))))
        low, high = turned.bounds
        y = side * (front + rng.uniform(0, 2)) - (low[1] if side > 0 else high[1])
        parts.append(turned.moved(_placed(x - low[0], y, 0)))
        x += high[0] - low[0] + rng.uniform(0.3, 6)
    return parts


def _placed(x: float, y: float, angle: float) -> np.ndarray:
    """Return the pose (4, 4) of an object on the ground, turned about the vertical."""
    pose = np.eye(4)
    cos, sin = np.cos(angle), np.sin(angle)
    pose[:2, :2] = [[cos, -sin], [sin, cos]]
    pose[:2, 3] = x, y
    return pose
