# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Pairs of views rendered from scenes that change: decoration, lamps, cameras.

Pair i of a seed is made from (seed, i) and from the scenes alone, so that rendering can be
interrupted at any time and gives the same pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.data.scenes import cameras
from superpoint_ros.data.scenes.correspondences import DepthView, transfer
from superpoint_ros.data.scenes.decoration import decorate, posters
from superpoint_ros.data.scenes.meshes import merge, TexturedMesh
from superpoint_ros.data.scenes.ray_casting import (
    Lamp,
    Lighting,
    PinholeCamera,
    RayCaster,
    RenderedView,
)
from superpoint_ros.data.scenes.streets import compose_street, LENGTH
from superpoint_ros.settings_table import check_settings, setting

PAIRS_PER_VARIATION = 20
"""Pairs of one decoration of a scene: building it costs about as much as rendering two pairs."""

UNDECORATED = 0.15
"""Share of the variations without posters."""

CEILINGS = 0.75
"""Share of the variations of an interior that get a ceiling."""

SHADOWS = 0.6
"""Share of the pairs in which lamps cast shadows."""

CARRIED_LAMPS = 0.3
"""Share of the indoor pairs in which the camera carries a lamp."""

LEAST_SURFACE = 0.5
"""Least share of a view that shows surfaces and not the sky."""

NEAREST_SURFACE = 0.5
"""Least median depth of a view in metres."""

SMALLEST_SIDE = 64
"""Least width and height of rendered images in pixels."""

DECORATIONS = 3
"""Decorations of a scene that are tried if none leaves a free place for a camera."""

PLACES = 60
"""Free places from which posters are placed."""

ATTEMPTS = 60
"""Second views that are tried for a pair before it counts as impossible."""

LEAST_DETAIL = 7.0
"""Least standard deviation, in gray levels, of what a view has in detail finer than
`DETAIL_SIGMA`; below it the camera faces a bare wall."""

DETAIL_SIGMA = 4.0
"""Sigma in pixels of the blur that takes away detail."""

COARSE = 8
"""Factor by which views are reduced to find out what they show."""


@dataclass(frozen=True)
class PairSettings:
    """
    Settings of rendered pairs.

    Raises TypeError or ValueError that names the field, its value and what it may be.
    """

    width: int = setting(320, 'Width of the images.', unit='px', range=(SMALLEST_SIDE, None))
    height: int = setting(240, 'Height of the images.', unit='px', range=(SMALLEST_SIDE, None))
    least_baseline: float = setting(
        0.05, 'Smallest distance of the cameras, relative to the median depth.', above=0.0
    )
    most_baseline: float = setting(
        0.7, 'Largest distance of the cameras, relative to the median depth.', above=0.0
    )
    least_overlap: float = setting(
        0.3, 'Smallest share of each view that the other one shows.', above=0.0, below=1.0
    )
    posters: int = setting(
        200, 'Largest number of posters and carpets in a scene.', range=(0, None)
    )
    seed: int = setting(0, 'Random seed.', range=(0, None))

    def __post_init__(self):
        check_settings(self)
        if self.least_baseline > self.most_baseline:
            raise ValueError(
                f'least_baseline must be at most most_baseline, {self.most_baseline}, '
                f'got {self.least_baseline}'
            )


class RenderedPair(NamedTuple):
    """
    Two views of a scene.

    Attributes:
        first: view whose camera is the origin of `pose`.
        second: the other view.
        camera: the camera of both views.
        pose: (4, 4), maps coordinates of the first camera to those of the second, in metres.
        scene: name of the scene.

    """

    first: RenderedView
    second: RenderedView
    camera: PinholeCamera
    pose: np.ndarray
    scene: str

    def depth_views(self) -> tuple[DepthView, DepthView]:
        """Return depth and intrinsics of both views."""
        matrix = self.camera.matrix
        return DepthView(self.first.depth, matrix), DepthView(self.second.depth, matrix)


class SceneSource(NamedTuple):
    """
    A scene to vary: one mesh, or the objects of which streets are composed.

    `length` is the length of the streets in metres.
    """

    name: str
    meshes: tuple[TexturedMesh, ...]
    street: bool = False
    length: float = LENGTH


