# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Synthetic shapes: images with exactly known corners.

The categories are those of the paper. Each is drawn at three times the resolution of the image
over a background of blurred spots, reduced and slightly blurred. Labelled points are visible
corners, junctions of edges or lines, and ends of lines.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection
and Description", CVPR workshops 2018, section 4.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.synthetic_shapes.canvas import Canvas, points_inside
from superpoint_ros.data.synthetic_shapes.patterns import (
    draw_checkerboard,
    draw_ellipses,
    draw_gaussian_noise,
    draw_stripes,
)
from superpoint_ros.data.synthetic_shapes.polygons import (
    draw_cube,
    draw_multiple_polygons,
    draw_polygon,
)
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
"""Names of the categories."""

SHAPES_WITHOUT_POINTS = ('ellipses', 'gaussian_noise')
"""Categories whose images have no points."""

DEFAULT_SIZE = (160, 120)
"""Width and height in pixels, as in the paper."""

MIN_SHAPE_SIDE = 32
"""Shortest side in pixels at which all categories can be distinguished."""


class ShapeImage(NamedTuple):
    """
    Picture of a shape with its labels.

    `image` is uint8 (H, W). `points` is float32 (N, 2), x and y in pixels between the centres of
    the outermost pixels; the centre of the top-left pixel is (0, 0).
    """

    image: np.ndarray
    points: np.ndarray


def draw_shape(
    name: str, rng: np.random.Generator, size: tuple[int, int] = DEFAULT_SIZE
) -> ShapeImage:
    """
    Return a random picture of the category `name`, of `size` (width, height) in pixels.

    The same state of `rng` gives the same picture. Raises ValueError if there is no such category
    (see `SHAPES`) or a side is below `MIN_SHAPE_SIDE`.
    """
    if name not in _DRAW:
        raise ValueError(f"there is no shape '{name}'; there are {', '.join(SHAPES)}")
    if min(size) < MIN_SHAPE_SIDE:
        raise ValueError(
            f'the size is {size}; shapes need at least {MIN_SHAPE_SIDE} x {MIN_SHAPE_SIDE} pixels'
        )
    canvas = Canvas(rng, size)
    points = _DRAW[name](canvas)
    return ShapeImage(canvas.finish(), points_inside(points, size))


def random_shape(rng: np.random.Generator, size: tuple[int, int] = DEFAULT_SIZE) -> ShapeImage:
    """Return a random picture of one of all categories, with equal probability."""
    return draw_shape(SHAPES[rng.integers(len(SHAPES))], rng, size)


def warp_shape(shape: ShapeImage, homography: np.ndarray) -> ShapeImage:
    """
    Return the picture warped by a homography (3, 3), with the points that stay inside.

    Outside the source, the target shows its mirror image, whose corners are labelled, too. Only
    corners at which an edge meets its own mirror image have no label; homographies without
    artefacts (see `HomographyRanges`) do not show them.
    """
    image, points = shape
    height, width = image.shape
    warped = warp_image(image, homography, border=cv2.BORDER_REFLECT_101)
    mirrored = [points]
    for axis, last in ((0, width - 1), (1, height - 1)):
        stay = np.concatenate(mirrored)
        for position in (0, last):
            # A point on the border is its own mirror image.
            other = stay[np.abs(stay[:, axis] - position) > 0.5]
            other[:, axis] = 2 * position - other[:, axis]
            mirrored.append(other)
    moved = warp_points(np.concatenate(mirrored), homography)
    return ShapeImage(warped, points_inside(moved, (width, height)))
