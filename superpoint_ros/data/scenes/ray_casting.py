# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
From a mesh, lights and a pose to a gray image and a depth map, by ray casting with Embree.

Camera coordinates: x right, y down, z forward. A pose (4, 4) maps camera to world coordinates, in
metres. Each pixel is the mean of 2x2 rays; its depth is that of a ray through its centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.scenes.meshes import TexturedMesh
from superpoint_ros.data.scenes.texture_lookup import TexturePyramids

SUPERSAMPLING = 2
"""Rays of a pixel along x and along y."""

SHADOW_OFFSET = 1e-3
"""Metres that a shadow ray starts above the surface, so that it does not hit the surface."""

MIN_COSINE = 0.15
"""Smallest cosine of the viewing angle in a texture's footprint: at smaller ones it would blur."""

KNEE = 180.0
"""Gray level from which highlights are compressed."""

EMPTY = 128.0
"""Gray level of rays that meet nothing in a scene without a sky."""

_R2 = np.array([0.7548776662466927, 0.5698402909980532])  # steps of the R2 sequence


class Lamp(NamedTuple):
    """A point lamp: position (3,), strength, and distance in metres at which half is left."""

    position: np.ndarray
    strength: float
    reach: float


@dataclass(frozen=True)
class Lighting:
    """
    The light of a view, and the exposure, lens and noise of its camera.

    Attributes:
        ambient: share of its gray level that every surface shows without lamps.
        lamps: point lamps.
        shadows: whether lamps and sun cast shadows.
        mean: mean gray level of the image, reached by exposure.
        sun: vector (3,) towards a distant light, its length the strength; None: no sun.
        vignetting: share by which the corners are darker.
        blur: sigma of the lens's blur in pixels.
        noise: sigma of the sensor's noise in gray levels.
        noise_seed: seed of the noise.

    """

    ambient: float
    lamps: tuple[Lamp, ...]
    shadows: bool
    mean: float
    sun: np.ndarray | None = None
    vignetting: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0


class PinholeCamera(NamedTuple):
    """
    A camera of rendered views: focal length and image size in pixels.

    It is what the ray caster supports: no distortion, square pixels, an optical axis through the
    centre. `geometry.camera_model.CameraModel` also has what calibrations of real cameras have.
    """

    focal_length: float
    width: int
    height: int

    @classmethod
    def of_view(cls, width: int, height: int, degrees: float) -> PinholeCamera:
        """Return the camera with a horizontal field of view in degrees."""
        return cls(float(width / 2 / np.tan(np.deg2rad(degrees) / 2)), width, height)

    @property
    def matrix(self) -> np.ndarray:
        """Return the intrinsics as (3, 3); the principal point is the image's centre."""
        x, y = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[self.focal_length, 0, x], [0, self.focal_length, y], [0, 0, 1.0]])


class RenderedView(NamedTuple):
    """A rendered image uint8 (H, W) and its depth along z, float32 (H, W); 0: no surface."""

    image: np.ndarray
    depth: np.ndarray


class RayHits(NamedTuple):
    """
    Where N rays meet the mesh.

    `triangle` int (N,), -1 if none; `distance` (N,) in lengths of the ray's direction; `u` and `v`
    (N,), barycentric coordinates of the second and the third corner.
    """

    triangle: np.ndarray
    distance: np.ndarray
    u: np.ndarray
    v: np.ndarray


