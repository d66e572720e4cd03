# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Layout of the room: walls, floor and ceiling with photographs, boxes, and suspended panels.

World axes as in REP 103: z points up; the origin is the centre of the floor. The centre of the
room, in which the camera moves, is free of furniture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from superpoint_ros.simulation.rendering import Panel
from superpoint_ros.simulation.texture_atlas import MULTIPLE

ROOM_SIZE = (7.0, 6.0, 3.0)
"""Length, width and height in metres."""

FREE_SPACE = (1.5, 1.1, 0.5)
"""Largest distance of the camera from the centre of the room along x, y and z, in metres."""

FURNITURE_CLEARANCE = 0.35
"""Distance in metres between the space of the camera and the furniture."""

_DENSITY = 320  # texels per metre: about a pixel of a 640-pixel camera at 1.5 m
_CELL = (2.0, 1.5)  # size in metres of a photograph on a wall
_BOXES, _SUSPENDED = 14, 8
_TRIES = 200  # random positions that are tried for a piece of furniture
_UP = np.array([0.0, 0.0, 1.0])

TextureMaker = Callable[[float, float], np.ndarray]
"""Function that returns a texture for a rectangle of width and height in metres."""


class PhotographTextures:
    """
    Source of textures that are random parts of photographs.

    `photographs` are uint8, all (H, W) or all (H, W, 3). Each is used once before any is used
    again. Raises ValueError if there is none.
    """

    def __init__(self, photographs: Sequence[np.ndarray], rng: np.random.Generator):
        self._photographs = list(photographs)
        if not self._photographs:
            raise ValueError('a room needs at least one photograph')
        self._rng = rng
        self._left: list[int] = []

    def single(self, width: float, height: float) -> np.ndarray:
        """Return a part of one photograph for a rectangle of width and height in metres."""
        return self._part(_pixels(width), _pixels(height))

    def collage(self, width: float, height: float) -> np.ndarray:
        """Return a grid of parts of photographs for a wall of width and height in metres."""
        size = _pixels(width), _pixels(height)
        columns, rows = (
            _cuts(pixels, max(round(length / cell), 1))
            for pixels, length, cell in zip(size, (width, height), _CELL, strict=True)
        )
        return np.concatenate(
            [np.concatenate([self._part(w, h) for w in columns], axis=1) for h in rows]
        )

    def _part(self, width: int, height: int) -> np.ndarray:
        """Return a part of the next photograph, perhaps mirrored, resized to width x height."""
        if not self._left:
            self._left = self._rng.permutation(len(self._photographs)).tolist()
        photograph = self._photographs[self._left.pop()]
        rows, columns = photograph.shape[:2]
        scale = min(columns / width, rows / height) * self._rng.uniform(0.8, 1.0)
        w, h = max(1, int(width * scale)), max(1, int(height * scale))
        x, y = self._rng.integers(columns - w + 1), self._rng.integers(rows - h + 1)
        part = photograph[y : y + h, x : x + w]
        if self._rng.random() < 0.5:
            part = part[:, ::-1]
        interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
        return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=interpolation)


def furnish(photographs: Sequence[np.ndarray], rng: np.random.Generator) -> list[Panel]:
    """
    Return the panels of a furnished room.

    `photographs` are as in `PhotographTextures`; `rng` chooses their parts and all positions.
    """
    textures = PhotographTextures(photographs, rng)
    panels, places = _walls(textures.collage), _FreePlaces(rng)
    for _ in range(_BOXES):
        length, width = rng.uniform(0.3, 0.8, 2)
        centre = places.find(np.hypot(length, width) / 2)
        size = (length, width, rng.uniform(0.4, 2.2))
        panels += _box(textures.single, centre, rng.uniform(0, np.pi), *size)
    for _ in range(_SUSPENDED):
        width, height = rng.uniform((0.6, 0.5), (1.1, 1.0))
        centre = np.append(places.find(width / 2), rng.uniform(0.8, 2.4))
        panels += _suspended(textures.single, centre, rng.uniform(0, np.pi), width, height)
    return [_shaded(panel) for panel in panels]