class SceneVariation:
    """One decoration of a scene, from which views are rendered."""

    def __init__(
        self,
        scene: SceneSource,
        pictures: Sequence[np.ndarray],
        settings: PairSettings,
        rng: np.random.Generator,
    ):
        self.scene = scene
        self.settings = settings
        sky = None
        if scene.street:
            mesh = compose_street(scene.meshes, pictures, rng, scene.length)
            mesh = decorate(mesh, pictures, False, rng)
            sky = _pick_sky(pictures, rng)
        else:
            mesh = decorate(scene.meshes[0], pictures, rng.random() < CEILINGS, rng)
        caster = RayCaster(mesh, sky)
        self.bounds = camera_bounds(mesh, scene)
        places = [cameras.free_position(caster, self.bounds, rng) for _ in range(PLACES)]
        places = np.array([place for place in places if place is not None])
        if not len(places):
            raise ValueError(
                f'{scene.name}: found no free place for a camera above a floor; z must point up '
                '(--up y for y), and the unit must be the metre (--unit 0.001 for millimetres)'
            )
        count = int(rng.integers(settings.posters // 2, settings.posters + 1))
        count = 0 if rng.random() < UNDECORATED else count
        extra = posters(caster, places, pictures, count, rng)
        self.caster = RayCaster(merge([mesh, *extra]), sky) if extra else caster

    def pair(self, rng: np.random.Generator) -> RenderedPair | None:
        """Return a pair of views with enough overlap and detail, None if none was found."""
        for _ in range(ATTEMPTS):
            camera = cameras.random_camera(self.settings.width, self.settings.height, rng)
            poses = self._poses(camera, rng)
            if poses is None:
                continue
            lights = self._lights(*poses, rng)
            views = [
                self.caster.render(camera, pose, light)
                for pose, light in zip(poses, lights, strict=True)
            ]
            if min(_detail(view.image) for view in views) >= LEAST_DETAIL:
                pose = np.linalg.inv(poses[1]) @ poses[0]
                return RenderedPair(*views, camera, pose, self.scene.name)
        return None

    def _poses(
        self, camera: PinholeCamera, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the poses of two views that overlap enough, None if this trial failed."""
        settings = self.settings
        place = cameras.free_position(self.caster, self.bounds, rng)
        if place is None:
            return None
        pose = cameras.first_pose(place, rng)
        coarse = PinholeCamera(
            camera.focal_length / COARSE, camera.width // COARSE, camera.height // COARSE
        )
        depth = self.caster.depth(coarse, pose)
        if (depth > 0).mean() < LEAST_SURFACE or np.median(depth[depth > 0]) < NEAREST_SURFACE:
            return None
        baseline = (settings.least_baseline, settings.most_baseline)
        other = cameras.second_pose(self.caster, pose, depth, baseline, rng)
        if other is None:
            return None
        first = DepthView(depth, coarse.matrix)
        second = DepthView(self.caster.depth(coarse, other), coarse.matrix)
        change = np.linalg.inv(other) @ pose
        shared = min(overlap(first, second, change), overlap(second, first, np.linalg.inv(change)))
        return (pose, other) if shared >= settings.least_overlap else None

    def _lights(
        self, pose: np.ndarray, other: np.ndarray, rng: np.random.Generator
    ) -> tuple[Lighting, Lighting]:
        """Return the light of both views; it moves between them in half of the pairs."""
        shadows = rng.random() < SHADOWS
        moves = rng.random() < 0.5
        if self.scene.street:
            ambient, sun = rng.uniform(0.35, 0.7), rng.uniform(0.2, 1.0) * _upwards(rng)
            moved = sun + moves * rng.normal(0, 0.4, 3) * np.linalg.norm(sun)
            moved[2] = max(moved[2], 0.15)
            return tuple(
                Lighting(ambient, (), shadows, sun=towards, **_camera_effects(rng))
                for towards in (sun, moved)
            )
        ambient = rng.uniform(0.15, 0.6)
        reach = rng.uniform(1.0, 8.0)
        lamps = []
        for _ in range(int(rng.integers(1, 4))):
            place = cameras.free_position(self.caster, self._near(pose), rng)
            place = pose[:3, 3] if place is None else place
            lamps.append(Lamp(place, rng.uniform(0.5, 1.6), reach))
        others = [
            lamp._replace(position=lamp.position + moves * rng.normal(0, 0.35 * reach, 3))
            for lamp in lamps
        ]
        if rng.random() < CARRIED_LAMPS:
            strength = rng.uniform(0.5, 1.5)
            lamps.append(Lamp(pose[:3, 3] + [0, 0, 0.1], strength, reach))
            others.append(Lamp(other[:3, 3] + [0, 0, 0.1], strength, reach))
        return tuple(
            Lighting(ambient, tuple(each), shadows, **_camera_effects(rng))
            for each in (lamps, others)
        )

    def _near(self, pose: np.ndarray) -> np.ndarray:
        """Return the bounds around a camera within which its lamps hang."""
        low = np.maximum(pose[:3, 3] - [5, 5, 0.5], self.bounds[0])
        high = np.minimum(pose[:3, 3] + [5, 5, 3], self.bounds[1])
        return np.stack([np.minimum(low, high), np.maximum(low, high)])


def camera_bounds(mesh: TexturedMesh, scene: SceneSource) -> np.ndarray:
    """Return the bounds (2, 3) in which cameras are placed, in metres."""
    bounds = mesh.bounds
    if scene.street:
        end = scene.length / 2 + 5
        return np.array([[-end, -14, 0.1], [end, 14, min(bounds[1, 2], 12)]])
    return bounds


def overlap(source: DepthView, target: DepthView, pose: np.ndarray) -> float:
    """Return the share of the source's pixels that the target shows."""
    height, width = source.depth.shape
    step = max(1, min(height, width) // 24)
    x, y = np.meshgrid(np.arange(0, width, step), np.arange(0, height, step))
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
    return float(transfer(points, source, target, pose)[1].mean())


def render_pairs(
    scenes: Sequence[SceneSource],
    pictures: Sequence[np.ndarray],
    settings: PairSettings,
    wanted: Sequence[int],
) -> Iterator[tuple[int, RenderedPair | None]]:
    """
    Yield pairs by their numbers, in the order of `wanted`; None if no pair could be found.

    Pairs `PAIRS_PER_VARIATION` * n to + `PAIRS_PER_VARIATION` - 1 show the same variation of a
    scene, scenes taking turns.
    """
    current, variation = -1, None
    for number in wanted:
        block = number // PAIRS_PER_VARIATION
        if block != current:
            scene = scenes[block % len(scenes)]
            rng = np.random.default_rng([settings.seed, 0, block])
            variation, current = vary(scene, pictures, settings, rng), block
        yield number, variation.pair(np.random.default_rng([settings.seed, 1, number]))


def vary(
    scene: SceneSource,
    pictures: Sequence[np.ndarray],
    settings: PairSettings,
    rng: np.random.Generator,
) -> SceneVariation:
    """Return a random variation of a scene; raise ValueError if no camera fits in it."""
    for _ in range(DECORATIONS - 1):
        try:
            return SceneVariation(scene, pictures, settings, rng)
        except ValueError:
            continue
    return SceneVariation(scene, pictures, settings, rng)


def _detail(image: np.ndarray) -> float:
    """Return the standard deviation of an image's fine detail, in gray levels."""
    image = image.astype(np.float32)
    return float((image - cv2.GaussianBlur(image, (0, 0), DETAIL_SIGMA)).std())


def _camera_effects(rng: np.random.Generator) -> dict:
    """Return exposure, vignetting, blur and noise of a view, as fields of `Lighting`."""
    return {
        'mean': float(rng.uniform(75, 145)),
        'vignetting': float(rng.uniform(0, 0.6)) * (rng.random() < 0.5),
        'blur': float(rng.uniform(0.3, 0.8)) * (rng.random() < 0.3),
        'noise': float(rng.uniform(0, 5)) * (rng.random() < 0.7),
        'noise_seed': int(rng.integers(2**31)),
    }


def _upwards(rng: np.random.Generator) -> np.ndarray:
    """Return a unit vector towards a sun 15 to 75 degrees above the horizon."""
    elevation, azimuth = np.deg2rad(rng.uniform(15, 75)), rng.uniform(0, 2 * np.pi)
    level = np.cos(elevation)
    return np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])


def _pick_sky(pictures: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a panorama of the sky: the brightened and blurred upper half of a picture."""
    if not pictures:
        return np.full((8, 8), 200, np.uint8)
    picture = pictures[int(rng.integers(len(pictures)))]
    upper = picture[: max(picture.shape[0] // 2, 8)].astype(np.float32)
    upper = cv2.GaussianBlur(upper, (0, 0), 3)
    panorama = np.concatenate([upper, upper[:, ::-1]], axis=1)
    return np.clip(0.5 * panorama + rng.uniform(60, 120), 0, 255).astype(np.uint8)
