# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures in which there is no corner to be found: ellipses and noise."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas

_NO_POINTS = np.zeros((0, 2), np.float32)


def draw_ellipses(canvas: Canvas) -> np.ndarray:
    """Draw ellipses that do not touch and are nowhere sharp; return no points (0, 2)."""
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
    """Replace the background by noise, of pixels or of larger grains; return no points (0, 2)."""
    rng = canvas.rng
    grain = rng.uniform(1, 3)
    size = (max(1, round(canvas.height / grain)), max(1, round(canvas.width / grain)))
    noise = rng.standard_normal(size, dtype=np.float32)
    noise = noise * rng.uniform(10, 80) + rng.uniform(60, 195)
    canvas.cover(cv2.convertScaleAbs(np.maximum(noise, 0)))
    return _NO_POINTS
