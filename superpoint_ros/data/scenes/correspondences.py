# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Positions of the points of one view in the other, from depth and pose, and their visibility.

Points are x and y in pixels, pixel centres at whole numbers. A point between pixels takes the
inverse depth interpolated linearly, which is exact on planes; at an edge of depth it belongs to
the nearest surface, whose outline it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.geometry.homography import is_inside

EDGE = 1.05
"""Ratio of depths of neighbouring pixels from which there is an edge between them."""

TOLERANCE = 0.02
"""Difference, in parts of the depth, up to which a point lies on the surface that is seen."""


class DepthView(NamedTuple):
    """A depth map float32 (H, W), 0 where there is no surface, and intrinsics (3, 3)."""

    depth: np.ndarray
    matrix: np.ndarray


def transfer(
    points: np.ndarray, source: DepthView, target: DepthView, pose: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return where points (N, 2) of the source lie in the target, (N, 2), and bool (N,), if seen.

    `pose` (4, 4) maps the source camera's coordinates to the target camera's. A point without
    depth, behind the target camera, beyond its image or occluded there is not seen; the first two
    have the place NaN.
    """
    points = np.asarray(points, np.float64)
    depth = depth_at(source.depth, points)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    rays = homogeneous @ np.linalg.inv(source.matrix).T
    there = (rays * depth[:, None]) @ pose[:3, :3].T + pose[:3, 3]
    z = np.where((depth > 0) & (there[:, 2] > 1e-6), there[:, 2], np.nan)
    with np.errstate(invalid='ignore'):
        places = (there @ target.matrix.T)[:, :2] / z[:, None]
    return places, _is_seen(places, z, target.depth)


def depth_at(depth: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the depth (N,) at points (N, 2); 0 beyond the image and where there is none."""
    inside, (rows, columns) = _pixels_around(points, depth.shape)
    four = depth[rows, columns].astype(np.float64)
    known = four > 0
    nearest = np.where(known, four, np.inf).min(axis=0)
    smooth = known.all(axis=0) & (four.max(axis=0) < EDGE * nearest)
    fx, fy = np.where(inside[:, None], points, 0).T - [columns[0], rows[0]]
    weights = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy])
    inverse = (weights / np.where(known, four, 1)).sum(axis=0)
    result = np.where(smooth, 1 / np.maximum(inverse, 1e-12), nearest)
    return np.where(inside & np.isfinite(result), result, 0.0)


def _is_seen(places: np.ndarray, z: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return whether one of the four pixels around each place shows the depth z there."""
    inside, (rows, columns) = _pixels_around(places, depth.shape)
    with np.errstate(invalid='ignore'):
        return inside & (np.abs(depth[rows, columns] - z) < TOLERANCE * z).any(axis=0)


def _pixels_around(points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return bool (N,), if points lie in an image, and the four pixels around each.

    The pixels are rows and columns, int (2, 4, N): top left, top right, bottom left, bottom right.
    """
    inside = is_inside(points, shape[::-1])
    first = np.where(inside, points.T[::-1], 0).astype(np.int64)
    (top, left), (bottom, right) = first, np.minimum(first + 1, np.array(shape)[:, None] - 1)
    return inside, np.stack([[top, top, bottom, bottom], [left, right, left, right]])
