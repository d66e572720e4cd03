# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
All pictures, and smaller ones of each, in one image: what texture sampling without aliasing needs.

Each level halves the one before (Williams, Pyramidal Parametrics, SIGGRAPH 1983). Two lookups in
one image serve every pixel of a frame then, whatever panel and level it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

LEVELS = 6
MULTIPLE = 2 ** (LEVELS - 1)
"""The sides of the pictures are multiples of this, so that every level has whole pixels."""

_BORDER = 2  # repeated pixels around each level, which interpolation reaches into
_WIDTH = 8192  # OpenCV's remap takes images of less than 32768 pixels to a side


class Atlas:
    """
    Hold the pictures, uint8 (H, W) or all (H, W, 3), each with `LEVELS` levels.

    Raises ValueError where a side of a picture is no multiple of `MULTIPLE`.
    """

    def __init__(self, pictures: Sequence[np.ndarray]):
        for picture in pictures:
            if picture.shape[0] % MULTIPLE or picture.shape[1] % MULTIPLE:
                raise ValueError(
                    f"a picture's sides must be multiples of {MULTIPLE}, got "
                    f'{picture.shape[1]}x{picture.shape[0]}'
                )
        pyramids = [_levels(picture) for picture in pictures]
        self._x = np.zeros((len(pictures), LEVELS), np.float32)
        self._y = np.zeros((len(pictures), LEVELS), np.float32)
        places, height = self._arrange(pyramids)
        channels = pictures[0].shape[2:]
        self.image = np.zeros((height, _WIDTH, *channels), np.uint8)
        for (index, level), (x, y) in places.items():
            tile = cv2.copyMakeBorder(
                pyramids[index][level], *(_BORDER,) * 4, borderType=cv2.BORDER_REPLICATE
            )
            self.image[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            # To pixel centres of the level: half a pixel less than to its edges.
            self._x[index, level] = x + _BORDER - 0.5
            self._y[index, level] = y + _BORDER - 0.5

    def _arrange(self, pyramids) -> tuple[dict[tuple[int, int], tuple[int, int]], int]:
        """Return where the levels go, in rows of falling height, and how high that is."""
        tiles = [
            (picture.shape[0] + 2 * _BORDER, picture.shape[1] + 2 * _BORDER, index, level)
            for index, pyramid in enumerate(pyramids)
            for level, picture in enumerate(pyramid)
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
        Return uint8 (h, w) or (h, w, 3): pictures `index` (h, w) at places u, v, both (h, w).

        The top-left corner (not the centre) of a picture's first pixel is (0, 0). `level`, (h, w)
        float32, is the logarithm to base 2 of the pixels' distance on the picture; between two
        levels the result is interpolated too.
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
        """Return the pixels of one level each, interpolated linearly."""
        shrink = cv2.LUT(level, _SHRINK)
        x = self._x.take(flat)
        y = self._y.take(flat)
        x += u * shrink
        y += v * shrink
        return cv2.remap(self.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


_SHRINK = np.exp2(-np.arange(256).clip(max=LEVELS)).astype(np.float32)[None]


def _levels(picture: np.ndarray) -> list[np.ndarray]:
    """Return the picture and what is left of it when halved again and again."""
    levels = [picture]
    for _ in range(LEVELS - 1):
        height, width = levels[-1].shape[:2]
        half = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return levels