class _FreePlaces:
    """Free places on the floor, outside the space of the camera."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._taken: list[np.ndarray] = []

    def find(self, radius: float) -> np.ndarray:
        """Return a centre (x, y) for a piece of furniture with this radius in metres."""
        half = np.array(ROOM_SIZE[:2]) / 2 - radius
        tries = self._rng.uniform(-half, half, (_TRIES, 2))
        flight = np.linalg.norm(np.maximum(np.abs(tries) - FREE_SPACE[:2], 0), axis=1)
        tries = tries[flight >= radius + FURNITURE_CLEARANCE]
        if self._taken:
            gaps = np.linalg.norm(tries[:, None] - np.array(self._taken), axis=2).min(axis=1)
            roomy = np.flatnonzero(gaps > 0.6)
            best = roomy[0] if len(roomy) else gaps.argmax()
        else:
            best = 0
        self._taken.append(tries[best])
        return tries[best]


def _walls(make_texture: TextureMaker) -> list[Panel]:
    """Return the six sides of the room, facing inwards."""
    x, y, z = ROOM_SIZE[0] / 2, ROOM_SIZE[1] / 2, ROOM_SIZE[2]
    down = np.array([0, 0, -z])
    sides = [
        ((-x, y, z), (2 * x, 0, 0), down),
        ((x, y, z), (0, -2 * y, 0), down),
        ((x, -y, z), (-2 * x, 0, 0), down),
        ((-x, -y, z), (0, 2 * y, 0), down),
        ((-x, y, 0), (2 * x, 0, 0), (0, -2 * y, 0)),  # the floor, seen from above
        ((-x, -y, z), (2 * x, 0, 0), (0, 2 * y, 0)),  # the ceiling, seen from below
    ]
    return [_rectangle(*side, make_texture) for side in sides]


def _box(
    make_texture: TextureMaker,
    centre: np.ndarray,
    yaw: float,
    length: float,
    width: float,
    height: float,
) -> list[Panel]:
    """Return the four sides and the top of a box on the floor with the centre (x, y)."""
    x, y = _axes(yaw)
    centre = np.array([*centre, height])
    down = -height * _UP
    panels = []
    for along, out, long, deep in (
        (x, -y, length, width),
        (y, x, width, length),
        (-x, y, length, width),
        (-y, -x, width, length),
    ):
        corner = centre + out * deep / 2 - along * long / 2
        panels.append(_rectangle(corner, along * long, down, make_texture))
    corner = centre - x * length / 2 + y * width / 2
    panels.append(_rectangle(corner, x * length, -y * width, make_texture))
    return panels


def _suspended(
    make_texture: TextureMaker, centre: np.ndarray, yaw: float, width: float, height: float
) -> list[Panel]:
    """Return the two sides of an upright panel with the centre (x, y, z)."""
    along, _ = _axes(yaw)
    down = -height * _UP
    top = centre + height / 2 * _UP
    return [
        _rectangle(top - sign * along * width / 2, sign * along * width, down, make_texture)
        for sign in (1, -1)
    ]


def _rectangle(corner, right, down, make_texture: TextureMaker) -> Panel:
    """Return a panel with a texture of its size."""
    corner, right, down = (np.array(vector, float) for vector in (corner, right, down))
    texture = make_texture(float(np.linalg.norm(right)), float(np.linalg.norm(down)))
    return Panel(corner, right, down, texture)


def _shaded(panel: Panel) -> Panel:
    """Return the panel with the brightness of its orientation to the light."""
    light = np.array([0.3, 0.2, 0.93])
    brightness = 0.85 + 0.15 * float(panel.normal @ light)
    texture = cv2.convertScaleAbs(panel.texture, alpha=brightness)
    return Panel(panel.corner, panel.right, panel.down, texture)


def _axes(yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y axes after a rotation by `yaw` about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([c, s, 0.0]), np.array([-s, c, 0.0])


def _pixels(length: float) -> int:
    """Return a length in metres as texels, a multiple of `MULTIPLE`."""
    return max(round(length * _DENSITY / MULTIPLE), 1) * MULTIPLE


def _cuts(pixels: int, count: int) -> np.ndarray:
    """Return `count` nearly equal integers with the sum `pixels`."""
    return np.diff(np.round(np.linspace(0, pixels, count + 1)).astype(int))
