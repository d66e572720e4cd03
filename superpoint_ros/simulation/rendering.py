# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Renderer of textured rectangles: ray casting with a depth buffer.

Each pixel has its own ray, computed with the lens distortion; no image is warped afterwards. The
inverse depth at which a ray (x, y, 1) meets a plane is linear in x and y, so the depth buffer is
exact. Pixels at the edges of panels are averages over several rays.

It is written for this package because the demo must run on any machine: it needs neither a GPU nor
OpenGL, and the images of a seed are reproducible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.simulation.texture_atlas import TextureAtlas

NEAREST, FURTHEST = 0.05, 1000.0
"""Depth range in metres; nearer and farther surfaces are not rendered."""

_MIN_HEIGHT = 1e-6  # metres; the front is visible if the camera is this far before the plane
_EDGE_RAYS = 3  # 3x3 rays for a pixel at the edge of a panel
_SEAM = 1e-4  # texels by which panels are enlarged, against gaps between neighbours


@dataclass(frozen=True, eq=False)
class Panel:
    """
    Textured rectangle that is visible from its front only.

    `corner` (3,) is the top-left corner in the world; `right` (3,) and `down` (3,) are the vectors
    to the top-right and the bottom-left corner, all in metres. `texture` is uint8, (H, W) or
    (H, W, 3), and covers the rectangle exactly.
    """

    corner: np.ndarray
    right: np.ndarray
    down: np.ndarray
    texture: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """Return the unit vector in the direction of the front."""
        # Right, down and forward are x, y and z of a camera that faces the panel.
        normal = np.cross(self.down, self.right)
        return normal / np.linalg.norm(normal)


def panel_to_camera(panel: Panel, pose: np.ndarray) -> np.ndarray:
    """
    Return the matrix (3, 3) that maps (alpha, beta, 1) on the panel to camera coordinates.

    alpha runs from 0 at the left to 1 at the right, beta from 0 at the top to 1 at the bottom. The
    inverse maps a ray (x, y, 1) to (alpha, beta, 1) times the inverse depth of the intersection.
    """
    rotation, centre = pose[:3, :3], pose[:3, 3]
    return rotation.T @ np.stack([panel.right, panel.down, panel.corner - centre], axis=1)


class Rendering(NamedTuple):
    """Image, uint8 (H, W) or (H, W, 3), and depth in metres, float32 (H, W)."""

    image: np.ndarray
    depth: np.ndarray


class _Hits(NamedTuple):
    """First hits of rays (h, w): panel, position on it times inverse depth, inverse depth."""

    panel: np.ndarray
    a: np.ndarray
    b: np.ndarray
    inverse_depth: np.ndarray


