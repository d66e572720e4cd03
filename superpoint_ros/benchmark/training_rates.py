# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates of training: images per second of the data, of the network, and of both together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
import tempfile
import time
from typing import Any
import warnings

import numpy as np
import torch
from torch.utils.data import Dataset

from superpoint_ros.benchmark.frame_times import Progress
from superpoint_ros.benchmark.machine import use_threads
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.geometry.homography import rescale_image
from superpoint_ros.model.config import CELL, SMALLEST_SIDE
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import default_weights, demo_photographs
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.data_loading import endless_loader, Steps
from superpoint_ros.training.homographic_adaptation import label_image, network_heatmaps
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.training.lightning_modules import (
    MagicPointModule,
    SuperPointModule,
    TrainingModule,
)
from superpoint_ros.training.pair_dataset import HomographyPairDataset
from superpoint_ros.training.recipe_files import read_recipe, recipe_path
from superpoint_ros.training.shape_dataset import ShapeDataset
from superpoint_ros.training.training_recipes import MagicPointRecipe, SuperPointRecipe

RECIPE = 'cpu'

SECONDS = 10.0
"""Duration of the measurement of each rate; at least two steps are made."""

_IN_ADVANCE = 4  # batches that each process of `endless_loader` makes in advance
_AUTOCAST = {'bf16-mixed': torch.bfloat16, '16-mixed': torch.float16}


def measure_training(
    threads: int,
    progress: Progress,
    seconds: float = SECONDS,
    changes: Mapping[str, Sequence[str]] | None = None,
) -> dict:
    """
    Return the images per second of data and network with the recipes for CPUs.

    The data comes from the processes of the recipe, each with one thread. The network makes whole
    steps on a batch in memory, with `threads`. Together, the network waits for the data as in
    training. Of homographic adaptation, the warped views per second are measured, and those of the
    network alone.
    `changes` are options that override the recipes 'magicpoint', 'superpoint' and 'adapt'.
    """
    use_threads(threads)
    changes = changes or {}
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / 'labels'
        adapted = _measure_adaptation(labels, changes.get('adapt', ()), progress)
        stages = []
        for name, recipe, make in (
            ('magicpoint', RECIPE, _magicpoint),
            ('superpoint', RECIPE, _superpoint),
            ('superpoint', 'repeatability', _superpoint),
        ):
            parts = make(labels, recipe, changes.get(name, ()))
            measured = _measure_stage(*parts, threads, progress, seconds)
            stages.append({'recipe': recipe, **measured})
    return {'stages': stages, 'adaptation': adapted}


def _magicpoint(
    _labels: Path, name: str, changes: Sequence[str]
) -> tuple[TrainingModule, Dataset]:
    recipe = read_recipe(MagicPointRecipe, recipe_path('magicpoint', name), changes)
    return MagicPointModule(recipe, Path()), ShapeDataset(recipe)


def _superpoint(labels: Path, name: str, changes: Sequence[str]) -> tuple[TrainingModule, Dataset]:
    images = demo_photographs()[0].parent
    options = ['--images', str(images), '--labels', str(labels), *changes]
    recipe = read_recipe(SuperPointRecipe, recipe_path('superpoint', name), options)
    return SuperPointModule(recipe, Path()), HomographyPairDataset(recipe)


def _measure_stage(
    stage: TrainingModule, dataset: Dataset, threads: int, progress: Progress, seconds: float
) -> dict:
    """Return the rates of a stage, in images per second."""
    recipe = stage.recipe
    batches = iter(endless_loader(dataset, Steps(recipe.batch), recipe.workers))
    progress(f'data of {stage.name}')
    batch = next(batches)  # the processes start
    images = _images(batch)
    use_threads(threads)  # a loader without processes limits the threads of this one
    _drain(batches, recipe.workers)
    data_rate = calls_per_second(lambda: next(batches), seconds)
    progress(f'network of {stage.name}')
    step = _stepper(stage)
    step(batch)
    network_rate = calls_per_second(lambda: step(batch), seconds)
    progress(f'data and network of {stage.name}')
    _drain(batches, recipe.workers)
    waits: list[float] = []
    together_rate = calls_per_second(lambda: step(_timed(batches, waits)), seconds)
    return {
        'stage': stage.name,
        'size': [recipe.width, recipe.height],
        'batch_images': images,
        'workers': recipe.workers,
        'precision': recipe.precision,
        'data_rate': images * data_rate,
        'network_rate': images * network_rate,
        'together_rate': images * together_rate,
        'waiting': min(sum(waits) / len(waits) * together_rate, 1.0),
    }


