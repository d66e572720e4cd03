# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Training: images a second of its data alone, of its network alone, and of both together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
import itertools
from pathlib import Path
import tempfile
import time
from typing import Any
import warnings

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from superpoint_ros.benchmark.frame_times import Progress
from superpoint_ros.benchmark.memory import use_threads
from superpoint_ros.benchmark.profiling import shares_of
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.files import default_weights, demo_photographs
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training import (
    endless_dataset as data,
)
from superpoint_ros.training import (
    homographic_adaptation as adaptation,
)
from superpoint_ros.training import (
    pair_dataset as pairs,
)
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.training.magicpoint_stage import MagicPoint
from superpoint_ros.training.recipe import MagicPointRecipe, read_recipe, recipe_path
from superpoint_ros.training.stage import Stage
from superpoint_ros.training.superpoint_recipe import SuperPointRecipe
from superpoint_ros.training.superpoint_stage import SuperPointStage

RECIPE = 'cpu'

SECONDS = 10.0
"""Time for which each rate is measured, and two steps at least."""

_PROFILED = 24  # samples whose parts are measured
_IN_ADVANCE = 4  # batches that `endless_loader` has each process make in advance
_AUTOCAST = {'bf16-mixed': torch.bfloat16, '16-mixed': torch.float16}


def measure_training(
    threads: int,
    progress: Progress,
    seconds: float = SECONDS,
    changes: Mapping[str, Sequence[str]] | None = None,
) -> dict:
    """
    Return images a second of the data and network of both stages' recipes for CPUs.

    The data comes from the recipe's processes, each with one thread; the network makes whole steps
    on batches that are there, with `threads`; together it waits for the data as in a training. The
    parts are shares of the time that a sample's functions take. Of homographic adaptation views a
    second are measured, and those of the network alone. `changes` are options that override the
    recipes 'magicpoint', 'superpoint' and 'adapt'.
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
            ('superpoint', 'repeats', _superpoint),
        ):
            parts = make(labels, recipe, changes.get(name, ()))
            measured = _measure_stage(*parts, threads, progress, seconds)
            stages.append({'recipe': recipe, **measured})
    return {'stages': stages, 'adaptation': adapted}


def _magicpoint(_labels: Path, name: str, changes: Sequence[str]) -> tuple[Stage, Dataset, str]:
    recipe = read_recipe(MagicPointRecipe, recipe_path('magicpoint', name), changes)
    return MagicPoint(recipe, Path()), data.ShapeSamples(recipe), 'data.py'


def _superpoint(labels: Path, name: str, changes: Sequence[str]) -> tuple[Stage, Dataset, str]:
    images = demo_photographs()[0].parent
    options = ['--images', str(images), '--labels', str(labels), *changes]
    recipe = read_recipe(SuperPointRecipe, recipe_path('superpoint', name), options)
    return SuperPointStage(recipe, Path()), pairs.PairSamples(recipe), 'pairs.py'


def _measure_stage(
    stage: Stage, dataset: Dataset, module: str, threads: int, progress: Progress, seconds: float
) -> dict:
    """Return the rates of a stage, in images a second."""
    recipe = stage.recipe
    batches = iter(data.endless_loader(dataset, data.Steps(recipe.batch), recipe.workers))
    progress(f'the data of {stage.name}')
    batch = next(batches)  # the processes start
    images = _images(batch)
    use_threads(threads)  # the loader's are ours where it has no processes of its own
    _drain(batches, recipe.workers)
    data_rate = _rate(lambda: next(batches), seconds)
    progress(f'the network of {stage.name}')
    step = _stepper(stage)
    step(batch)
    network_rate = _rate(lambda: step(batch), seconds)
    progress(f'both of {stage.name}')
    _drain(batches, recipe.workers)
    waits: list[float] = []
    together_rate = _rate(lambda: step(_timed(batches, waits)), seconds)

    def samples() -> None:
        for index in range(_PROFILED):
            dataset[index]

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
        'parts': shares_of(samples, '__getitem__', module),
    }


def _drain(batches: Iterator[dict], workers: int) -> None:
    """Take what was made in advance, which says nothing of the rate."""
    for _ in range(_IN_ADVANCE * workers):
        next(batches)


def _timed(batches: Iterator[dict], waits: list[float]) -> dict:
    """Return the next batch, and note how long it was waited for."""
    start = time.perf_counter()
    batch = next(batches)
    waits.append(time.perf_counter() - start)
    return batch


def _images(batch: dict[str, torch.Tensor]) -> int:
    """Return how many images a batch holds: of pairs there are two."""
    images = batch['image'] if 'image' in batch else batch['images']
    return images.shape[0] * images.shape[1]


def _rate(work: Callable[[], Any], seconds: float) -> float:
    """Return how often a second the work is done, done for a time and twice at least."""
    start = time.perf_counter()
    for count in itertools.count(1):
        work()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds and count >= 2:
            return count / elapsed
    raise AssertionError


def _stepper(stage: Stage) -> Callable[[dict[str, torch.Tensor]], None]:
    """Return what makes a step with a batch: forward, backward, and the optimizer's."""
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
    """Leave out the training library's warning that nobody hears what a stage logs."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message=r'You are trying to `self\.log\(\)`')
        yield


def _measure_adaptation(labels: Path, changes: Sequence[str], progress: Progress) -> dict:
    """Label the package's photographs, and return views a second and their parts."""
    recipe = read_recipe(adaptation.AdaptationRecipe, recipe_path('adapt', RECIPE), changes)
    model, _ = load_weights(default_weights())
    heatmaps = adaptation.network_heatmaps(model, 'cpu')
    folder = LabelFolder(labels, {'weights': 'those shipped'})
    paths = demo_photographs()
    photographs = [read_image(path) for path in paths]
    batches = -(-recipe.homographies // recipe.batch)
    progress('homographic adaptation')
    adaptation.label_image(photographs[0], heatmaps, recipe, np.random.default_rng(0))
    labelling = alone = 0.0
    # One after the other for each photograph: what slows the machine down slows both.
    for number, (path, image) in enumerate(zip(paths, photographs, strict=True)):
        start = time.perf_counter()
        found = adaptation.label_image(image, heatmaps, recipe, np.random.default_rng(number))
        labelling += time.perf_counter() - start
        folder.write(path, image, found)
        batch = np.stack([_view(image, recipe.longest_side)] * recipe.batch)
        start = time.perf_counter()
        for _ in range(batches):
            heatmaps(batch)
        alone += time.perf_counter() - start

    def again() -> None:
        adaptation.label_image(photographs[0], heatmaps, recipe, np.random.default_rng(0))

    return {
        'stage': 'adaptation',
        'recipe': RECIPE,
        'views': recipe.homographies,
        'view_rate': recipe.homographies * len(paths) / labelling,
        'network_rate': batches * recipe.batch * len(paths) / alone,
        'parts': shares_of(again, 'adapted_heatmap', 'adaptation.py'),
    }


def _view(image: np.ndarray, longest_side: int) -> np.ndarray:
    """Return the image at the size of a view, in whole cells."""
    factor = min(1.0, longest_side / max(image.shape)) if longest_side else 1.0
    width, height = (max(16, int(side * factor) // 8 * 8) for side in image.shape[::-1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