class Renderer:
    """
    Renderer of up to 255 panels for one camera.

    Raises ValueError for no or too many panels, and for a distortion that is not invertible over
    the whole image.
    """

    def __init__(self, panels: Sequence[Panel], camera: CameraModel):
        self.panels, self.camera = list(panels), camera
        if not 0 < len(self.panels) < 256:
            raise ValueError(f'a room needs 1 to 255 panels, got {len(self.panels)}')
        self._atlas = TextureAtlas([panel.texture for panel in self.panels])
        self._normals = np.array([panel.normal for panel in self.panels])
        self._corners = np.array([panel.corner for panel in self.panels])
        self._rays = rays_of(camera)
        self._along_x, self._along_y = (np.gradient(self._rays, axis=axis) for axis in (1, 0))
        self._columns = _ranges(self._rays[..., 0], axis=0)
        self._rows = _ranges(self._rays[..., 1], axis=1)
        # Area of a pixel in the plane at depth 1.
        cross = self._along_x[..., 0] * self._along_y[..., 1]
        cross -= self._along_x[..., 1] * self._along_y[..., 0]
        self._log_area = np.log(np.maximum(np.abs(cross), 1e-20)).astype(np.float32)

    def render(
        self, pose: np.ndarray, shift: tuple[float, float] = (0, 0), edges: bool = True
    ) -> Rendering:
        """
        Return the view of a camera at the pose (camera to world).

        `shift` moves all rays, in pixels. Without `edges`, pixels at the edges of panels show only
        one panel, which is enough if several shifted images are averaged. Without a hit, the image
        is 0 and the depth infinite.
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
        """Return the panels that may be visible, as planes in camera coordinates."""
        planes = []
        towards = pose[:3, 3] - self._corners
        in_front = np.einsum('ij,ij->i', self._normals, towards) > _MIN_HEIGHT
        for index in np.flatnonzero(in_front).tolist():
            panel = self.panels[index]
            to_camera = panel_to_camera(panel, pose)
            part = self._part(to_camera)
            if part is not None:
                height, width = panel.texture.shape[:2]
                to_texture = np.diag([width, height, 1.0]) @ np.linalg.inv(to_camera)
                planes.append(_Plane(index, (width, height), to_texture, part))
        return planes

    def _part(self, to_camera: np.ndarray) -> tuple[slice, slice] | None:
        """Return rows and columns in which a rectangle may be visible; None if it is not."""
        steps = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)
        seen = _in_front(steps @ to_camera.T)
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
        """Return the values of the pixels, uint8 (h, w) or (h, w, 3)."""
        depth = 1 / np.maximum(hits.inverse_depth, 1 / FURTHEST)
        u, v = hits.a * depth, hits.b * depth
        # Texels per step of the ray to the right or down: sum of squares of the four derivatives
        # (g0 - u g2) / w and so on. The mipmap level is half a level sharper than that of the
        # largest derivative, so that panels at an angle do not blur.
        constants = np.zeros((4, 256), np.float32)
        for plane in planes:
            g = plane.to_texture
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
        """Replace pixels at the edges of panels by means over several rays."""
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
    """Panel in camera coordinates; `part` are the rows and columns in which it may be visible."""

    index: int
    size: tuple[int, int]
    to_texture: np.ndarray
    part: tuple[slice, slice] | None


def _cast(rays: np.ndarray, planes: list[_Plane]) -> _Hits:
    """Return the first hits of rays (h, w, 2)."""
    shape = rays.shape[:2]
    hits = _Hits(
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.full(shape, 1 / FURTHEST, np.float32),
    )
    for plane in planes:
        part = plane.part or (slice(None), slice(None))
        a, b, inverse_depth = cv2.split(cv2.transform(rays[part], plane.to_texture))
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


def rays_of(camera: CameraModel) -> np.ndarray:
    """
    Return the rays of all pixel centres as x and y at depth 1, float32 (H, W, 2).

    Raises ValueError if the distortion is not invertible over the whole image.
    """
    width, height = camera.size
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
    rays = camera.normalize(grid.reshape(-1, 2)).reshape(height, width, 2)
    rises = (
        np.diff(rays[..., 0], axis=1).min(initial=1),
        np.diff(rays[..., 1], axis=0).min(initial=1),
    )
    # NaN, where the distortion cannot be inverted, is not positive.
    if not min(rises) > 0:
        raise ValueError(
            f'the distortion {camera.distortion.tolist()} is not invertible over an image of '
            f'{width}x{height}: choose smaller coefficients or a smaller field of view'
        )
    return rays


def _ranges(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return minimum and maximum of each column or row, widened by one step."""
    least, largest = values.min(axis=axis), values.max(axis=axis)
    step = np.abs(np.diff(least)).max(initial=0)
    return least - step, largest + step


def _in_front(corners: np.ndarray) -> np.ndarray:
    """Return the corners (N, 3) of the part of a rectangle beyond the depth `NEAREST`."""
    if corners[:, 2].min() >= NEAREST:
        return corners
    kept = []
    for a, b in zip(corners, corners[[1, 2, 3, 0]], strict=True):
        if a[2] >= NEAREST:
            kept.append(a)
        if (a[2] >= NEAREST) != (b[2] >= NEAREST):
            kept.append(a + (NEAREST - a[2]) / (b[2] - a[2]) * (b - a))
    return np.array(kept).reshape(-1, 3)