def _drain(batches: Iterator[dict], workers: int) -> None:
    """Discard the batches that were made in advance: they do not show the rate."""
    for _ in range(_IN_ADVANCE * workers):
        next(batches)


def _timed(batches: Iterator[dict], waits: list[float]) -> dict:
    """Return the next batch, and append the waiting time to `waits`."""
    start = time.perf_counter()
    batch = next(batches)
    waits.append(time.perf_counter() - start)
    return batch


def _images(batch: dict[str, torch.Tensor]) -> int:
    """Return the number of images in a batch; a pair has two."""
    images = batch['image'] if 'image' in batch else batch['images']
    return images.shape[0] * images.shape[1]


def calls_per_second(work: Callable[[], Any], seconds: float) -> float:
    """Return calls of `work` per second, measured for `seconds` and at least two calls."""
    start, count, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < seconds or count < 2:
        work()
        count += 1
        elapsed = time.perf_counter() - start
    return count / elapsed


def _stepper(stage: TrainingModule) -> Callable[[dict[str, torch.Tensor]], None]:
    """Return a function that makes a training step: forward, backward, optimizer."""
    optimizer = stage.configure_optimizers()['optimizer']
    dtype = _AUTOCAST.get(stage.recipe.precision)
    stage.train()

    def step(batch: dict[str, torch.Tensor]) -> None:
        with torch.autocast('cpu', dtype) if dtype else nullcontext(), _quiet():
            loss = stage.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Lightning's warning about logging without a trainer."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message=r'You are trying to `self\.log\(\)`')
        yield


def _measure_adaptation(labels: Path, changes: Sequence[str], progress: Progress) -> dict:
    """Label the photographs of the package; return the views per second."""
    recipe = read_recipe(AdaptationRecipe, recipe_path('adapt', RECIPE), changes)
    model, _ = load_weights(default_weights())
    heatmaps = network_heatmaps(model, 'cpu')
    folder = LabelFolder(labels, {'weights': 'shipped'})
    paths = demo_photographs()
    photographs = [read_image(path) for path in paths]
    batches = -(-recipe.homographies // recipe.batch)
    progress('homographic adaptation')
    label_image(photographs[0], heatmaps, recipe, np.random.default_rng(0))
    labelling = alone = 0.0
    # Alternating photograph by photograph: a slowdown of the machine affects both times.
    for number, (path, image) in enumerate(zip(paths, photographs, strict=True)):
        start = time.perf_counter()
        found = label_image(image, heatmaps, recipe, np.random.default_rng(number))
        labelling += time.perf_counter() - start
        folder.write(path, image, found)
        factor = recipe.longest_side / max(image.shape) if recipe.longest_side else 1.0
        reduced, _ = rescale_image(image, min(factor, 1.0), SMALLEST_SIDE)
        height, width = (side // CELL * CELL for side in reduced.shape)
        batch = np.stack([reduced[:height, :width]] * recipe.batch)
        start = time.perf_counter()
        for _ in range(batches):
            heatmaps(batch)
        alone += time.perf_counter() - start
    return {
        'stage': 'adaptation',
        'recipe': RECIPE,
        'views': recipe.homographies,
        'view_rate': recipe.homographies * len(paths) / labelling,
        'network_rate': batches * recipe.batch * len(paths) / alone,
    }
