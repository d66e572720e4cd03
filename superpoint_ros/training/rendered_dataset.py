# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Pairs of views of rendered 3-D scenes, alone or mixed with pairs of photographs.

Each rendered view is seen through a homography that crops, turns, enlarges and mirrors it. Points
go back through the homography of one view, through depth and pose, and through the homography of
the other: correspondences stay exact, and occluded points have none.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from superpoint_ros.common.wording import counted
from superpoint_ros.data.scenes.correspondences import DepthView, transfer
from superpoint_ros.data.scenes.pair_cache import list_pairs, read_pair
from superpoint_ros.data.scenes.pairs import RenderedPair
from superpoint_ros.geometry.homography import warp_points
from superpoint_ros.training.data_loading import MIXTURE, TRAINING
from superpoint_ros.training.pair_dataset import augmented_view, HomographyPairDataset, make_sample
from superpoint_ros.training.targets import make_detector_targets, ViewPair
from superpoint_ros.training.training_recipes import SuperPointRecipe

GRID = 16
"""Pixels between the points that determine which part of a view the other one shows."""

NO_POINTS = np.zeros((2, 0, 2))


class RenderedPairDataset(Dataset):
    """
    Random views of the rendered pairs in a folder; the index is any number from 0 up.

    Samples are those of `pair_dataset.make_sample`. Raises ValueError if the folder has no pairs,
    or fewer than the recipe uses.
    """

    def __init__(self, recipe: SuperPointRecipe):
        self.recipe = recipe
        self.size = np.array([recipe.width, recipe.height])
        self.targets = make_detector_targets(recipe)
        self.paths = list_pairs(Path(recipe.pairs))
        if len(self.paths) < recipe.rendered_count:
            raise ValueError(
                f'{recipe.pairs} holds {counted(len(self.paths), "rendered pair")}, and '
                f'rendered_count is {recipe.rendered_count}'
            )
        self.paths = self.paths[: recipe.rendered_count or None]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.recipe.seed, TRAINING, index])
        pair = self.draw(rng)
        return make_sample(pair, self.targets.make(pair, rng), self.recipe, rng)

    def draw(self, rng: np.random.Generator) -> ViewPair:
        """Return two views of a random pair, in random order."""
        pair = read_pair(self.paths[int(rng.integers(len(self.paths)))])
        depth_views, pose = pair.depth_views(), pair.pose
        pictures = [pair.first.image, pair.second.image]
        if rng.random() < 0.5:
            depth_views, pose = depth_views[::-1], np.linalg.inv(pose)
            pictures = pictures[::-1]
        views = self._views(pair, depth_views, pose, rng)
        images, seen = zip(
            *(
                augmented_view(picture, view, self.recipe, rng)
                for picture, view in zip(pictures, views, strict=True)
            ),
            strict=True,
        )
        mappings = (
            partial(map_points, views, depth_views, pose),
            partial(map_points, views[::-1], depth_views[::-1], np.linalg.inv(pose)),
        )
        return ViewPair(images, seen, mappings, NO_POINTS, NO_POINTS)

    def _views(
        self,
        pair: RenderedPair,
        depth_views: tuple[DepthView, DepthView],
        pose: np.ndarray,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        """Return homographies (3, 3) from both pictures to views of what both show."""
        size = np.array([pair.camera.width, pair.camera.height])
        x, y = np.meshgrid(np.arange(0, size[0], GRID), np.arange(0, size[1], GRID))
        grid = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        positions, visible = transfer(grid, *depth_views, pose)
        shared = [grid[visible], positions[visible]] if visible.any() else [size[None] / 2] * 2
        mirrored = rng.random() < 0.5
        chosen = int(rng.integers(len(shared[0])))
        return [
            self._view(size, (points.mean(axis=0) + points[chosen]) / 2, mirrored, rng)
            for points in shared
        ]

    def _view(
        self, size: np.ndarray, centre: np.ndarray, mirrored: bool, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the homography from a picture to a turned and enlarged view around a point."""
        recipe = self.recipe
        angle = np.deg2rad(rng.normal(0, recipe.rendered_rotation_sigma))
        limit = np.log(recipe.rendered_max_scale)
        # From the whole picture to its own resolution, and the random scale besides.
        whole = min(float((self.size / size).min()), 1.0)
        scale = whole ** rng.random() * np.exp(rng.uniform(-limit, limit))
        half = self.size / (2 * scale)
        centre = np.clip(centre, np.minimum(half, size / 2), np.maximum(size - half, size / 2))
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        if mirrored:
            turn = turn * [-1, 1]
        homography = np.eye(3)
        homography[:2, :2] = turn
        homography[:2, 2] = (self.size - 1) / 2 - turn @ centre
        return homography


class MixedPairDataset(Dataset):
    """Pairs of photographs, of which a share is replaced by rendered pairs."""

    def __init__(self, recipe: SuperPointRecipe):
        self.recipe = recipe
        self.photographs = HomographyPairDataset(recipe)
        self.rendered = RenderedPairDataset(recipe)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.recipe.seed, MIXTURE, index])
        rendered = rng.random() < self.recipe.rendered
        return (self.rendered if rendered else self.photographs)[index]


def make_pair_dataset(recipe: SuperPointRecipe) -> Dataset:
    """Return the training pairs that the recipe names."""
    return MixedPairDataset(recipe) if recipe.rendered else HomographyPairDataset(recipe)


def map_points(
    views: tuple[np.ndarray, np.ndarray],
    depth_views: tuple[DepthView, DepthView],
    pose: np.ndarray,
    points: np.ndarray,
) -> np.ndarray:
    """
    Return the positions in one view of points (N, 2) of the other, NaN if they are not visible.

    `views` are the homographies from both pictures to their views, source first.
    """
    source = warp_points(np.asarray(points, np.float64), np.linalg.inv(views[0]))
    positions, visible = transfer(source, *depth_views, pose)
    positions[~visible] = np.nan
    return warp_points(positions, views[1])
