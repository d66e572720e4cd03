# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Shapes that consist of lines: crossing and branching lines, and stars."""

from __future__ import annotations

from math import cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas
from superpoint_ros.data.synthetic_shapes.shape_geometry import (
    angle_between,
    crossing,
    distance_to_segment,
    Point,
    subtract,
)

_CONTRAST = 60  # blur takes about half of the contrast of a thin line
_MIN_ANGLE = 25.0  # in degrees; two lines at a smaller angle look like one line


class _Line(NamedTuple):
    start: Point
    end: Point


def draw_lines(canvas: Canvas) -> np.ndarray:
    """Draw some lines; return their ends and junctions (N, 2)."""
    rng = canvas.rng
    lines: list[_Line] = []
    points: list[Point] = []
    for _ in range(rng.integers(2, 10)):
        line, parent = _propose_line(canvas, lines)
        junctions = _junctions(line, parent, lines, points, _gap(canvas))
        if junctions is None:
            continue
        canvas.line(line.start, line.end, _width(canvas), canvas.colour(contrast=_CONTRAST))
        ends = [line.end] if parent is not None and line.start in points else list(line)
        lines.append(line)
        points += [*ends, *junctions]
    return np.array(points).reshape(-1, 2)


def draw_star(canvas: Canvas) -> np.ndarray:
    """Draw lines that start from one point; return that point and their ends (N, 2)."""
    rng = canvas.rng
    count = int(rng.integers(3, 7))
    centre = (
        rng.uniform(0.2, 0.8) * (canvas.width - 1),
        rng.uniform(0.2, 0.8) * (canvas.height - 1),
    )
    first = rng.uniform(0, 2 * pi)
    free = 2 * pi / count - _MIN_ANGLE * pi / 180
    points = [centre]
    width, colour = _width(canvas), canvas.colour(contrast=_CONTRAST)
    one_colour = rng.random() < 0.5
    for branch, jitter in enumerate(rng.uniform(-0.5, 0.5, count)):
        angle = first + branch * 2 * pi / count + jitter * free
        length = canvas.side * rng.uniform(0.2, 0.6)
        end = (centre[0] + length * cos(angle), centre[1] + length * sin(angle))
        if not one_colour:
            colour = canvas.colour(contrast=_CONTRAST)
        canvas.line(centre, end, width, colour)
        points.append(end)
    return np.array(points)


def _gap(canvas: Canvas) -> float:
    """Return the smallest distance of a point to other points and to lines of other points."""
    return max(6.0, 0.06 * canvas.side)


def _width(canvas: Canvas) -> float:
    """Return a random width of a line."""
    return canvas.rng.uniform(1.2, max(2.0, 0.025 * canvas.side))


def _propose_line(canvas: Canvas, lines: list[_Line]) -> tuple[_Line, _Line | None]:
    """Return a random line, and the line from which it branches off, or None."""
    rng = canvas.rng
    size = np.array([canvas.width - 1, canvas.height - 1])
    start, end = (tuple(p) for p in (rng.uniform(-0.05, 1.05, (2, 2)) * size).tolist())
    if not lines or rng.random() < 0.6:
        return _Line(start, end), None
    parent = lines[rng.integers(len(lines))]
    if rng.random() < 0.5:
        return _Line(parent.end, end), parent
    t = rng.uniform(0.25, 0.75)
    along = subtract(parent.end, parent.start)
    return _Line((parent.start[0] + t * along[0], parent.start[1] + t * along[1]), end), parent


def _junctions(
    line: _Line, parent: _Line | None, lines: list[_Line], points: list[Point], gap: float
) -> list[Point] | None:
    """Return the crossings with other lines; None if points could not be distinguished."""
    direction = subtract(line.end, line.start)
    if hypot(*direction) < 3 * gap:
        return None
    junctions = []
    for other in lines:
        if not _MIN_ANGLE <= angle_between(direction, subtract(other.end, other.start)) <= (
            180 - _MIN_ANGLE
        ) and (other is parent or crossing(*line, *other)):
            return None
        if distance_to_segment(line.end, *other) < gap:
            return None
        if other is parent:
            continue
        if distance_to_segment(line.start, *other) < gap:
            return None
        place = crossing(*line, *other)
        if place is not None:
            junctions.append(place)
    others = [p for p in points if p != line.start]
    if any(distance_to_segment(p, *line) < gap for p in others):
        return None
    new = [line.start, *junctions]
    if any(hypot(*subtract(a, b)) < gap for i, a in enumerate(new) for b in new[:i]):
        return None
    return junctions
