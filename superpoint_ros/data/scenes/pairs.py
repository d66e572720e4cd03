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

from superpoint_ros.common.settings_table import setting, SettingsGroup
from superpoint_ros.data.scenes import cameras
from superpoint_ros.data.scenes.correspondences import DepthView, transfer
from superpoint_ros.data.scenes.ray_casting import Lamp, Lighting, PinholeCamera, RenderedView
from superpoint_ros.data.scenes.variations import SceneSource, SceneVariation, vary
from superpoint_ros.geometry.poses import unit_vector

PAIRS_PER_VARIATION = 20
"""Pairs of one decoration of a scene: building it costs about as much as rendering two pairs."""

SHADOWS = 0.6
"""Share of the pairs in which lamps cast shadows."""

CARRIED_LAMPS = 0.3
"""Share of the indoor pairs in which the camera carries a lamp."""

MIN_SURFACE = 0.5
"""Smallest share of a view that shows surfaces and not the sky."""

MIN_DISTANCE = 0.5
"""Smallest median depth of a view in metres."""

MIN_SIDE = 64
"""Smallest width and height of rendered images in pixels."""

MAX_SIDE = 8192
"""Largest width and height of rendered images in pixels."""

ATTEMPTS = 60
"""Second views that are tried for a pair before it counts as impossible."""

MIN_DETAIL = 7.0
"""Smallest standard deviation, in gray levels, of what a view has in detail finer than
`DETAIL_SIGMA`; below it the camera faces a bare wall."""

DETAIL_SIGMA = 4.0
"""Sigma in pixels of the blur that takes away detail."""

COARSE = 8
"""Factor by which views are reduced to find out what they show."""


@dataclass(frozen=True)
class PairSettings(SettingsGroup):
    """Settings of rendered pairs."""

    width: int = setting(320, 'Width of the images.', unit='px', range=(MIN_SIDE, MAX_SIDE))
    height: int = setting(240, 'Height of the images.', unit='px', range=(MIN_SIDE, MAX_SIDE))
    min_baseline: float = setting(
        0.05, 'Smallest distance of the cameras, relative to the median depth.', above=0.0
    )
    max_baseline: float = setting(
        0.7, 'Largest distance of the cameras, relative to the median depth.', above=0.0
    )
    min_overlap: float = setting(
        0.3, 'Smallest share of each view that the other one shows.', above=0.0, below=1.0
    )
    posters: int = setting(
        200, 'Largest number of posters and carpets in a scene.', range=(0, None)
    )
    seed: int = setting(0, 'Random seed.', range=(0, None))

    def __post_init__(self):
        super().__post_init__()
        self.check_order('min_baseline', 'max_baseline')


class RenderedPair(NamedTuple):
    """
    Two views of a scene.

    Attributes:
        first: view whose camera is the origin of `pose`.
        second: the other view.
        camera: the camera of both views.
        pose: (4, 4), maps coordinates of the first camera to those of the second, in metres.
        scene: name of the scene.
        name: name of the file from which the pair was read, '' for others.

    """

    first: RenderedView
    second: RenderedView
    camera: PinholeCamera
    pose: np.ndarray
    scene: str
    name: str = ''

    def depth_views(self) -> tuple[DepthView, DepthView]:
        """Return depth and intrinsics of both views."""
        matrix = self.camera.matrix
        return DepthView(self.first.depth, matrix), DepthView(self.second.depth, matrix)


def render_pair(
    variation: SceneVariation, settings: PairSettings, rng: np.random.Generator
) -> RenderedPair | None:
    """Return a pair of views with enough overlap and detail, None if none was found."""
    for _ in range(ATTEMPTS):
        degrees = rng.uniform(*cameras.FIELD_OF_VIEW)
        camera = PinholeCamera.of_view(settings.width, settings.height, degrees)
        poses = _poses(variation, camera, settings, rng)
        if poses is None:
            continue
        lights = _lights(variation, *poses, rng)
        views = [
            variation.caster.render(camera, pose, light)
            for pose, light in zip(poses, lights, strict=True)
        ]
        if min(_detail(view.image) for view in views) >= MIN_DETAIL:
            pose = np.linalg.inv(poses[1]) @ poses[0]
            return RenderedPair(*views, camera, pose, variation.scene.name)
    return None


