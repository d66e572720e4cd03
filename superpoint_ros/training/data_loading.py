# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Endless, seeded training data: sample i is made from (seed, i) only.

The data therefore depend neither on the number of worker processes nor on interruptions: step s
of batches of b takes the samples s * b to (s + 1) * b - 1. This module has what all datasets share
and the dataset of synthetic shapes; `superpoint_ros.training.pair_dataset` has pairs of views.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from superpoint_ros.data.photometric import augment
from superpoint_ros.data.random_homographies import sample_homography
from superpoint_ros.data.synthetic_shapes.shapes import random_shape, ShapeImage, warp_shape
from superpoint_ros.training.targets import cell_labels
from superpoint_ros.training.training_recipes import MagicPointRecipe

TRAINING, VALIDATION = 0, 1
"""Streams of random numbers: validation samples are never training samples."""


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


class Steps(Sampler):
    """
    Indices of the samples of each step from `start` on, without end.

    If several processes train together, each takes its part of a step.
    """

    def __init__(self, batch: int, start: int = 0, rank: int = 0, world: int = 1):
        self.batch, self.start, self.rank, self.world = batch, start, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        step = self.start
        while True:
            first = (step * self.world + self.rank) * self.batch
            yield list(range(first, first + self.batch))
            step += 1


def endless_loader(dataset: Dataset, steps: Steps, workers: int) -> DataLoader:
    """Return a loader of the batches of these steps, made by `workers` processes (0: this one)."""
    return DataLoader(
        dataset,
        batch_sampler=steps,
        num_workers=workers,
        worker_init_fn=_use_one_thread,
        multiprocessing_context='spawn' if workers else None,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )


def _use_one_thread(_worker: int) -> None:
    """Limit a worker process to one thread: there is one worker for each core."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
