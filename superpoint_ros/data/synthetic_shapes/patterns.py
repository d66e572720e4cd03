# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Patterns: checkerboards and stripes in perspective, ellipses and noise without corners."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas

_NO_POINTS = np.zeros((0, 2), np.float32)


def draw_checkerboard(canvas: Canvas) -> np.ndarray:
    """Draw a checkerboard; return the corners of all its squares (N, 2)."""
    rng = canvas.rng
    rows, columns = (int(n) for n in rng.integers(3, 9, 2))
    grid = _grid_in_perspective(canvas, np.arange(columns + 1.0), np.arange(rows + 1.0))
    first = canvas.colour()
    second = canvas.colour([first])
    canvas.fill_polygon(_outline(grid), first)
    for row in range(rows):
        for column in range(row % 2, columns, 2):
            canvas.fill_polygon(_outline(grid[row : row + 2, column : column + 2]), second)
    return grid.reshape(-1, 2)


def draw_stripes(canvas: Canvas) -> np.ndarray:
    """Draw adjacent stripes; return the corners at both ends (N, 2)."""
    rng = canvas.rng
    widths = rng.uniform(0.5, 1.5, rng.integers(4, 11))
    grid = _grid_in_perspective(canvas, np.append(0, np.cumsum(widths)), np.array([0.0, 1.0]))
    colours: list[int] = []
    for stripe in range(len(widths)):
        colours.append(canvas.colour(colours[-1:]))
        canvas.fill_polygon(_outline(grid[:, stripe : stripe + 2]), colours[-1])
    return grid.reshape(-1, 2)


def draw_ellipses(canvas: Canvas) -> np.ndarray:
    """Draw ellipses that do not touch each other; return no points (0, 2)."""
    rng = canvas.rng
    smallest = max(4.0, 0.05 * canvas.side)
    circles: list[tuple[float, float, float]] = []
    for _ in range(rng.integers(3, 15)):
        x = rng.uniform(0, canvas.width - 1)
        y = rng.uniform(0, canvas.height - 1)
        a = rng.uniform(1.2, 6) * smallest
        b = a * rng.uniform(0.6, 1.0)
        if any(hypot(x - u, y - v) < a + r + smallest for u, v, r in circles):
            continue
        circles.append((x, y, a))
        canvas.fill_ellipse((x, y), (a, b), rng.uniform(0, 180), canvas.colour())
    return _NO_POINTS


def draw_gaussian_noise(canvas: Canvas) -> np.ndarray:
    """Replace the background by noise with grains of 1 to 3 pixels; return no points (0, 2)."""
    rng = canvas.rng
    grain = rng.uniform(1, 3)
    size = (max(1, round(canvas.height / grain)), max(1, round(canvas.width / grain)))
    noise = rng.standard_normal(size, dtype=np.float32)
    noise = noise * rng.uniform(10, 80) + rng.uniform(60, 195)
    canvas.cover(cv2.convertScaleAbs(np.maximum(noise, 0)))
    return _NO_POINTS


def _outline(grid: np.ndarray) -> np.ndarray:
    """Return the four outermost points (4, 2) of a grid (rows, columns, 2), in order."""
    return grid[[0, 0, -1, -1], [0, -1, -1, 0]]


def _grid_in_perspective(canvas: Canvas, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """
    Return the projected points (len(y), len(x), 2) of a grid with lines at x and y.

    The grid is a rotated and tilted plane in front of the camera, which may be larger than the
    image. Its points are far enough from each other to be distinguished.
    """
    rng = canvas.rng
    shortest = max(6.0, 0.05 * canvas.side)
    flat = np.stack(np.meshgrid(x / x[-1] - 0.5, y / y[-1] - 0.5), axis=-1)
    centre = np.array([canvas.width - 1, canvas.height - 1]) * rng.uniform(0.35, 0.65, 2)
    flat *= [rng.uniform(0.6, 1.4) * canvas.width, rng.uniform(0.6, 1.4) * canvas.height]
    for tilt in (1.0, 0.5, 0.0):
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        shear = rng.uniform(-0.4, 0.4) * tilt
        turned = flat @ np.array([[cos, sin], [shear * cos - sin, shear * sin + cos]])
        slope = rng.uniform(-0.6, 0.6, 2) * tilt / max(canvas.width, canvas.height)
        grid = turned / (1 + turned @ slope)[..., None] + centre
        sides = [np.diff(grid, axis=0), np.diff(grid, axis=1)]
        if min(np.hypot(*side.reshape(-1, 2).T).min() for side in sides) >= shortest:
            return grid
    spacing = min(
        np.diff(x).min() / x[-1] * np.ptp(flat[..., 0]),
        np.diff(y).min() / y[-1] * np.ptp(flat[..., 1]),
    )
    return turned * max(1.0, shortest / spacing) + centre
