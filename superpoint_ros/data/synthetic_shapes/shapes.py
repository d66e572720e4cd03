# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Synthetic shapes: images of which it is known exactly where their corners are.

The categories are those of the paper (section 4). Each is drawn at three times the image's
resolution over a background of blurred blobs, reduced and slightly blurred. What is labelled
can be seen, and is a point of one of these kinds: a corner, a junction where edges or lines
meet, the end of a line.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection
and Description", CVPR workshops 2018, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas, points_inside
from superpoint_ros.data.synthetic_shapes.cube import draw_cube
from superpoint_ros.data.synthetic_shapes.patterns import draw_checkerboard, draw_stripes
from superpoint_ros.data.synthetic_shapes.polygons import draw_multiple_polygons, draw_polygon
from superpoint_ros.data.synthetic_shapes.smooth import draw_ellipses, draw_gaussian_noise
from superpoint_ros.data.synthetic_shapes.strokes import draw_lines, draw_star
from superpoint_ros.geometry.homography import warp_image, warp_points

_DRAW = {
    'lines': draw_lines,
    'polygon': draw_polygon,
    'multiple_polygons': draw_multiple_polygons,
    'ellipses': draw_ellipses,
    'star': draw_star,
    'checkerboard': draw_checkerboard,
    'stripes': draw_stripes,
    'cube': draw_cube,
    'gaussian_noise': draw_gaussian_noise,
}

SHAPES = tuple(_DRAW)
"""The names of the categories."""

SHAPES_WITHOUT_POINTS = ('ellipses', 'gaussian_noise')
"""The categories in whose images there is nothing to be found."""

DEFAULT_SIZE = (160, 120)
"""Width and height in pixels, as in the paper."""

SMALLEST_SIDE = 32
"""Shortest side in pixels in which every category can be told from the others."""


class ShapeImage(NamedTuple):
    """
    Hold a picture and the truth about it.

    ``image`` is uint8 (H, W); ``points`` is float32 (N, 2), x and y in pixels, the centre of the
    top-left pixel being (0, 0), all of them between the centres of the outermost pixels.
    """

    image: np.ndarray
    points: np.ndarray


def draw_shape(
    name: str, rng: np.random.Generator, size: tuple[int, int] = DEFAULT_SIZE
) -> ShapeImage:
    """
    Return a random picture of the category ``name``, ``size`` = (width, height) pixels large.

    The same state of ``rng`` gives the same picture. Raises ValueError where there is no such
    category (see ``SHAPES``) or the size is below 32 x 32.
    """
    if name not in _DRAW:
        raise ValueError(f"there is no shape '{name}'; there are {', '.join(SHAPES)}")
    if min(size) < SMALLEST_SIDE:
        raise ValueError(
            f'the size is {size}; shapes need at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels'
        )
    canvas = Canvas(rng, size)
    points = _DRAW[name](canvas)
    return ShapeImage(canvas.finish(), points_inside(points, size))


def random_shape(
    rng: np.random.Generator,
    size: tuple[int, int] = DEFAULT_SIZE,
    names: Sequence[str] = SHAPES,
) -> ShapeImage:
    """Return a random picture of one of the categories ``names``, each as likely."""
    if not names:
        raise ValueError(f'names is empty; it may hold {", ".join(SHAPES)}')
    return draw_shape(names[rng.integers(len(names))], rng, size)


def warp_shape(shape: ShapeImage, homography: np.ndarray) -> ShapeImage:
    """
    Return the picture as the homography (3, 3) shows it, with those points that stay inside.

    Where the target shows nothing of the source, it shows the source's mirror image, whose
    corners are labelled too. Only where an edge meets its own mirror image is there a corner
    without a label; homographies without artefacts (``HomographyRanges``) leave none.
    """
    image, points = shape
    height, width = image.shape
    warped = warp_image(image, homography, border=cv2.BORDER_REFLECT_101)
    mirrored = [points]
    for axis, last in ((0, width - 1), (1, height - 1)):
        stay = np.concatenate(mirrored)
        for position in (0, last):
            # What lies on the mirror's plane is its own image.
            other = stay[np.abs(stay[:, axis] - position) > 0.5]
            other[:, axis] = 2 * position - other[:, axis]
            mirrored.append(other)
    moved = warp_points(np.concatenate(mirrored), homography)
    moved = moved[np.isfinite(moved).all(axis=1)]
    return ShapeImage(warped, points_inside(moved, (width, height)))
