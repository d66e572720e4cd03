# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Filled polygons: one alone, or several that can hide parts of each other."""

from __future__ import annotations

from math import cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas, CONTRAST
from superpoint_ros.data.synthetic_shapes.shape_geometry import (
    angle_between,
    contains,
    crossing,
    distance_to_segment,
    edges,
    has_clear_corners,
    Point,
    subtract,
)

_ATTEMPTS = 8


class _Polygon(NamedTuple):
    corners: list[Point]
    colour: int


def draw_polygon(canvas: Canvas) -> np.ndarray:
    """Draw one polygon; return its corners (N, 2)."""
    corners = random_polygon(canvas, canvas.side * canvas.rng.uniform(0.25, 0.7), 0.2)
    canvas.fill_polygon(np.array(corners), canvas.colour())
    return np.array(corners)


def draw_multiple_polygons(canvas: Canvas) -> np.ndarray:
    """
    Draw several polygons, later ones over earlier ones.

    Returns (N, 2): the corners that are not hidden, and the T-junctions where an edge vanishes
    behind another polygon.
    """
    drawn: list[_Polygon] = []
    points: list[Point] = []
    gap = max(5.0, 0.05 * canvas.side)
    for _ in range(canvas.rng.integers(4, 14)):
        corners = random_polygon(canvas, canvas.side * canvas.rng.uniform(0.12, 0.45), 0.0)
        near = [other for other in drawn if _meet(corners, other.corners, gap)]
        junctions = _junctions(corners, near, points, gap)
        if junctions is None:
            continue
        colours = [other.colour for other in near]
        colour = canvas.colour(colours)
        if any(abs(colour - other) < 0.75 * CONTRAST for other in colours):
            continue
        canvas.fill_polygon(np.array(corners), colour)
        points = [p for p in points if not contains(corners, p)] + corners + junctions
        drawn.append(_Polygon(corners, colour))
    return np.array(points)


def random_polygon(canvas: Canvas, radius: float, margin: float) -> list[Point]:
    """
    Return the corners of a random polygon, which can be seen one by one.

    Its centre keeps ``margin`` times the image's sides away from the image's border; its corners
    are at most ``radius`` away from its centre, more where they could not be told apart.
    """
    rng = canvas.rng
    shortest = max(5.0, 0.06 * canvas.side)
    x = rng.uniform(margin, 1 - margin) * (canvas.width - 1)
    y = rng.uniform(margin, 1 - margin) * (canvas.height - 1)
    count = int(rng.integers(3, 8))
    step = 2 * pi / count
    for attempt in range(_ATTEMPTS):
        wildness = 1 - attempt / _ATTEMPTS
        turns = np.arange(count) + wildness * rng.uniform(-0.4, 0.4, count)
        angles = rng.uniform(0, 2 * pi) + step * turns
        radii = radius * (1 - wildness * rng.uniform(0, 0.6, count))
        offsets = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        corners = [(x + a, y + b) for a, b in offsets.tolist()]
        if has_clear_corners(corners, shortest):
            return corners
    radius = max(radius, 0.6 * shortest / sin(pi / count))
    first = rng.uniform(0, 2 * pi)
    angles = [first + step * i for i in range(count)]
    return [(x + radius * cos(a), y + radius * sin(a)) for a in angles]


def _meet(a: list[Point], b: list[Point], gap: float) -> bool:
    """Return whether the bounding boxes of two sets of points come nearer than ``gap``."""
    return all(
        min(p[axis] for p in a) <= max(p[axis] for p in b) + gap
        and min(p[axis] for p in b) <= max(p[axis] for p in a) + gap
        for axis in (0, 1)
    )


def _junctions(
    corners: list[Point], near: list[_Polygon], points: list[Point], gap: float
) -> list[Point] | None:
    """
    Return where the polygon's edges cross visible edges of those that were drawn before it.

    ``near`` are those that it can touch, in the order in which they were drawn. None where the
    picture would be unclear: a corner beside an edge, a flat crossing, two junctions at one
    place.
    """
    own = edges(corners)
    points = [p for p in points if _meet(corners, [p], gap)]
    if any(distance_to_segment(p, *edge) < gap for p in points for edge in own):
        return None
    junctions: list[Point] = []
    for layer, other in enumerate(near):
        theirs = edges(other.corners)
        if any(distance_to_segment(p, *edge) < gap for p in corners for edge in theirs):
            return None
        for a in own:
            for b in theirs:
                place = crossing(*a, *b)
                if place is None or any(contains(p.corners, place) for p in near[layer + 1 :]):
                    continue
                if not 20 <= angle_between(subtract(*a), subtract(*b)) <= 160:
                    return None
                junctions.append(place)
    for i, a in enumerate(junctions):
        if any(hypot(*subtract(a, b)) < gap for b in junctions[:i]):
            return None
    return junctions
