# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Random variations of scenes: pictures on surfaces, posters, streets and their sky.

`pairs` and `flights` render views of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.scenes.cameras import free_position
from superpoint_ros.data.scenes.decoration import decorate, pick, posters
from superpoint_ros.data.scenes.meshes import merge, TexturedMesh
from superpoint_ros.data.scenes.ray_casting import RayCaster
from superpoint_ros.data.scenes.streets import compose_street, LENGTH

UNDECORATED = 0.15
"""Share of the variations without posters."""

CEILINGS = 0.75
"""Share of the variations of an interior that get a ceiling."""

DECORATIONS = 3
"""Decorations of a scene that are tried if none leaves a free place for a camera."""

PLACES = 60
"""Free places from which posters are placed."""


class SceneSource(NamedTuple):
    """
    A scene to vary: one mesh, or the objects of which streets are composed.

    `length` is the length of the streets in metres.
    """

    name: str
    meshes: tuple[TexturedMesh, ...]
    street: bool = False
    length: float = LENGTH


class SceneVariation(NamedTuple):
    """
    Random decoration of a scene, of which views are rendered.

    Attributes:
        scene: the scene without decoration.
        caster: renders views of the decorated scene.
        bounds: float64 (2, 3), lowest and highest coordinates of cameras, in metres.

    """

    scene: SceneSource
    caster: RayCaster
    bounds: np.ndarray


def vary(
    scene: SceneSource,
    pictures: Sequence[np.ndarray],
    max_posters: int,
    rng: np.random.Generator,
) -> SceneVariation:
    """
    Return a random variation of a scene, with up to `max_posters` posters and carpets.

    `pictures` are gray, uint8 (H, W). Raises ValueError if no camera fits in the scene.
    """
    for _ in range(DECORATIONS):
        mesh, sky = _decorated(scene, pictures, rng)
        caster, bounds = RayCaster(mesh, sky), _camera_bounds(mesh, scene)
        found = [free_position(caster, bounds, rng) for _ in range(PLACES)]
        places = np.array([place for place in found if place is not None])
        if len(places):
            break
    else:
        raise ValueError(
            f'{scene.name}: found no free place for a camera above a floor; z must point up '
            '(--up y for y), and the unit must be the metre (--unit 0.001 for millimetres)'
        )
    count = int(rng.integers(max_posters // 2, max_posters + 1))
    count = 0 if rng.random() < UNDECORATED else count
    extra = posters(caster, places, pictures, count, rng)
    caster = RayCaster(merge([mesh, *extra]), sky) if extra else caster
    return SceneVariation(scene, caster, bounds)


def _decorated(
    scene: SceneSource, pictures: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[TexturedMesh, np.ndarray | None]:
    """Return a scene with pictures on its surfaces, and the sky of a street."""
    if not scene.street:
        ceiling = rng.random() < CEILINGS
        return decorate(scene.meshes[0], pictures, ceiling, rng), None
    mesh = compose_street(scene.meshes, pictures, rng, scene.length)
    return decorate(mesh, pictures, False, rng), _pick_sky(pictures, rng)


def _camera_bounds(mesh: TexturedMesh, scene: SceneSource) -> np.ndarray:
    """Return the bounds (2, 3) in which cameras are placed, in metres."""
    bounds = mesh.bounds
    if scene.street:
        end = scene.length / 2 + 5
        return np.array([[-end, -14, 0.1], [end, 14, min(bounds[1, 2], 12)]])
    return bounds


def _pick_sky(pictures: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a panorama of the sky: the brightened and blurred upper half of a picture."""
    if not pictures:
        return np.full((8, 8), 200, np.uint8)
    picture = pick(pictures, rng)
    upper = picture[: max(picture.shape[0] // 2, 8)].astype(np.float32)
    upper = cv2.GaussianBlur(upper, (0, 0), 3)
    panorama = np.concatenate([upper, upper[:, ::-1]], axis=1)
    return np.clip(0.5 * panorama + rng.uniform(60, 120), 0, 255).astype(np.uint8)
