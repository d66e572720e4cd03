# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Pairs of views of labelled photographs, between which every point's place is known.

Sample i is made from (seed, i) and from nothing else, see
`superpoint_ros.training.endless_dataset`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
import zlib

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from superpoint_ros.data.photometric import augment
from superpoint_ros.data.random_homographies import sample_homography
from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.data.synthetic_shapes.shapes import random_shape
from superpoint_ros.geometry.homography import valid_mask, warp_image, warp_points
from superpoint_ros.training.cell_labels import cell_labels, DUSTBIN, IGNORED, valid_cells
from superpoint_ros.training.endless_dataset import TRAINING, VALIDATION
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.training.repeatability_targets import find_repeats
from superpoint_ros.training.superpoint_recipe import SuperPointRecipe

UNTRUSTED_BORDER = 3
"""Pixels at a photograph's border that count as beyond it."""

HELD_OUT = 20
"""One of so many photographs is kept for validation."""

KEPT_BYTES = 2**30
"""Memory of a process for photographs; those beyond it are read from disk again and again."""

CHECKED = 16
"""Photographs that are read before a training starts, to find labels of other images early."""


class Scene(NamedTuple):
    """Hold a picture, uint8 (H, W), its keypoints (N, 2), and pixels (M, 2) that may be some."""

    image: np.ndarray
    points: np.ndarray
    doubtful: np.ndarray


