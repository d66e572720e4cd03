# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Endless, seeded images of synthetic shapes with labels."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from superpoint_ros.data.photometric import augment
from superpoint_ros.data.random_homographies import sample_homography
from superpoint_ros.data.synthetic_shapes.shapes import random_shape, ShapeImage, warp_shape
from superpoint_ros.training.data_loading import TRAINING
from superpoint_ros.training.targets import cell_labels
from superpoint_ros.training.training_recipes import MagicPointRecipe


class ShapeDataset(Dataset):
    """
    Labelled images of synthetic shapes; the index is any number from 0 up.

    A sample is a dictionary: `image` uint8 (1, H, W), `labels` int64 (H/8, W/8).
    """

    def __init__(self, recipe: MagicPointRecipe, stream: int = TRAINING):
        self.recipe = recipe
        self.stream = stream
        self.size = (recipe.width, recipe.height)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = self.rng(index)
        image, points = self.draw(rng)
        labels = cell_labels(points, self.size, rng)
        return {'image': torch.from_numpy(image)[None], 'labels': torch.from_numpy(labels)}

    def rng(self, index: int) -> np.random.Generator:
        """Return the random number generator of a sample."""
        return np.random.default_rng([self.recipe.seed, self.stream, index])

    def draw(self, rng: np.random.Generator) -> ShapeImage:
        """Return an image, uint8 (H, W), and its keypoints (N, 2)."""
        recipe = self.recipe
        shape = random_shape(rng, self.size)
        if rng.random() < recipe.warped:
            shape = warp_shape(shape, sample_homography(rng, self.size, recipe.homography))
        image = shape.image
        if rng.random() < recipe.augmented:
            image = augment(image, rng, recipe.photometric)
        return ShapeImage(np.ascontiguousarray(image), shape.points)