class RayCaster:
    """A mesh prepared for ray casting; `sky` is a panorama uint8 (H, W) seen behind it."""

    def __init__(self, mesh: TexturedMesh, sky: np.ndarray | None = None):
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self.mesh = mesh
        self._sky = sky
        self._scene = EmbreeScene(robust=True)
        # The scene does not keep the geometry alive.
        self._geometry = TriangleMesh(self._scene, np.ascontiguousarray(mesh.triangles))
        self._textures = TexturePyramids(mesh.textures)
        edges = mesh.triangles[:, 1:] - mesh.triangles[:, :1]
        cross = np.cross(edges[:, 0], edges[:, 1])
        area = np.maximum(np.linalg.norm(cross, axis=1), 1e-12)
        self._normals = (cross / area[:, None]).astype(np.float32)
        flat = (mesh.uv[:, 1:] - mesh.uv[:, :1]) * self._textures.sizes[mesh.texture][:, None]
        texels = np.abs(flat[:, 0, 0] * flat[:, 1, 1] - flat[:, 0, 1] * flat[:, 1, 0])
        self._texels_per_metre = np.sqrt(texels / area).astype(np.float32)

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> RayHits:
        """Return what rays (N, 3) with directions (N, 3) of any length meet."""
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            output=1,
        )
        return RayHits(found['primID'], found['tfar'], found['u'], found['v'])

    def normals(self, hits: RayHits) -> np.ndarray:
        """Return unit vectors (N, 3) perpendicular to the triangles that were hit."""
        return self._normals[hits.triangle]

    def depth(self, camera: PinholeCamera, pose: np.ndarray) -> np.ndarray:
        """Return the depth map float32 (H, W) of a view; 0 where no surface is seen."""
        hits = self.cast(*_rays(camera, pose, 1))
        # Directions have z = 1 in camera coordinates: a ray's parameter is the depth.
        depth = np.where(hits.triangle >= 0, hits.distance, 0).astype(np.float32)
        return depth.reshape(camera.height, camera.width)

    def render(self, camera: PinholeCamera, pose: np.ndarray, lighting: Lighting) -> RenderedView:
        """Return the image and the depth map of a view."""
        gray = self._shade(camera, *_rays(camera, pose, SUPERSAMPLING), lighting)
        gray = gray.reshape(SUPERSAMPLING * camera.height, SUPERSAMPLING * camera.width)
        size = (camera.width, camera.height)
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        return RenderedView(_photographed(gray, lighting), self.depth(camera, pose))

    def expose(
        self, camera: PinholeCamera, poses: Sequence[np.ndarray], lighting: Lighting
    ) -> np.ndarray:
        """
        Return the image uint8 (H, W) of a camera that takes `poses` during the exposure.

        Each pixel is the mean of one ray per pose; the rays spread over the pixel.
        """
        total = np.zeros(camera.width * camera.height, np.float32)
        # The R2 sequence (Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences",
        # 2018) is even for any number of rays. Its mean is not the centre of the pixel: six rays
        # would show what lies 0.11 px to the left of and 0.08 px above their pixel.
        shifts = (np.arange(len(poses))[:, None] * _R2 + 0.5) % 1
        shifts -= shifts.mean(axis=0)
        for pose, shift in zip(poses, shifts, strict=True):
            total += self._shade(camera, *_rays(camera, pose, 1, shift), lighting)
        gray = (total / len(poses)).reshape(camera.height, camera.width)
        return _photographed(gray, lighting)

    def _shade(
        self,
        camera: PinholeCamera,
        origins: np.ndarray,
        directions: np.ndarray,
        lighting: Lighting,
    ) -> np.ndarray:
        """Return gray levels float32 (N,) of rays, before exposure."""
        hits = self.cast(origins, directions)
        gray = self._background(directions)
        seen = np.flatnonzero(hits.triangle >= 0)
        if not len(seen):
            return gray
        index, distance, ray = hits.triangle[seen], hits.distance[seen], directions[seen]
        points = origins[seen] + distance[:, None] * ray
        normal = self._normals[index]
        cosine = _dot(normal, ray) / np.sqrt(_dot(ray, ray))
        # Both sides of a triangle are seen: meshes are not always closed.
        normal = np.where((cosine > 0)[:, None], -normal, normal)
        mesh = self.mesh
        u, v = hits.u[seen, None], hits.v[seen, None]
        corners = mesh.uv[index]
        uv = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
        pixel = distance / (camera.focal_length * SUPERSAMPLING)
        stretch = np.sqrt(np.maximum(np.abs(cosine), MIN_COSINE))
        footprint = pixel * self._texels_per_metre[index] / stretch
        albedo = self._textures.look_up(mesh.texture[index], uv, footprint) * mesh.gray[index]
        gray[seen] = albedo * self._light(points, normal, lighting)
        return gray

    def _light(self, points: np.ndarray, normal: np.ndarray, lighting: Lighting) -> np.ndarray:
        """Return how much light surface points get, about 1 in a well-lit place."""
        light = np.full(len(points), lighting.ambient, np.float32)
        raised = points + SHADOW_OFFSET * normal
        for lamp in lighting.lamps:
            towards = lamp.position.astype(np.float32) - points
            distance = np.sqrt(_dot(towards, towards))
            cosine = np.maximum(_dot(towards, normal) / np.maximum(distance, 1e-6), 0)
            part = lamp.strength * cosine / (1 + (distance / lamp.reach) ** 2)
            light += part * (self._is_free(raised, towards, 1.0) if lighting.shadows else 1)
        if lighting.sun is not None:
            towards = np.broadcast_to(lighting.sun.astype(np.float32), points.shape)
            part = np.maximum(_dot(towards, normal), 0)
            light += part * (self._is_free(raised, towards, np.inf) if lighting.shadows else 1)
        return light

    def _is_free(self, points: np.ndarray, towards: np.ndarray, limit: float) -> np.ndarray:
        """Return bool (N,): whether nothing lies between points and a light."""
        hits = self.cast(points, towards)
        return (hits.triangle < 0) | (hits.distance > limit)

    def _background(self, directions: np.ndarray) -> np.ndarray:
        """Return the gray levels float32 (N,) of the sky in some directions."""
        if self._sky is None:
            return np.full(len(directions), EMPTY, np.float32)
        height, width = self._sky.shape
        x, y, z = directions.T
        azimuth = np.arctan2(y, x) / (2 * np.pi) % 1.0
        elevation = np.arctan2(z, np.hypot(x, y)) / (np.pi / 2)
        # The nearest pixel is enough: the panorama is blurred.
        across = np.rint(azimuth * (width - 1)).astype(np.int64)
        down = np.rint((1 - np.clip(elevation, 0, 1)) * (height - 1)).astype(np.int64)
        return self._sky[down, across].astype(np.float32)


