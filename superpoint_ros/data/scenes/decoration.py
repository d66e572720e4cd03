# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Pictures on plain surfaces: posters, carpets, facades, ceilings and the ground of streets.

Large surfaces without texture have no keypoints. Posters and carpets are rectangles a little in
front of a surface; triangles without a texture get a picture that repeats every few metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from superpoint_ros.data.scenes.meshes import merge, quad, TexturedMesh, UNTEXTURED
from superpoint_ros.data.scenes.ray_casting import RayCaster

Item = TypeVar('Item')

GAP = 0.004
"""Metres between a surface and the poster on it."""

FLATNESS = 0.03
"""Metres by which the surface behind a poster may differ from a plane at its corners."""

FACADES = 0.7
"""Share of the untextured materials that get a picture."""

FARTHEST = 15.0
"""Greatest distance in metres of a poster from the place that it is seen from."""

PROBE = 0.1
"""Metres in front of a surface from which its flatness is probed."""

TRIALS = 12
"""Places that are tried for each poster."""


def with_facades(
    mesh: TexturedMesh, pictures: Sequence[np.ndarray], share: float, rng: np.random.Generator
) -> TexturedMesh:
    """
    Return the mesh with pictures on its untextured triangles, by their gray level and direction.

    Triangles of one gray level (mostly of one material) get one picture with probability `share`,
    which repeats every 1.5 to 6 m, and is projected along the axis that they face most.
    """
    plain = np.flatnonzero(mesh.texture == UNTEXTURED)
    if not len(plain) or not pictures:
        return mesh
    texture, uv = mesh.texture.copy(), mesh.uv.copy()
    textures = list(mesh.textures)
    edges = mesh.triangles[plain, 1:] - mesh.triangles[plain, :1]
    facing = np.abs(np.cross(edges[:, 0], edges[:, 1])).argmax(axis=1)
    levels, group = np.unique(np.round(mesh.gray[plain], 3), return_inverse=True)
    gray = mesh.gray.copy()
    for number in range(len(levels)):
        if rng.random() >= share:
            continue
        metres = float(np.exp(rng.uniform(np.log(1.5), np.log(6))))
        offset = rng.uniform(0, 1, 2)
        textures.append(pick(pictures, rng))
        for axis, (u, v) in enumerate(((1, 2), (0, 2), (0, 1))):
            chosen = plain[(group == number) & (facing == axis)]
            texture[chosen] = len(textures) - 1
            uv[chosen] = mesh.triangles[chosen][..., [u, v]] / metres + offset
            gray[chosen] = np.maximum(gray[chosen], 0.6)
    return TexturedMesh(mesh.triangles, uv.astype(np.float32), texture, gray, textures)


def posters(
    caster: RayCaster,
    places: np.ndarray,
    pictures: Sequence[np.ndarray],
    count: int,
    rng: np.random.Generator,
) -> list[TexturedMesh]:
    """
    Return up to `count` rectangles with pictures on flat surfaces that are seen from `places`.

    `places` (N, 3) are positions in free space. On walls they are upright; on floors and ceilings
    they turn freely.
    """
    found: list[TexturedMesh] = []
    if not pictures or not len(places):
        return found
    for _ in range(count):
        for _ in range(TRIALS):
            poster = _try_poster(caster, places[rng.integers(len(places))], pictures, rng)
            if poster is not None:
                found.append(poster)
                break
    return found


def _try_poster(
    caster: RayCaster, place: np.ndarray, pictures: Sequence[np.ndarray], rng: np.random.Generator
) -> TexturedMesh | None:
    """Return a poster where a random ray from a place meets a flat surface, None elsewhere."""
    direction = rng.normal(size=3) * [1, 1, 0.5]
    direction /= np.linalg.norm(direction)
    hits = caster.cast(place[None], direction[None])
    if hits.triangle[0] < 0 or hits.distance[0] > FARTHEST:
        return None
    point = place + hits.distance[0] * direction
    normal = caster.normals(hits)[0]
    normal = normal if normal @ direction < 0 else -normal
    picture = pick(pictures, rng)
    width = float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
    right, up = _axes(normal, rng)
    height = width * picture.shape[0] / picture.shape[1]
    right, up = right * width / 2, up * height / 2
    edges = [(-1, -1), (1, -1), (1, 1), (-1, 1), (0, 1), (0, -1), (1, 0), (-1, 0)]
    corners = point + np.array([i * right + j * up for i, j in edges]) + PROBE * normal
    behind = caster.cast(corners, np.broadcast_to(-normal, corners.shape))
    if (behind.triangle < 0).any() or (np.abs(behind.distance - PROBE) > FLATNESS).any():
        return None
    lift = PROBE - float(behind.distance.min()) + GAP
    return quad(point + lift * normal, right, up, picture)


def _axes(normal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors to the right and up on a surface; at any angle where it is level."""
    upright = np.array([0, 0, 1.0])
    if abs(normal[2]) > 0.8:
        angle = rng.uniform(0, 2 * np.pi)
        upright = np.array([np.cos(angle), np.sin(angle), 0])
    right = np.cross(upright, normal)
    right /= np.linalg.norm(right)
    return right, np.cross(normal, right)


def plane(
    bounds: np.ndarray, height: float, picture: np.ndarray, rng: np.random.Generator
) -> TexturedMesh:
    """Return a level plane over the bounds, with a picture that repeats every 1 to 6 m."""
    centre = np.append(bounds[:, :2].mean(axis=0), height)
    half = np.ptp(bounds[:, :2], axis=0) / 2 + 0.5
    metres = float(np.exp(rng.uniform(np.log(1), np.log(6))))
    metres = np.array([metres, metres * picture.shape[0] / picture.shape[1]])
    right, up = np.array([half[0], 0, 0]), np.array([0, half[1], 0])
    return quad(centre, right, up, picture, tuple(2 * half / metres))


def decorate(
    mesh: TexturedMesh,
    pictures: Sequence[np.ndarray],
    ceiling: bool,
    rng: np.random.Generator,
) -> TexturedMesh:
    """Return a scene with pictures on its untextured triangles, and a ceiling if it is open."""
    mesh = with_facades(mesh, pictures, FACADES, rng)
    if ceiling and pictures:
        top = float(mesh.bounds[1, 2]) + rng.uniform(0.0, 0.4)
        mesh = merge([mesh, plane(mesh.bounds, top, pick(pictures, rng), rng)])
    return mesh


def pick(items: Sequence[Item], rng: np.random.Generator) -> Item:
    """Return a random item, such as a picture."""
    return items[int(rng.integers(len(items)))]
