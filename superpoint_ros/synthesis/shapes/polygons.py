"""Filled polygons: one alone, or several that can hide parts of each other."""

from __future__ import annotations

from math import cos, hypot, pi, sin

import numpy as np

from superpoint_ros.synthesis.shapes.canvas import Canvas, CONTRAST
from superpoint_ros.synthesis.shapes.geometry import (
    angle_between,
    contains,
    crossing,
    distance_to_segment,
    edges,
    has_clear_corners,
    Point,
    subtract,
)


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
    drawn: list[list[Point]] = []
    colours: list[int] = []
    points: list[Point] = []
    gap = max(5.0, 0.05 * canvas.side)
    for _ in range(canvas.rng.integers(3, 10)):
        corners = random_polygon(canvas, canvas.side * canvas.rng.uniform(0.12, 0.45), 0.0)
        junctions = _junctions(corners, drawn, points, gap)
        colour = canvas.colour(colours)
        if junctions is None or any(abs(colour - c) < CONTRAST / 2 for c in colours):
            continue
        canvas.fill_polygon(np.array(corners), colour)
        points = [p for p in points if not contains(corners, p)] + corners + junctions
        drawn.append(corners)
        colours.append(colour)
    return np.array(points)


def random_polygon(canvas: Canvas, radius: float, margin: float) -> list[Point]:
    """
    Return the corners of a random polygon, which can be seen one by one.

    Its centre keeps ``margin`` times the image's sides away from the image's border; its corners
    are at most ``radius`` away from its centre.
    """
    rng = canvas.rng
    shortest = max(5.0, 0.06 * canvas.side)
    x = rng.uniform(margin, 1 - margin) * (canvas.width - 1)
    y = rng.uniform(margin, 1 - margin) * (canvas.height - 1)
    for _ in range(12):
        count = int(rng.integers(3, 8))
        step = 2 * pi / count
        angles = rng.uniform(0, 2 * pi) + step * (np.arange(count) + rng.uniform(-0.4, 0.4, count))
        radii = radius * rng.uniform(0.4, 1.0, count)
        offsets = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        corners = [(x + a, y + b) for a, b in offsets.tolist()]
        if has_clear_corners(corners, shortest):
            return corners
    radius = max(radius, 1.2 * shortest)
    first = rng.uniform(0, 2 * pi)
    thirds = [first + 2 * pi / 3 * i for i in range(3)]
    return [(x + radius * cos(a), y + radius * sin(a)) for a in thirds]


def _junctions(
    corners: list[Point], drawn: list[list[Point]], points: list[Point], gap: float
) -> list[Point] | None:
    """
    Return where the polygon's edges cross visible edges of those that were drawn before it.

    None where the picture would be unclear: a corner beside an edge, a flat crossing, two
    junctions at one place.
    """
    own = edges(corners)
    if any(distance_to_segment(p, *edge) < gap for p in points for edge in own):
        return None
    junctions: list[Point] = []
    for layer, polygon in enumerate(drawn):
        theirs = edges(polygon)
        if any(distance_to_segment(p, *edge) < gap for p in corners for edge in theirs):
            return None
        for a in own:
            for b in theirs:
                place = crossing(*a, *b)
                if place is None or any(contains(over, place) for over in drawn[layer + 1 :]):
                    continue
                if not 20 <= angle_between(subtract(*a), subtract(*b)) <= 160:
                    return None
                junctions.append(place)
    for i, a in enumerate(junctions):
        if any(hypot(*subtract(a, b)) < gap for b in junctions[:i]):
            return None
    return junctions
