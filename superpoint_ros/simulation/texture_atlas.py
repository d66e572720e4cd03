# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Texture atlas with mipmaps: all textures at all levels in one image.

Each level has half the size of the previous one (Williams, Pyramidal Parametrics, SIGGRAPH 1983).
Two lookups in one image give every pixel of a frame, whatever its panel and level.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

LEVELS = 6
MULTIPLE = 2 ** (LEVELS - 1)
"""Sides of textures are multiples of this, so that every level has whole pixels."""

_BORDER = 2  # repeated pixels around each level, for the interpolation
_WIDTH = 8192  # pixels; cv2.remap allows less than 32768


class TextureAtlas:
    """
    Textures, uint8, all (H, W) or all (H, W, 3), each with `LEVELS` levels.

    Raises ValueError if a side of a texture is not a multiple of `MULTIPLE`.
    """

    def __init__(self, textures: Sequence[np.ndarray]):
        for texture in textures:
            if texture.shape[0] % MULTIPLE or texture.shape[1] % MULTIPLE:
                raise ValueError(
                    f'the sides of a texture must be multiples of {MULTIPLE}, got '
                    f'{texture.shape[1]}x{texture.shape[0]}'
                )
        pyramids = [_levels(texture) for texture in textures]
        self._x = np.zeros((len(textures), LEVELS), np.float32)
        self._y = np.zeros((len(textures), LEVELS), np.float32)
        places, height = self._arrange(pyramids)
        channels = textures[0].shape[2:]
        self.image = np.zeros((height, _WIDTH, *channels), np.uint8)
        for (index, level), (x, y) in places.items():
            tile = cv2.copyMakeBorder(
                pyramids[index][level], *(_BORDER,) * 4, borderType=cv2.BORDER_REPLICATE
            )
            self.image[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            # Pixel centres of the level: half a pixel less than its edges.
            self._x[index, level] = x + _BORDER - 0.5
            self._y[index, level] = y + _BORDER - 0.5

    def _arrange(self, pyramids) -> tuple[dict[tuple[int, int], tuple[int, int]], int]:
        """Return the positions of all levels, in rows of decreasing height, and the height."""
        tiles = [
            (texture.shape[0] + 2 * _BORDER, texture.shape[1] + 2 * _BORDER, index, level)
            for index, pyramid in enumerate(pyramids)
            for level, texture in enumerate(pyramid)
        ]
        places, x, y, row = {}, 0, 0, 0
        for height, width, index, level in sorted(tiles, reverse=True):
            if x + width > _WIDTH:
                x, y, row = 0, y + row, 0
            places[index, level] = (x, y)
            x, row = x + width, max(row, height)
        return places, y + row

    def sample(
        self, index: np.ndarray, u: np.ndarray, v: np.ndarray, level: np.ndarray
    ) -> np.ndarray:
        """
        Return uint8 (h, w) or (h, w, 3): textures `index` (h, w) at u, v, both (h, w).

        (0, 0) is the top-left corner (not the centre) of the first texel. `level`, float32 (h, w),
        is the logarithm to base 2 of the distance between pixels in texels; the result is
        interpolated between two levels (trilinear filtering).
        """
        level = np.clip(level, 0, LEVELS - 1)
        lower = np.minimum(level.astype(np.uint8), LEVELS - 2)
        start = index.astype(np.intp) * LEVELS + lower
        a = self._look_up(start, u, v, lower)
        b = self._look_up(start + 1, u, v, lower + 1)
        share = np.clip(level - lower, 0, 1)
        if a.ndim == 3:
            share = share[..., None]
        mixed = a + share * (b.astype(np.float32) - a)
        return np.rint(mixed, out=mixed).astype(np.uint8)

    def _look_up(self, flat: np.ndarray, u, v, level: np.ndarray) -> np.ndarray:
        """Return linearly interpolated texels of one level for each pixel."""
        shrink = cv2.LUT(level, _SHRINK)
        x = self._x.take(flat)
        y = self._y.take(flat)
        x += u * shrink
        y += v * shrink
        return cv2.remap(self.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


_SHRINK = np.exp2(-np.arange(256).clip(max=LEVELS)).astype(np.float32)[None]


def _levels(texture: np.ndarray) -> list[np.ndarray]:
    """Return the texture and its repeatedly halved versions."""
    levels = [texture]
    for _ in range(LEVELS - 1):
        height, width = levels[-1].shape[:2]
        half = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return levels
