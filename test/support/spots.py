# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images of Gaussian spots, whose keypoints are known."""

from __future__ import annotations

import numpy as np


def draw_spots(points, size, heights=150.0, sigma=1.5, ground=60.0):
    """
    Return a gray image of a size (width, height), uint8, with a spot at each point (N, 2).

    `heights`, one for all spots or one each, are gray levels above the `ground`.
    """
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    image = np.full(size[::-1], ground, np.float64)
    for (u, v), height in zip(points, np.broadcast_to(heights, len(points)), strict=True):
        image += height * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2))
    return image.clip(0, 255).round().astype(np.uint8)
