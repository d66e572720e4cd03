# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
From panels and a pose to an image: rays, a depth buffer, and lookups in the atlas.

Every pixel has a ray, which lens distortion bends: what is seen through a lens is computed, not
warped from a picture. Along a ray (x, y, 1) the inverse of the depth at which it meets a plane is
linear in x and y, so that the depth buffer is exact. Where two panels meet within a pixel, several
rays are cast through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.sequences.sequence import Intrinsics
from superpoint_ros.simulation.atlas import Atlas
from superpoint_ros.simulation.panels import Panel, rectangle_in_camera

NEAREST, FURTHEST = 0.05, 1000.0
"""In metres: what is nearer or further is not seen."""

_LEAST_HEIGHT = 1e-6  # metres of a camera above a panel's plane, to see its front
_TOLERANCE = 0.02  # pixels between a ray and the pixel at which it is seen
_CHECKED = 7  # every so many pixels: those in between are no different
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-12)
_EDGE_RAYS = 3  # to a side, of a pixel in which panels meet
_SEAM = 1e-4  # panels are larger by this share of a pixel of theirs: no gaps between neighbours


class Rendering(NamedTuple):
    """What a camera sees: uint8 (H, W) or (H, W, 3), and the depth (H, W), float32, in metres."""

    image: np.ndarray
    depth: np.ndarray


class _Hits(NamedTuple):
    """What rays (h, w) meet: which panel, where on it (times inverse depth), inverse depth."""

    panel: np.ndarray
    a: np.ndarray
    b: np.ndarray
    inverse_depth: np.ndarray


class Renderer:
    """
    Render panels, of which there may be 255, as the camera sees them.

    Raises ValueError where there are none or too many, for another distortion model than
    `plumb_bob`, and where the distortion is such that a pixel sees nothing or more than one thing.
    """

    def __init__(self, panels: Sequence[Panel], camera: Intrinsics):
        self.panels, self.camera = list(panels), camera
        if not 0 < len(self.panels) < 256:
            raise ValueError(f'a room needs 1 to 255 panels, got {len(self.panels)}')
        self._atlas = Atlas([panel.picture for panel in self.panels])
        self._normals = np.array([panel.normal for panel in self.panels])
        self._corners = np.array([panel.corner for panel in self.panels])
        self._rays = rays_of(camera)
        self._along_x, self._along_y = (np.gradient(self._rays, axis=axis) for axis in (1, 0))
        self._columns = _ranges(self._rays[..., 0], axis=0)
        self._rows = _ranges(self._rays[..., 1], axis=1)
        # How much of the tangent of an angle a pixel sees: the root of the area's change.
        cross = self._along_x[..., 0] * self._along_y[..., 1]
        cross -= self._along_x[..., 1] * self._along_y[..., 0]
        self._log_area = np.log(np.maximum(np.abs(cross), 1e-20)).astype(np.float32)

    def render(
        self, pose: np.ndarray, shift: tuple[float, float] = (0, 0), edges: bool = True
    ) -> Rendering:
        """
        Return what the camera at the pose (camera to world) sees.

        `shift` moves all rays by so many pixels; without `edges` a pixel in which panels meet
        shows but one of them: averages of several such images come out right too. Where nothing
        is, the image is 0 and the depth infinite.
        """
        planes = self._planes(pose)
        rays = self._rays
        if any(shift):
            rays = rays + shift[0] * self._along_x + shift[1] * self._along_y
        hits = _cast(rays, planes)
        image = self._shade(hits, planes, self._log_area)
        if edges:
            self._smooth_edges(image, hits.panel, planes)
        with np.errstate(divide='ignore'):
            depth = np.where(hits.panel > 0, 1 / hits.inverse_depth, np.inf)
        return Rendering(image, depth.astype(np.float32))

    def _planes(self, pose: np.ndarray) -> list[_Plane]:
        """Return the panels that may be seen, as planes in the camera's coordinates."""
        planes = []
        towards = pose[:3, 3] - self._corners
        in_front = np.einsum('ij,ij->i', self._normals, towards) > _LEAST_HEIGHT
        for index in np.flatnonzero(in_front).tolist():
            panel = self.panels[index]
            in_camera = rectangle_in_camera(panel, pose)
            part = self._part(in_camera)
            if part is not None:
                height, width = panel.picture.shape[:2]
                to_picture = np.diag([width, height, 1.0]) @ np.linalg.inv(in_camera)
                planes.append(_Plane(index, (width, height), to_picture, part))
        return planes

    def _part(self, in_camera: np.ndarray) -> tuple[slice, slice] | None:
        """Return rows and columns within which a rectangle may be seen; None where it is not."""
        steps = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)
        seen = _in_front(steps @ in_camera.T)
        if not len(seen):
            return None
        directions = seen[:, :2] / seen[:, 2:]
        (left, top), (right, bottom) = directions.min(axis=0), directions.max(axis=0)
        columns = np.flatnonzero((self._columns[1] >= left) & (self._columns[0] <= right))
        rows = np.flatnonzero((self._rows[1] >= top) & (self._rows[0] <= bottom))
        if not len(columns) or not len(rows):
            return None
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def _shade(self, hits: _Hits, planes: list[_Plane], log_area: np.ndarray) -> np.ndarray:
        """Return the pixels' values (h, w[, 3]), uint8."""
        depth = 1 / np.maximum(hits.inverse_depth, 1 / FURTHEST)
        u, v = hits.a * depth, hits.b * depth
        # The picture's pixels for a step of the ray to the right or down: of the four derivatives
        # (g0 - u g2) / w and so on, the sum of squares. The level is half a step sharper than the
        # longest stretch alone would have it, where a panel is seen at an angle.
        constants = np.zeros((4, 256), np.float32)
        for plane in planes:
            g = plane.to_picture
            constants[:, plane.index + 1] = (
                (g[:2, :2] ** 2).sum(),
                -2 * g[0, :2] @ g[2, :2],
                -2 * g[1, :2] @ g[2, :2],
                (g[2, :2] ** 2).sum(),
            )
        c0, c1, c2, c3 = (cv2.LUT(hits.panel, row[None]) for row in constants)
        squares = c0 + u * (c1 + u * c3) + v * (c2 + v * c3)
        squares *= depth * depth
        level = cv2.log(np.maximum(squares, 1e-12)) + log_area
        level *= 0.5 / np.log(2)
        level -= 0.5
        index = hits.panel - (hits.panel > 0)
        image = self._atlas.sample(index, u, v, level)
        image[hits.panel == 0] = 0
        return image

    def _smooth_edges(self, image: np.ndarray, panel: np.ndarray, planes: list[_Plane]) -> None:
        """Replace the pixels in which panels meet by means over several rays."""
        edge = np.zeros(panel.shape, bool)
        for a, b in (((slice(1, None),), (slice(-1),)), ((..., slice(1, None)), (..., slice(-1)))):
            differ = panel[a] != panel[b]
            edge[a] |= differ
            edge[b] |= differ
        y, x = np.nonzero(edge)
        if not len(y):
            return
        offsets = (np.arange(_EDGE_RAYS) + 0.5) / _EDGE_RAYS - 0.5
        dy, dx = (grid.reshape(1, -1, 1) for grid in np.meshgrid(offsets, offsets))
        rays = self._rays[y, x][:, None] + dx * self._along_x[y, x][:, None]
        rays = (rays + dy * self._along_y[y, x][:, None]).astype(np.float32)
        seen = set(np.unique(panel[edge]).tolist())
        near = [plane._replace(part=None) for plane in planes if plane.index + 1 in seen]
        log_area = self._log_area[y, x][:, None] - np.float32(2 * np.log(_EDGE_RAYS))
        values = self._shade(_cast(rays, near), near, np.repeat(log_area, dx.size, axis=1))
        image[y, x] = np.rint(values.mean(axis=1))


