# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A cuboid in perspective."""

from __future__ import annotations

import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas
from superpoint_ros.data.synthetic_shapes.shape_geometry import has_clear_corners

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
# Each face: its corners in order, its axis, the side of the axis.
_FACES = (
    ((0, 1, 3, 2), 0, -1),
    ((4, 5, 7, 6), 0, 1),
    ((0, 1, 5, 4), 1, -1),
    ((2, 3, 7, 6), 1, 1),
    ((0, 2, 6, 4), 2, -1),
    ((1, 3, 7, 5), 2, 1),
)
_ATTEMPTS = 30


def draw_cube(canvas: Canvas) -> np.ndarray:
    """Draw a cuboid of which three faces are seen; return its visible corners (7, 2)."""
    rng = canvas.rng
    shortest = max(5.0, 0.07 * canvas.side)
    centre = np.array([canvas.width - 1, canvas.height - 1]) * rng.uniform(0.3, 0.7, 2)
    extent = canvas.side * rng.uniform(0.25, 0.5)
    corners, faces = _random_cuboid(rng)
    for _ in range(_ATTEMPTS):
        outlines = [(corners[[*face]] * extent).tolist() for face in faces]
        if len(faces) == 3 and all(has_clear_corners(o, shortest, bend=30) for o in outlines):
            break
        corners, faces = _random_cuboid(rng)
    else:
        corners, faces = _cuboid(np.ones(3), np.deg2rad([45, 35, rng.uniform(0, 360)]), 6.0)
        extent = max(extent, 3 * shortest)
    corners = centre + corners * extent
    for face, colour in zip(faces, canvas.colours(len(faces)), strict=True):
        canvas.fill_polygon(corners[[*face]], colour)
    return corners[sorted({corner for face in faces for corner in face})]


def _random_cuboid(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Return the cuboid of random sides, turned at random, seen from a random distance."""
    angles = np.deg2rad([rng.uniform(20, 70), rng.uniform(20, 65), rng.uniform(0, 360)])
    return _cuboid(rng.uniform(0.4, 1.0, 3), angles, rng.uniform(3.5, 9.0))


def _cuboid(
    sides: np.ndarray, angles: np.ndarray, distance: float
) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """
    Return the cuboid's eight corners as seen (8, 2), and the visible faces as their indices.

    It stands in the origin, turned by the angles about y, x and z in radians, and is seen from
    ``distance`` along z; what lies in the origin's plane is seen in its size.
    """
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
