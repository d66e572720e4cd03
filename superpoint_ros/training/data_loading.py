# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Endless, seeded training data: sample i is made from (seed, i) only.

The data therefore depend neither on the number of worker processes nor on interruptions: step s
of batches of b takes the samples s * b to (s + 1) * b - 1. This module has what all datasets
share: `shape_dataset`, `pair_dataset` and `rendered_dataset`.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

TRAINING, VALIDATION, MIXTURE = 0, 1, 2
"""
Streams of random numbers of samples, and of the choice of their source.

Validation samples are never training samples.
"""


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