class _Plane(NamedTuple):
    """A panel as a camera sees it; `part` are the rows and columns in which it may be seen."""

    index: int
    size: tuple[int, int]
    to_picture: np.ndarray
    part: tuple[slice, slice] | None


def _cast(rays: np.ndarray, planes: list[_Plane]) -> _Hits:
    """Return what the rays (h, w, 2) meet first."""
    shape = rays.shape[:2]
    hits = _Hits(
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.full(shape, 1 / FURTHEST, np.float32),
    )
    for plane in planes:
        part = plane.part or (slice(None), slice(None))
        a, b, inverse_depth = cv2.split(cv2.transform(rays[part], plane.to_picture))
        nearest = hits.inverse_depth[part]
        width, height = plane.size
        slack = _SEAM * inverse_depth
        first = inverse_depth > nearest
        first &= inverse_depth < 1 / NEAREST
        first &= a >= -slack
        first &= b >= -slack
        first &= a <= width * inverse_depth + slack
        first &= b <= height * inverse_depth + slack
        for kept, new in ((hits.a, a), (hits.b, b), (hits.inverse_depth, inverse_depth)):
            np.copyto(kept[part], new, where=first)
        hits.panel[part][first] = plane.index + 1
    return hits


def rays_of(camera: Intrinsics) -> np.ndarray:
    """
    Return (H, W, 2), float32: x and y at depth 1 of what is seen at each pixel's centre.

    Raises ValueError for another model than `plumb_bob` and where a pixel has no ray of its own.
    """
    if camera.model != 'plumb_bob':
        raise ValueError(f'the camera must have the model plumb_bob, got {camera.model!r}')
    width, height = camera.size
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
    pixels = grid.reshape(-1, 1, 2).astype(np.float64)
    distortion = camera.distortion if len(camera.distortion) else np.zeros(4)
    points = cv2.undistortPointsIter(pixels, camera.matrix, distortion, None, None, _ITERATIONS)
    still, some = np.zeros(3), slice(None, None, _CHECKED)
    homogeneous = cv2.convertPointsToHomogeneous(points[some])
    seen, _ = cv2.projectPoints(homogeneous, still, still, camera.matrix, distortion)
    wrong = np.linalg.norm(seen - pixels[some], axis=2).max()
    rays = points.reshape(height, width, 2)
    rises = (
        np.diff(rays[..., 0], axis=1).min(initial=1),
        np.diff(rays[..., 1], axis=0).min(initial=1),
    )
    if not wrong < _TOLERANCE or min(rises) <= 0:
        raise ValueError(
            f'the distortion {camera.distortion.tolist()} cannot be undone over all of an image '
            f'of {width}x{height}: take smaller coefficients or a smaller field of view'
        )
    return rays.astype(np.float32)


def _ranges(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return least and largest of each column or row, a step wider: pixels have an extent."""
    least, largest = values.min(axis=axis), values.max(axis=axis)
    step = np.abs(np.diff(least)).max(initial=0)
    return least - step, largest + step


def _in_front(corners: np.ndarray) -> np.ndarray:
    """Return the corners (N, 3) of the part of a rectangle that is further than `NEAREST`."""
    if corners[:, 2].min() >= NEAREST:
        return corners
    kept = []
    for a, b in zip(corners, corners[[1, 2, 3, 0]], strict=True):
        if a[2] >= NEAREST:
            kept.append(a)
        if (a[2] >= NEAREST) != (b[2] >= NEAREST):
            kept.append(a + (NEAREST - a[2]) / (b[2] - a[2]) * (b - a))
    return np.array(kept).reshape(-1, 3)
