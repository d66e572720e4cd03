# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The surface on which synthetic shapes are drawn: larger than the image that leaves it."""

from __future__ import annotations

from collections.abc import Sequence
import itertools

import cv2
import numpy as np

SUPERSAMPLING = 3
"""Side in drawn pixels of one pixel of the image."""

CONTRAST = 30
"""Least difference in gray levels between regions that share an edge."""

_FRACTION_BITS = 8  # OpenCV draws at fixed-point coordinates


class Canvas:
    """
    Draw in the coordinates of the image to be made, at three times its resolution.

    All coordinates and lengths are in pixels of the image, the centre of its top-left pixel
    being (0, 0). The background is made of random blobs, blurred; its gray levels lie within
    ``background``, a pair (low, high).
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        self.rng = rng
        self.width, self.height = size
        self.side = min(size)
        amplitude = rng.uniform(5, 60)
        low = rng.uniform(0, 255 - amplitude)
        self.background = (low, low + amplitude)
        self._image = self._blobs(low, amplitude)

    def _blobs(self, low: float, amplitude: float) -> np.ndarray:
        """Return a smooth random image at the drawing's resolution."""
        rows, columns = self.rng.integers(3, 12, 2)
        coarse = self.rng.random((rows, columns), dtype=np.float32)
        small = cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        cv2.normalize(small, small, low, low + amplitude, cv2.NORM_MINMAX)
        large = (self.width * SUPERSAMPLING, self.height * SUPERSAMPLING)
        return cv2.resize(small.astype(np.uint8), large, interpolation=cv2.INTER_LINEAR)

    def colour(self, others: Sequence[float] = (), contrast: float = CONTRAST) -> int:
        """
        Return a random gray level that stands out from the background and from ``others``.

        Where no level differs from all of them by ``contrast``, it is the one that differs most.
        """
        levels = np.arange(256.0)
        low, high = self.background
        distance = np.maximum(low - levels, levels - high)
        for other in others:
            np.minimum(distance, np.abs(levels - other), out=distance)
        far = np.flatnonzero(distance >= contrast)
        return int(far[self.rng.integers(len(far))]) if len(far) else int(distance.argmax())

    def colours(self, count: int) -> list[int]:
        """Return random gray levels, each of which stands out from the others as well."""
        best: list[int] = []
        widest = -1
        for _ in range(20):
            levels: list[int] = []
            for _ in range(count):
                levels.append(self.colour(levels))
            ordered = sorted(levels)
            narrowest = min((b - a for a, b in itertools.pairwise(ordered)), default=CONTRAST)
            if narrowest > widest:
                best, widest = levels, narrowest
            if widest >= CONTRAST:
                break
        return best

    def fill_polygon(self, corners: np.ndarray, colour: int) -> None:
        """Fill the polygon of the corners (N, 2)."""
        corners = [self._fixed(corners)]
        cv2.fillPoly(self._image, corners, colour, cv2.LINE_AA, _FRACTION_BITS)

    def line(self, start: Sequence[float], end: Sequence[float], width: float, colour: int):
        """Draw a line of ``width`` whose ends are round."""
        ends = self._fixed(np.array([start, end]))
        thickness = max(1, round(width * SUPERSAMPLING))
        start, end = map(tuple, ends.tolist())
        cv2.line(self._image, start, end, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)

    def fill_ellipse(
        self, centre: Sequence[float], radii: Sequence[float], angle: float, colour: int
    ) -> None:
        """Fill the ellipse, turned by ``angle`` in degrees."""
        centre = tuple(self._fixed(np.array(centre)).tolist())
        radii = tuple(round(r * SUPERSAMPLING * (1 << _FRACTION_BITS)) for r in radii)
        cv2.ellipse(
            self._image, centre, radii, angle, 0, 360, colour, -1, cv2.LINE_AA, _FRACTION_BITS
        )

    def cover(self, image: np.ndarray) -> None:
        """Replace the drawing by an image of any size, enlarged."""
        height, width = self._image.shape
        self._image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)

    def finish(self) -> np.ndarray:
        """Return the drawing as an image (H, W) of uint8, slightly blurred as by a lens."""
        image = cv2.resize(self._image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(image, (0, 0), self.rng.uniform(0.35, 0.9))

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Return those of the points (N, 2) that lie in the image, as float32."""
        return points_inside(points, (self.width, self.height))

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        """
        Return the points as OpenCV's fixed-point coordinates in the drawing.

        The image's first pixel covers the drawing's first three, whose centres are 0, 1 and 2.
        """
        large = (np.asarray(points) + 0.5) * SUPERSAMPLING - 0.5
        return np.rint(large * (1 << _FRACTION_BITS)).astype(np.int32)


def points_inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return those of the points (N, 2) that lie between the outermost pixels' centres."""
    points = np.asarray(points, dtype=np.float32).reshape(-1, 2)
    last = np.array([size[0] - 1, size[1] - 1], dtype=np.float32)
    return points[((points >= 0) & (points <= last)).all(axis=1)]
