# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The room: walls, floor and ceiling papered with photographs, boxes on the floor, hung panels.

The world is that of REP 103: z points up, x and y lie in the floor, whose middle is the origin.
The furniture stays out of the middle, where the camera flies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from superpoint_ros.simulation.atlas import MULTIPLE
from superpoint_ros.simulation.panels import Panel

ROOM = (7.0, 6.0, 3.0)
"""Length, width and height in metres."""

FREE = (1.5, 1.1, 0.5)
"""How far from the room's middle, along x, y and z, the camera flies."""

CLEARANCE = 0.35
"""Metres between where the camera flies and the furniture."""

_DENSITY = 320  # pixels for a metre: about those of a camera of 640 pixels at 1.5 m
_CELL = (2.0, 1.5)  # metres of wall for a photograph
_BOXES, _HUNG = 14, 8
_TRIES = 200  # to find a place for a piece of furniture
_UP = np.array([0.0, 0.0, 1.0])

Paper = Callable[[float, float], np.ndarray]
"""From width and height in metres to a picture for a rectangle of that size."""


class Photographs:
    """
    Hand out parts of photographs as pictures: no two alike, though there are few photographs.

    `photographs` are uint8, all (H, W) or all (H, W, 3). Each is used once before any is used
    again. Raises ValueError where there is none.
    """

    def __init__(self, photographs: Sequence[np.ndarray], rng: np.random.Generator):
        self._photographs = list(photographs)
        if not self._photographs:
            raise ValueError('a room needs at least one photograph')
        self._rng = rng
        self._left: list[int] = []

    def picture(self, width: float, height: float) -> np.ndarray:
        """Return a picture of one photograph for a rectangle of width and height in metres."""
        return self._part(_pixels(width), _pixels(height))

    def collage(self, width: float, height: float) -> np.ndarray:
        """Return a picture of several photographs side by side for a wall of that size."""
        size = _pixels(width), _pixels(height)
        columns, rows = (
            _cuts(pixels, max(round(length / cell), 1))
            for pixels, length, cell in zip(size, (width, height), _CELL, strict=True)
        )
        return np.concatenate(
            [np.concatenate([self._part(w, h) for w in columns], axis=1) for h in rows]
        )

    def _part(self, width: int, height: int) -> np.ndarray:
        """Return a part of the next photograph, mirrored or not, of that many pixels."""
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
        way = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
        return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=way)


def furnish(photographs: Sequence[np.ndarray], rng: np.random.Generator) -> list[Panel]:
    """
    Return the panels of a furnished room.

    `photographs` are as in `Photographs`; `rng` chooses their parts, and where things stand.
    """
    papers = Photographs(photographs, rng)
    panels, places = _walls(papers.collage), _Places(rng)
    for _ in range(_BOXES):
        length, width = rng.uniform(0.3, 0.8, 2)
        middle = places.find(np.hypot(length, width) / 2)
        size = (length, width, rng.uniform(0.4, 2.2))
        panels += _box(papers.picture, middle, rng.uniform(0, np.pi), *size)
    for _ in range(_HUNG):
        width, height = rng.uniform((0.6, 0.5), (1.1, 1.0))
        middle = np.append(places.find(width / 2), rng.uniform(0.8, 2.4))
        panels += _hung(papers.picture, middle, rng.uniform(0, np.pi), width, height)
    return [_shaded(panel) for panel in panels]


class _Places:
    """Places on the floor that are still free, around where the camera flies."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._taken: list[np.ndarray] = []

    def find(self, radius: float) -> np.ndarray:
        """Return the middle (x, y) of a piece of furniture, the best of several tries."""
        half = np.array(ROOM[:2]) / 2 - radius
        tries = self._rng.uniform(-half, half, (_TRIES, 2))
        flight = np.linalg.norm(np.maximum(np.abs(tries) - FREE[:2], 0), axis=1)
        tries = tries[flight >= radius + CLEARANCE]
        if self._taken:
            gaps = np.linalg.norm(tries[:, None] - np.array(self._taken), axis=2).min(axis=1)
            roomy = np.flatnonzero(gaps > 0.6)
            best = roomy[0] if len(roomy) else gaps.argmax()
        else:
            best = 0
        self._taken.append(tries[best])
        return tries[best]


def _walls(paper: Paper) -> list[Panel]:
    """Return the room's six sides, which face inwards."""
    x, y, z = ROOM[0] / 2, ROOM[1] / 2, ROOM[2]
    down = np.array([0, 0, -z])
    sides = [
        ((-x, y, z), (2 * x, 0, 0), down),
        ((x, y, z), (0, -2 * y, 0), down),
        ((x, -y, z), (-2 * x, 0, 0), down),
        ((-x, -y, z), (0, 2 * y, 0), down),
        ((-x, y, 0), (2 * x, 0, 0), (0, -2 * y, 0)),  # the floor, seen from above
        ((-x, -y, z), (2 * x, 0, 0), (0, 2 * y, 0)),  # the ceiling, seen from below
    ]
    return [_rectangle(*side, paper) for side in sides]


def _box(
    paper: Paper, middle: np.ndarray, yaw: float, length: float, width: float, height: float
) -> list[Panel]:
    """Return the four sides and the top of a box on the floor, around `middle` (x, y)."""
    x, y = _axes(yaw)
    middle = np.array([*middle, height])
    down = -height * _UP
    panels = []
    for along, out, long, deep in (
        (x, -y, length, width),
        (y, x, width, length),
        (-x, y, length, width),
        (-y, -x, width, length),
    ):
        corner = middle + out * deep / 2 - along * long / 2
        panels.append(_rectangle(corner, along * long, down, paper))
    corner = middle - x * length / 2 + y * width / 2
    panels.append(_rectangle(corner, x * length, -y * width, paper))
    return panels


def _hung(
    paper: Paper, middle: np.ndarray, yaw: float, width: float, height: float
) -> list[Panel]:
    """Return the two sides of an upright panel around `middle` (x, y, z)."""
    along, _ = _axes(yaw)
    down = -height * _UP
    top = middle + height / 2 * _UP
    return [
        _rectangle(top - sign * along * width / 2, sign * along * width, down, paper)
        for sign in (1, -1)
    ]


def _rectangle(corner, right, down, paper: Paper) -> Panel:
    """Return a panel with a picture of its size."""
    corner, right, down = (np.array(vector, float) for vector in (corner, right, down))
    picture = paper(float(np.linalg.norm(right)), float(np.linalg.norm(down)))
    return Panel(corner, right, down, picture)


def _shaded(panel: Panel) -> Panel:
    """Return the panel as bright as light from above and one side makes it."""
    light = np.array([0.3, 0.2, 0.93])
    brightness = 0.85 + 0.15 * float(panel.normal @ light)
    picture = cv2.convertScaleAbs(panel.picture, alpha=brightness)
    return Panel(panel.corner, panel.right, panel.down, picture)


def _axes(yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y axes of what is turned by `yaw` about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([c, s, 0.0]), np.array([-s, c, 0.0])


def _pixels(length: float) -> int:
    """Return how many pixels a length in metres has, in a multiple that the atlas takes."""
    return max(round(length * _DENSITY / MULTIPLE), 1) * MULTIPLE


def _cuts(pixels: int, count: int) -> np.ndarray:
    """Return `count` whole numbers, nearly equal, whose sum is `pixels`."""
    return np.diff(np.round(np.linspace(0, pixels, count + 1)).astype(int))
