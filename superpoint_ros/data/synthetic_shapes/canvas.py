# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Supersampled canvas on which synthetic shapes are drawn."""

from __future__ import annotations

from collections.abc import Sequence
import itertools

import cv2
import numpy as np

from superpoint_ros.geometry.homography import is_inside

SUPERSAMPLING = 3
"""Side of a pixel of the image in pixels of the drawing."""

CONTRAST = 30
"""Smallest difference in gray levels between regions with a common edge."""

_FRACTION_BITS = 8  # OpenCV draws at fixed-point coordinates


class Canvas:
    """
    Canvas of `SUPERSAMPLING` times the resolution of the image, over a random background.

    Coordinates and lengths are in pixels of the image; the centre of its top-left pixel is (0, 0).
    The background has blurred random spots with gray levels within `background`, (low, high).
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        self.rng = rng
        self.width, self.height = size
        self.side = min(size)
        amplitude = rng.uniform(5, 60)
        low = rng.uniform(0, 255 - amplitude)
        self.background = (low, low + amplitude)
        self._image = self._spots(low, amplitude)

    def _spots(self, low: float, amplitude: float) -> np.ndarray:
        """Return a smooth random image at the resolution of the drawing."""
        rows, columns = self.rng.integers(3, 12, 2)
        coarse = self.rng.random((rows, columns), dtype=np.float32)
        small = cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        cv2.normalize(small, small, low, low + amplitude, cv2.NORM_MINMAX)
        large = (self.width * SUPERSAMPLING, self.height * SUPERSAMPLING)
        return cv2.resize(small.astype(np.uint8), large, interpolation=cv2.INTER_LINEAR)

    def colour(self, others: Sequence[float] = (), contrast: float = CONTRAST) -> int:
        """
        Return a random gray level that differs from the background and `others` by `contrast`.

        If there is none, return the level that differs most.
        """
        levels = np.arange(256.0)
        low, high = self.background
        distance = np.maximum(low - levels, levels - high)
        for other in others:
            np.minimum(distance, np.abs(levels - other), out=distance)
        far = np.flatnonzero(distance >= contrast)
        return int(far[self.rng.integers(len(far))]) if len(far) else int(distance.argmax())

    def colours(self, count: int) -> list[int]:
        """Return two or more gray levels that differ from the background and from each other."""
        best: list[int] = []
        widest = -1
        for _ in range(20):
            levels: list[int] = []
            for _ in range(count):
                levels.append(self.colour(levels))
            narrowest = min(b - a for a, b in itertools.pairwise(sorted(levels)))
            if narrowest > widest:
                best, widest = levels, narrowest
            if widest >= CONTRAST:
                break
        return best

    def fill_polygon(self, corners: np.ndarray, colour: int) -> None:
        """Fill the polygon with corners (N, 2)."""
        corners = [self._fixed(corners)]
        cv2.fillPoly(self._image, corners, colour, cv2.LINE_AA, _FRACTION_BITS)

    def line(self, start: Sequence[float], end: Sequence[float], width: float, colour: int):
        """Draw a line of this width with round ends."""
        ends = self._fixed(np.array([start, end]))
        thickness = max(1, round(width * SUPERSAMPLING))
        start, end = map(tuple, ends.tolist())
        cv2.line(self._image, start, end, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)

    def fill_ellipse(
        self, centre: Sequence[float], radii: Sequence[float], angle: float, colour: int
    ) -> None:
        """Fill an ellipse that is rotated by `angle` in degrees."""
        centre = tuple(self._fixed(np.array(centre)).tolist())
        radii = tuple(round(r * SUPERSAMPLING * (1 << _FRACTION_BITS)) for r in radii)
        cv2.ellipse(
            self._image, centre, radii, angle, 0, 360, colour, -1, cv2.LINE_AA, _FRACTION_BITS
        )

    def cover(self, image: np.ndarray) -> None:
        """Replace the drawing by an enlarged image."""
        height, width = self._image.shape
        self._image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)

    def finish(self) -> np.ndarray:
        """Return the drawing as an image, uint8 (H, W), slightly blurred as by a lens."""
        image = cv2.resize(self._image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(image, (0, 0), self.rng.uniform(0.35, 0.9))

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        """
        Return points as OpenCV's fixed-point coordinates in the drawing.

        The first pixel of the image covers the first three of the drawing, with centres 0, 1, 2.
        """
        large = (np.asarray(points) + 0.5) * SUPERSAMPLING - 0.5
        return np.rint(large * (1 << _FRACTION_BITS)).astype(np.int32)


def points_inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the points (N, 2) that lie between the centres of the outermost pixels."""
    points = np.asarray(points, dtype=np.float32).reshape(-1, 2)
    return points[is_inside(points, size)]
