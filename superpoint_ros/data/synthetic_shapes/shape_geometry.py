# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Plane geometry of segments and polygons in plain numbers, faster than NumPy for a few points."""

from __future__ import annotations

from collections.abc import Sequence
from math import acos, degrees, hypot

import cv2
import numpy as np

Point = Sequence[float]


def angle_between(a: Point, b: Point) -> float:
    """Return the angle between two vectors in degrees, 0 to 180."""
    cosine = (a[0] * b[0] + a[1] * b[1]) / (hypot(*a) * hypot(*b))
    return degrees(acos(min(1.0, max(-1.0, cosine))))


def subtract(a: Point, b: Point) -> tuple[float, float]:
    """Return the vector from `b` to `a`."""
    return a[0] - b[0], a[1] - b[1]


def distance_to_segment(point: Point, start: Point, end: Point) -> float:
    """Return the distance of a point from a segment."""
    along, away = subtract(end, start), subtract(point, start)
    length = along[0] ** 2 + along[1] ** 2
    t = (along[0] * away[0] + along[1] * away[1]) / length if length else 0.0
    t = min(1.0, max(0.0, t))
    return hypot(away[0] - t * along[0], away[1] - t * along[1])


def crossing(a: Point, b: Point, c: Point, d: Point) -> tuple[float, float] | None:
    """Return the crossing of the segments a-b and c-d, None if they do not cross."""
    r, s, q = subtract(b, a), subtract(d, c), subtract(c, a)
    determinant = r[0] * s[1] - r[1] * s[0]
    if abs(determinant) < 1e-9:
        return None
    t = (q[0] * s[1] - q[1] * s[0]) / determinant
    u = (q[0] * r[1] - q[1] * r[0]) / determinant
    if not (0 <= t <= 1 and 0 <= u <= 1):
        return None
    return a[0] + t * r[0], a[1] + t * r[1]


def edges(polygon: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Return the edges of a polygon as pairs of corners, in order."""
    return [(polygon[i - 1], polygon[i]) for i in range(len(polygon))]


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Return whether the point lies inside the polygon or on its edge."""
    contour = np.asarray(polygon, dtype=np.float32)
    return cv2.pointPolygonTest(contour, (float(point[0]), float(point[1])), False) >= 0


def has_clear_corners(polygon: Sequence[Point], shortest_side: float, bend: float = 35.0) -> bool:
    """
    Return whether every corner of a polygon can be seen as one corner.

    No side is shorter than `shortest_side`, every corner bends by at least `bend` degrees (it
    would look straight otherwise) and has an angle of at least 20 degrees, and no corner
    is closer than `shortest_side` to an edge of other corners.
    """
    count = len(polygon)
    for i in range(count):
        before, here, after = polygon[i - 2], polygon[i - 1], polygon[i]
        to_before, to_after = subtract(before, here), subtract(after, here)
        if hypot(*to_after) < shortest_side:
            return False
        if not 20 <= angle_between(to_before, to_after) <= 180 - bend:
            return False
        for j in range(1, count - 1):
            start, end = polygon[(i + j - 1) % count], polygon[(i + j) % count]
            if distance_to_segment(here, start, end) < shortest_side:
                return False
    return True
