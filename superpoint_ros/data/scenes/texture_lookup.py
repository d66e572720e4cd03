# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Gray levels of textures at texture coordinates, filtered by distance.

Each texture has a pyramid of halved sizes (mipmaps). A lookup interpolates linearly within and
between the two levels whose texels are about as large as the pixel's footprint on the surface
(trilinear filtering).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

SMALLEST_LEVEL = 2
"""Pixels of the shorter side at which a pyramid ends."""


class TexturePyramids:
    """All textures of a scene with their mipmaps; textures are uint8 (H, W) and repeat."""

    def __init__(self, textures: Sequence[np.ndarray]):
        texels, levels, first, start = [], [], [0], 0
        for texture in textures:
            level = np.ascontiguousarray(texture)
            while True:
                texels.append(level.ravel())
                levels.append((start, level.shape[1], level.shape[0]))
                start += level.size
                if min(level.shape) <= SMALLEST_LEVEL:
                    break
                size = (max(level.shape[1] // 2, 1), max(level.shape[0] // 2, 1))
                level = cv2.resize(level, size, interpolation=cv2.INTER_AREA)
            first.append(len(levels))
        self._texels = np.concatenate(texels) if texels else np.zeros(1, np.uint8)
        # Start in the texels, width and height of each level.
        self._levels = np.array(levels or [(0, 1, 1)], np.int64)
        self._first = np.array(first, np.int64)
        self.sizes = np.array([t.shape[::-1] for t in textures] or [(1, 1)], np.float64)

    def look_up(self, texture: np.ndarray, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """
        Return gray levels float32 (N,), 0 to 255; 255 where the texture index is negative.

        `texture` is int (N,), `uv` float (N, 2) with v up from the bottom row; `footprint` (N,) is
        the width of a pixel in texels of the full size.
        """
        result = np.full(len(texture), 255, np.float32)
        chosen = np.flatnonzero(texture >= 0)
        if not len(chosen):
            return result
        index, uv = texture[chosen], uv[chosen]
        last = self._first[index + 1] - self._first[index] - 1
        level = np.clip(np.log2(np.maximum(footprint[chosen], 1)), 0, last).astype(np.float32)
        lower = level.astype(np.int64)
        fine = self._bilinear(self._first[index] + lower, uv)
        coarse = self._bilinear(self._first[index] + np.minimum(lower + 1, last), uv)
        result[chosen] = fine + (level - lower) * (coarse - fine)
        return result

    def _bilinear(self, level: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """Return the gray levels float32 (N,) of a level at texture coordinates (N, 2)."""
        start, width, height = self._levels[level].T
        u, v = (uv - np.floor(uv)).astype(np.float32).T
        x = u * width.astype(np.float32) - np.float32(0.5)
        y = (1 - v) * height.astype(np.float32) - np.float32(0.5)
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fx, fy = (x - left).astype(np.float32), (y - top).astype(np.float32)
        x0, x1 = left % width, (left + 1) % width
        row0, row1 = start + top % height * width, start + (top + 1) % height * width
        texels = self._texels
        upper = (1 - fx) * texels[row0 + x0] + fx * texels[row0 + x1]
        lower = (1 - fx) * texels[row1 + x0] + fx * texels[row1 + x1]
        return (1 - fy) * upper + fy * lower