def _poses(
    variation: SceneVariation,
    camera: PinholeCamera,
    settings: PairSettings,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the poses of two views that overlap enough, None if this trial failed."""
    place = cameras.free_position(variation.caster, variation.bounds, rng)
    if place is None:
        return None
    pose = cameras.first_pose(place, rng)
    coarse = PinholeCamera(
        camera.focal_length / COARSE, camera.width // COARSE, camera.height // COARSE
    )
    depth = variation.caster.depth(coarse, pose)
    if (depth > 0).mean() < MIN_SURFACE or np.median(depth[depth > 0]) < MIN_DISTANCE:
        return None
    baseline = (settings.min_baseline, settings.max_baseline)
    other = cameras.second_pose(variation.caster, pose, depth, baseline, rng)
    if other is None:
        return None
    first = DepthView(depth, coarse.matrix)
    second = DepthView(variation.caster.depth(coarse, other), coarse.matrix)
    change = np.linalg.inv(other) @ pose
    shared = min(overlap(first, second, change), overlap(second, first, np.linalg.inv(change)))
    return (pose, other) if shared >= settings.min_overlap else None


def _lights(
    variation: SceneVariation, pose: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> tuple[Lighting, Lighting]:
    """Return the light of both views; it moves between them in half of the pairs."""
    shadows = rng.random() < SHADOWS
    moves = rng.random() < 0.5
    if variation.scene.street:
        ambient, strength = rng.uniform(0.35, 0.7), rng.uniform(0.2, 1.0)
        return tuple(
            Lighting(ambient, (), shadows, sun=sun, **_camera_effects(rng))
            for sun in _suns(strength, moves, rng)
        )
    ambient = rng.uniform(0.15, 0.6)
    return tuple(
        Lighting(ambient, lamps, shadows, **_camera_effects(rng))
        for lamps in _lamps(variation, pose, other, moves, rng)
    )


def _suns(strength: float, moves: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors (3,) to the sun in both views, whose length is its strength."""
    elevation, azimuth = np.deg2rad(rng.uniform(15, 75)), rng.uniform(0, 2 * np.pi)
    sun = strength * unit_vector(azimuth, elevation)
    moved = sun + moves * rng.normal(0, 0.4, 3) * np.linalg.norm(sun)
    moved[2] = max(moved[2], 0.15)
    return sun, moved


def _lamps(
    variation: SceneVariation,
    pose: np.ndarray,
    other: np.ndarray,
    moves: bool,
    rng: np.random.Generator,
) -> tuple[tuple[Lamp, ...], tuple[Lamp, ...]]:
    """Return the lamps of both views: one to three of the room, and one that is carried."""
    reach = rng.uniform(1.0, 8.0)
    lamps = []
    for _ in range(int(rng.integers(1, 4))):
        place = cameras.free_position(variation.caster, _lamp_bounds(variation, pose), rng)
        place = pose[:3, 3] if place is None else place
        lamps.append(Lamp(place, rng.uniform(0.5, 1.6), reach))
    moved = [
        lamp._replace(position=lamp.position + moves * rng.normal(0, 0.35 * reach, 3))
        for lamp in lamps
    ]
    if rng.random() < CARRIED_LAMPS:
        strength = rng.uniform(0.5, 1.5)
        lamps.append(Lamp(pose[:3, 3] + [0, 0, 0.1], strength, reach))
        moved.append(Lamp(other[:3, 3] + [0, 0, 0.1], strength, reach))
    return tuple(lamps), tuple(moved)


def _lamp_bounds(variation: SceneVariation, pose: np.ndarray) -> np.ndarray:
    """Return the bounds around a camera within which its lamps hang."""
    return np.clip(pose[:3, 3] + [[-5, -5, -0.5], [5, 5, 3]], *variation.bounds)


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
    scene; the scenes alternate.
    """
    current, variation = -1, None
    for number in wanted:
        block = number // PAIRS_PER_VARIATION
        if block != current:
            scene = scenes[block % len(scenes)]
            rng = np.random.default_rng([settings.seed, 0, block])
            variation, current = vary(scene, pictures, settings.posters, rng), block
        rng = np.random.default_rng([settings.seed, 1, number])
        yield number, render_pair(variation, settings, rng)


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