class Photographs:
    """
    The images of a folder, with their labels if any, kept in memory as far as `KEPT_BYTES` go.

    Those whose name says so are held out for validation (one of `HELD_OUT`), whatever else is in
    the folder, or else a single one; `stream` chooses. With a folder of `labels`, only images that
    have some are taken. Raises ValueError where none is left, and
    where the labels were made for other images.
    """

    def __init__(self, images: Path, labels: Path | None, stream: int, least_score: float = 0.0):
        self.labels = LabelFolder(labels) if labels else None
        self.least_score = least_score
        found = self.labels.labelled(images) if self.labels else list_images(images)
        held_out = _held_out(found) if found else set()
        self.paths = [path for path in found if (path in held_out) == (stream == VALIDATION)]
        if not self.paths:
            kind = 'labelled images' if self.labels else 'images'
            raise ValueError(
                f'{images} holds {len(found)} {kind}; there must be at least 2, one to train on '
                'and one to validate with'
            )
        self._scenes: dict[int, Scene] = {}
        self._kept = 0

    def check(self) -> None:
        """Raise ValueError if some cannot be read or are not what their labels were made for."""
        for path in self.paths[:: -(-len(self.paths) // CHECKED)]:
            image = read_image(path)
            if self.labels:
                self.labels.read(path, image)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Scene:
        if index in self._scenes:
            return self._scenes[index]
        path = self.paths[index]
        image = read_image(path)
        if self.labels:
            keypoints, scores = self.labels.read(path, image)
            sure = scores >= self.least_score
            scene = Scene(image, keypoints[sure], keypoints[~sure])
        else:
            scene = Scene(image, np.zeros((0, 2)), np.zeros((0, 2)))
        if self._kept + image.nbytes <= KEPT_BYTES:
            self._kept += image.nbytes
            self._scenes[index] = scene
        return scene


def _held_out(paths: list[Path]) -> set[Path]:
    """Return the photographs that are kept for validation, at least one."""
    numbers = {path: zlib.crc32(path.name.encode()) for path in paths}
    held_out = {path for path, number in numbers.items() if number % HELD_OUT == 0}
    return held_out or {min(paths, key=numbers.__getitem__)}


class PairSamples(Dataset):
    """
    Make pairs of views; the index is any number from 0 up.

    A sample is a dictionary, image A coming before image B: `images` uint8 (2, H, W), `shown`
    bool (2, H/8, W/8), the cells that show nothing but the scene, `homography` float32 (3, 3) from
    A to B, `points` float32 (2, K, 2), the places of K scene points in both, and `valid` bool
    (K,), whether both images show the point. What the detector learns is either `labels`, int64
    (2, H/8, W/8), or `targets` and `known`, see `repeats.Repeats`.
    """

    def __init__(self, recipe: SuperPointRecipe, stream: int = TRAINING):
        self.recipe = recipe
        self.stream = stream
        self.size = (recipe.width, recipe.height)
        self.photographs = Photographs(
            Path(recipe.images),
            Path(recipe.labels) if recipe.detector == 'labels' else None,
            self.stream,
            recipe.least_score,
        )
        self.photographs.check()

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.recipe.seed, self.stream, index])
        scene = self._scene(rng)
        view_a = self._first_view(scene.image.shape[::-1], rng)
        change = sample_homography(rng, self.size, self.recipe.homography)
        views = (view_a, change @ view_a)
        images, masks = zip(*(self._look(scene, view, rng) for view in views), strict=True)
        points, valid = self._shared_points(scene, views, rng)
        if self.recipe.detector == 'labels':
            labels = [self._labels(scene, *seen, rng) for seen in zip(views, masks, strict=True)]
            lesson = {'labels': np.stack(labels)}
        else:
            lesson = self._repeats(images, change, masks, points, valid, rng)
        sample = {
            'images': np.stack(images),
            'shown': np.stack([valid_cells(mask) for mask in masks]),
            'homography': change.astype(np.float32),
            'points': points.astype(np.float32),
            'valid': valid,
            **lesson,
        }
        return {name: torch.from_numpy(value) for name, value in sample.items()}

    def _scene(self, rng: np.random.Generator) -> Scene:
        """Return a photograph, or sometimes synthetic shapes, at times mirrored."""
        if rng.random() < self.recipe.shapes:
            drawn = random_shape(rng, (self.recipe.width * 5 // 4, self.recipe.height * 5 // 4))
            return Scene(drawn.image, drawn.points, np.zeros((0, 2)))
        scene = self.photographs[int(rng.integers(len(self.photographs)))]
        if rng.random() < 0.5:
            image, *points = scene
            mirrored = (p * [-1, 1] + [image.shape[1] - 1, 0] for p in points)
            return Scene(np.ascontiguousarray(image[:, ::-1]), *mirrored)
        return scene

    def _first_view(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Return the homography from a picture of this size to an upright part of it."""
        recipe = self.recipe
        most = min(size[0] / recipe.width, size[1] / recipe.height)
        step = np.exp(rng.uniform(np.log(min(recipe.finest, most)), np.log(most)))
        free = np.array(size) - step * np.array(self.size)
        corner = free * rng.random(2)
        scale = np.diag([1 / step, 1 / step, 1.0])
        scale[:2, 2] = (0.5 - corner) / step - 0.5  # pixels' corners, not centres, scale
        return scale

    def _look(
        self, scene: Scene, view: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the view shows, in some light, and bool (H, W), what of it is the scene."""
        height, width = scene.image.shape
        image = warp_image(
            _smoothed(scene.image, view, self.size), view, self.size, cv2.BORDER_REFLECT_101
        )
        if rng.random() < self.recipe.augmented:
            image = augment(image, rng, self.recipe.photometric)
        return image, valid_mask(view, (width, height), self.size, UNTRUSTED_BORDER)

    def _labels(
        self, scene: Scene, view: np.ndarray, mask: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the labels of a view's cells."""
        labels = cell_labels(warp_points(scene.points, view), self.size, rng, mask)
        doubtful = cell_labels(warp_points(scene.doubtful, view), self.size, rng)
        labels[(labels == DUSTBIN) & (doubtful != DUSTBIN)] = IGNORED
        return labels

    def _repeats(
        self,
        images: tuple[np.ndarray, np.ndarray],
        homography: np.ndarray,
        masks: tuple[np.ndarray, np.ndarray],
        points: np.ndarray,
        valid: np.ndarray,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Return what the views repeat, and put points of that kind in the place of others."""
        recipe = self.recipe
        density = np.exp(rng.uniform(np.log(recipe.sparsest), np.log(recipe.densest)))
        repeats = find_repeats(images, homography, masks, float(density))
        most = int(recipe.points * recipe.labelled)
        chosen = rng.permutation(repeats.points.shape[1])[:most]
        points[:, : len(chosen)] = repeats.points[:, chosen]
        valid[: len(chosen)] = True
        return {'targets': repeats.targets, 'known': repeats.known}

    def _shared_points(
        self, scene: Scene, views: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return K points, (2, K, 2), in both views, and bool (K,), whether both show them.

        Up to a share of them are labels that both views show, as the descriptors of these are
        those that will be used; the others lie anywhere in view A.
        """
        recipe, size = self.recipe, np.array(self.size)
        inverse = np.linalg.inv(views[0])
        in_both = np.ones(len(scene.points), bool)
        for view in views:
            in_both &= _inside(warp_points(scene.points, view), size)
        labels = rng.permutation(scene.points[in_both])[: int(recipe.points * recipe.labelled)]
        anywhere = rng.uniform([0, 0], size - 1, (recipe.points - len(labels), 2))
        sources = np.concatenate([labels, warp_points(anywhere, inverse)]).astype(np.float64)
        seen = [warp_points(sources, view) for view in views]
        valid = _inside(sources, np.array(scene.image.shape[::-1]), UNTRUSTED_BORDER)
        for points in seen:
            valid &= _inside(points, size)
        return np.nan_to_num(np.stack(seen), nan=0.0), valid


def _inside(points: np.ndarray, size: np.ndarray, margin: float = 0) -> np.ndarray:
    """Return whether points (N, 2) lie in an image of this (width, height), off its border."""
    with np.errstate(invalid='ignore'):
        return ((points >= margin) & (points <= size - 1 - margin)).all(axis=1)


def _smoothed(image: np.ndarray, view: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the image without the details that are too fine for the view's middle."""
    middle = np.array([[size[0] / 2, size[1] / 2]])
    corners = np.concatenate([middle, middle + [1, 0], middle + [0, 1]])
    a, b, c = warp_points(corners, np.linalg.inv(view))
    (across_x, across_y), (down_x, down_y) = b - a, c - a
    # Pixels of the image to one of the view, where neither direction counts more.
    step = np.sqrt(abs(across_x * down_y - across_y * down_x))
    if not step > 1.2:
        return image
    return cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(min(step, 8.0) ** 2 - 1))