def _rays(
    camera: PinholeCamera, pose: np.ndarray, samples: int, shift: Sequence[float] = (0.0, 0.0)
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return origins and directions (N, 3) of rays, `samples` squared to a pixel, row by row.

    `shift` moves all rays by pixels along x and y.
    """
    x = (np.arange(samples * camera.width) + 0.5) / samples - 0.5 + shift[0]
    y = (np.arange(samples * camera.height) + 0.5) / samples - 0.5 + shift[1]
    x = (x - (camera.width - 1) / 2) / camera.focal_length
    y = (y - (camera.height - 1) / 2) / camera.focal_length
    right, down, ahead = pose[:3, :3].T.astype(np.float32)
    across = x.astype(np.float32)[:, None] * right
    along = y.astype(np.float32)[:, None] * down + ahead
    directions = (across[None] + along[:, None]).reshape(-1, 3)
    origins = np.broadcast_to(pose[:3, 3].astype(np.float32), directions.shape)
    return origins, directions


def _photographed(gray: np.ndarray, lighting: Lighting) -> np.ndarray:
    """Return the image, uint8 (H, W), that a camera takes of linear gray levels (H, W)."""
    height, width = gray.shape
    if lighting.vignetting:
        x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
        gray = gray * (1 - lighting.vignetting * (x**2 + y[:, None] ** 2) / 2)
    gray = (gray * (lighting.mean / max(float(gray.mean()), 1e-3))).astype(np.float32)
    above = np.maximum(gray - KNEE, 0)
    gray = np.minimum(gray, KNEE) + (255 - KNEE) * (1 - np.exp(-above / (255 - KNEE)))
    if lighting.blur:
        gray = cv2.GaussianBlur(gray, (0, 0), lighting.blur)
    if lighting.noise:
        rng = np.random.default_rng(lighting.noise_seed)
        gray = gray + lighting.noise * rng.standard_normal(gray.shape, np.float32)
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the dot products (N,) of vectors (N, 3)."""
    return np.einsum('ij,ij->i', a, b)
