# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Filled polygons: one, several that hide parts of each other, and the faces of a cuboid."""

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

_POLYGON_ATTEMPTS = 8
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
# Each face: its corners in order, its axis, the sign of its side.
_FACES = (
    ((0, 1, 3, 2), 0, -1),
    ((4, 5, 7, 6), 0, 1),
    ((0, 1, 5, 4), 1, -1),
    ((2, 3, 7, 6), 1, 1),
    ((0, 2, 6, 4), 2, -1),
    ((1, 3, 7, 5), 2, 1),
)


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

    Return (N, 2): visible corners, and T-junctions at which an edge is hidden by a later polygon.
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


def draw_cube(canvas: Canvas) -> np.ndarray:
    """Draw a cuboid with three visible faces; return its visible corners (7, 2)."""
    rng = canvas.rng
    shortest = max(5.0, 0.07 * canvas.side)
    centre = np.array([canvas.width - 1, canvas.height - 1]) * rng.uniform(0.3, 0.7, 2)
    extent = canvas.side * rng.uniform(0.25, 0.5)
    while True:  # in the smallest images, one of nine cuboids has clear corners
        corners, faces = _random_cuboid(rng)
        corners = corners * extent
        outlines = [corners[[*face]].tolist() for face in faces]
        if len(faces) == 3 and all(has_clear_corners(o, shortest, bend=30) for o in outlines):
            break
    corners += centre
    for face, colour in zip(faces, canvas.colours(len(faces)), strict=True):
        canvas.fill_polygon(corners[[*face]], colour)
    return corners[sorted({corner for face in faces for corner in face})]


def random_polygon(canvas: Canvas, radius: float, margin: float) -> list[Point]:
    """
    Return the corners of a random polygon, which can be distinguished.

    The distance of its centre from the border of the image is at least `margin` times the side.
    Its corners are at most `radius` from the centre, or farther if they would be too close.
    """
    rng = canvas.rng
    shortest = max(5.0, 0.06 * canvas.side)
    x = rng.uniform(margin, 1 - margin) * (canvas.width - 1)
    y = rng.uniform(margin, 1 - margin) * (canvas.height - 1)
    count = int(rng.integers(3, 8))
    step = 2 * pi / count
    for attempt in range(_POLYGON_ATTEMPTS):
        wildness = 1 - attempt / _POLYGON_ATTEMPTS
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
    """Return whether the bounding boxes of two sets of points are closer than `gap`."""
    return all(
        min(p[axis] for p in a) <= max(p[axis] for p in b) + gap
        and min(p[axis] for p in b) <= max(p[axis] for p in a) + gap
        for axis in (0, 1)
    )


def _junctions(
    corners: list[Point], near: list[_Polygon], points: list[Point], gap: float
) -> list[Point] | None:
    """
    Return the crossings of the edges of a polygon with visible edges of earlier polygons.

    `near` are the polygons that it may touch, in the order of drawing. Return None if a corner is
    close to an edge, edges cross at a small angle, or two junctions are close to each other.
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


def _random_cuboid(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """
    Return the projected corners (8, 2) of a cuboid, and the corner indices of visible faces.

    Sides, rotation and distance are random. Its centre is the origin; lengths in the plane of the
    origin are preserved.
    """
    # Rotations about y, x and z.
    angles = np.deg2rad([rng.uniform(20, 70), rng.uniform(20, 65), rng.uniform(0, 360)])
    sides, distance = rng.uniform(0.4, 1.0, 3), rng.uniform(3.5, 9.0)
    (c0, c1, c2), (s0, s1, s2) = np.cos(angles), np.sin(angles)
    about_y = np.array([[c0, 0, s0], [0, 1, 0], [-s0, 0, c0]])
    about_x = np.array([[1, 0, 0], [0, c1, -s1], [0, s1, c1]])
    about_z = np.array([[c2, -s2, 0], [s2, c2, 0], [0, 0, 1]])
    axes = about_z @ about_x @ about_y
    corners = (_CORNERS * sides) @ axes.T
    eye = np.array([0.0, 0.0, -distance])
    visible = [
        face
        for face, axis, sign in _FACES
        if sign * axes[:, axis] @ (eye - sign * sides[axis] * axes[:, axis]) > 0
    ]
    return corners[:, :2] * (distance / (distance + corners[:, 2:])), visible
