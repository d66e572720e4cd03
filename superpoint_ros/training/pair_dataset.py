# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Pairs of views of photographs, related by a random homography.

To add another source of pairs, write a Dataset that makes a `targets.ViewPair` from (seed, index)
and returns `make_sample(pair, targets, recipe, rng)`, as `rendered_dataset` does. The mappings of
the pair give the correspondences; they may be any functions of points, for instance from depth
maps. All losses then work unchanged, and samples of several sources may share a batch.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from superpoint_ros.data.photometric import augment
from superpoint_ros.data.random_homographies import sample_homography
from superpoint_ros.data.synthetic_shapes.shapes import random_shape
from superpoint_ros.geometry.homography import valid_mask, warp_image, warp_points
from superpoint_ros.training.data_loading import TRAINING
from superpoint_ros.training.losses import cell_centres
from superpoint_ros.training.photographs import LabelledImage, Photographs
from superpoint_ros.training.targets import (
    is_visible,
    make_detector_targets,
    PairTargets,
    valid_cells,
    ViewPair,
)
from superpoint_ros.training.training_recipes import SuperPointRecipe

UNTRUSTED_BORDER = 3
"""Border of a photograph in pixels that counts as not seen."""


FAR_AWAY = -1e6
"""Coordinate of a point without a position in the other view."""


class HomographyPairDataset(Dataset):
    """
    Pairs of views of photographs and synthetic shapes; the index is any number from 0 up.

    A sample is described at `make_sample`.
    """

    def __init__(self, recipe: SuperPointRecipe, stream: int = TRAINING):
        self.recipe = recipe
        self.stream = stream
        self.size = (recipe.width, recipe.height)
        self.targets = make_detector_targets(recipe)
        labels = Path(recipe.labels) if recipe.detector_targets == 'pseudo_labels' else None
        self.photographs = Photographs(
            Path(recipe.images), labels, stream, recipe.min_score, recipe.image_list
        )
        self.photographs.check()

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = self.rng(index)
        pair, _ = self.draw(rng)
        return make_sample(pair, self.targets.make(pair, rng), self.recipe, rng)

    def rng(self, index: int) -> np.random.Generator:
        """Return the random number generator of a sample."""
        return np.random.default_rng([self.recipe.seed, self.stream, index])

    def draw(self, rng: np.random.Generator) -> tuple[ViewPair, np.ndarray]:
        """Return a pair of views and the homography (3, 3) from A to B."""
        picture = self._picture(rng)
        view_a = self._first_view(picture.image.shape[::-1], rng)
        homography = sample_homography(rng, self.size, self.recipe.homography)
        views = (view_a, homography @ view_a)
        images, seen = zip(
            *(augmented_view(picture.image, view, self.recipe, rng) for view in views), strict=True
        )
        pair = ViewPair(
            images,
            seen,
            (
                partial(warp_points, homography=homography),
                partial(warp_points, homography=np.linalg.inv(homography)),
            ),
            np.stack([warp_points(picture.points, view) for view in views]),
            np.stack([warp_points(picture.uncertain, view) for view in views]),
        )
        return pair, homography

    def _picture(self, rng: np.random.Generator) -> LabelledImage:
        """Return a photograph, half of them mirrored, or synthetic shapes."""
        if rng.random() < self.recipe.shapes:
            drawn = random_shape(rng, (self.recipe.width * 5 // 4, self.recipe.height * 5 // 4))
            return LabelledImage(drawn.image, drawn.points, np.zeros((0, 2)))
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        if rng.random() < 0.5:
            image, *points = photograph
            mirrored = (p * [-1, 1] + [image.shape[1] - 1, 0] for p in points)
            return LabelledImage(np.ascontiguousarray(image[:, ::-1]), *mirrored)
        return photograph

    def _first_view(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Return the homography from a picture of this (width, height) to an upright crop."""
        recipe = self.recipe
        most = min(size[0] / recipe.width, size[1] / recipe.height)
        step = np.exp(rng.uniform(np.log(min(recipe.min_downscale, most)), np.log(most)))
        free = np.array(size) - step * np.array(self.size)
        corner = free * rng.random(2)
        scale = np.diag([1 / step, 1 / step, 1.0])
        scale[:2, 2] = (0.5 - corner) / step - 0.5  # the corners of pixels scale, not the centres
        return scale


def augmented_view(
    picture: np.ndarray, view: np.ndarray, recipe: SuperPointRecipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the augmented view of a picture and bool (H, W): pixels that show the picture.

    `picture` is uint8 (H', W'), `view` the homography (3, 3) from it to the view.
    """
    height, width = picture.shape
    size = (recipe.width, recipe.height)
    image = warp_image(_smoothed(picture, view, size), view, size, cv2.BORDER_REFLECT_101)
    if rng.random() < recipe.augmented:
        image = augment(image, rng, recipe.photometric)
    return image, valid_mask(view, (width, height), size, UNTRUSTED_BORDER)


def make_sample(
    pair: ViewPair, targets: PairTargets, recipe: SuperPointRecipe, rng: np.random.Generator
) -> dict[str, torch.Tensor]:
    """
    Return the training sample of a pair; view A comes before view B.

    It holds `images` uint8 (2, H, W); `shown` bool (2, H/8, W/8), cells that show only the scene;
    `cells_in_b` float32 (H/8, W/8, 2), the positions in B of the centres of A's cells, far outside
    if they have none; `points` float32 (2, K, 2), the positions of K scene points in both views,
    and `valid` bool (K,), whether both views show the point; and the fields of the targets.
    """
    cells = valid_cells(pair.seen[0]).shape
    centres = pair.mappings[0](cell_centres(*cells).numpy().astype(np.float64))
    points, valid = _descriptor_points(pair, targets.keypoints, recipe, rng)
    sample = {
        'images': np.stack(pair.images),
        'shown': np.stack([valid_cells(seen) for seen in pair.seen]),
        'cells_in_b': np.nan_to_num(centres, nan=FAR_AWAY).reshape(*cells, 2).astype(np.float32),
        'points': points.astype(np.float32),
        'valid': valid,
        **targets.fields,
    }
    return {name: torch.from_numpy(value) for name, value in sample.items()}


def _descriptor_points(
    pair: ViewPair, keypoints: np.ndarray, recipe: SuperPointRecipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return K points in both views, (2, K, 2), and bool (K,): whether both views show them.

    Up to a share of them are keypoints, as detection will describe these; the others are random
    positions in view A.
    """
    size = np.array(pair.images[0].shape[::-1])
    most = int(recipe.points * recipe.keypoint_share)
    chosen = keypoints[:, rng.permutation(keypoints.shape[1])[:most]]
    a = rng.uniform([0, 0], size - 1, (recipe.points - chosen.shape[1], 2))
    points = np.concatenate([chosen, np.stack([a, pair.mappings[0](a)])], axis=1)
    valid = is_visible(points[0], pair.seen[0]) & is_visible(points[1], pair.seen[1])
    return np.nan_to_num(points, nan=0.0), valid


def _smoothed(image: np.ndarray, view: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the image without details that are too fine for the centre of the view."""
    middle = np.array([[size[0] / 2, size[1] / 2]])
    corners = np.concatenate([middle, middle + [1, 0], middle + [0, 1]])
    a, b, c = warp_points(corners, np.linalg.inv(view))
    (across_x, across_y), (down_x, down_y) = b - a, c - a
    # Image pixels per view pixel, the geometric mean of both directions.
    step = np.sqrt(abs(across_x * down_y - across_y * down_x))
    if not step > 1.2:
        return image
    return cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(min(step, 8.0) ** 2 - 1))
