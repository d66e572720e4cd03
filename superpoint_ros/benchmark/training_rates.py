# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates of training: images per second of the data, of the network, and of both together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
import inspect
from pathlib import Path
import tempfile
import time
from typing import Any
import warnings

import numpy as np
from pyinstrument import Profiler
from pyinstrument.frame import Frame as ProfiledFrame
import torch
from torch.utils.data import Dataset

from superpoint_ros.benchmark.frame_times import Progress
from superpoint_ros.benchmark.machine import use_threads
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.files import default_weights, demo_photographs
from superpoint_ros.model.config import CELL
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.datasets import endless_loader, ShapeDataset, Steps
from superpoint_ros.training.homographic_adaptation import (
    adapted_heatmap,
    label_image,
    network_heatmaps,
    reduce_image,
)
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.training.lightning_modules import (
    MagicPointModule,
    SuperPointModule,
    TrainingModule,
)
from superpoint_ros.training.pair_dataset import HomographyPairDataset
from superpoint_ros.training.recipe_files import read_recipe, recipe_path
from superpoint_ros.training.training_recipes import MagicPointRecipe, SuperPointRecipe

RECIPE = 'cpu'

SECONDS = 10.0
"""Duration of the measurement of each rate; at least two steps are made."""

REST = 'rest'
"""Name of the own time of a function together with its small parts."""

SMALL = 0.01
"""Share of time below which a part is counted as rest."""

LARGE = 0.5
"""Share of time above which a part of the same file is split into its own parts."""

_PROFILED = 24  # samples that are profiled
_SAMPLING_INTERVAL = 0.001  # seconds between two samples of the profiler
_BUILT_IN = '<built-in>'  # file of C functions in the profile
_WRAPPERS = frozenset({'decorate_context', 'inner'})  # of decorators in PyTorch and contextlib
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
    training. The parts are the shares of time of the functions that make a sample. Of homographic
    adaptation, the warped views per second are measured, and those of the network alone.
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
        'parts': shares_of(samples, type(dataset).__getitem__),
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
    """Label the photographs of the package; return the views per second and their parts."""
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
        reduced, _ = reduce_image(image, factor)
        height, width = (side // CELL * CELL for side in reduced.shape)
        batch = np.stack([reduced[:height, :width]] * recipe.batch)
        start = time.perf_counter()
        for _ in range(batches):
            heatmaps(batch)
        alone += time.perf_counter() - start

    def label() -> None:
        label_image(photographs[0], heatmaps, recipe, np.random.default_rng(0))

    return {
        'stage': 'adaptation',
        'recipe': RECIPE,
        'views': recipe.homographies,
        'view_rate': recipe.homographies * len(paths) / labelling,
        'network_rate': batches * recipe.batch * len(paths) / alone,
        'parts': shares_of(label, adapted_heatmap),
    }


def shares_of(work: Callable[[], object], function: Callable) -> dict[str, float]:
    """
    Return the share of a function's time that each function takes that it calls, largest first.

    `work` runs under a sampling profiler (cProfile loses outer frames on Python 3.12). A part of
    the same file that takes most of the time is replaced by the functions that it calls. The own
    time of the function and small parts are the rest. Raises ValueError if the function was not
    called.
    """
    code = inspect.unwrap(function).__code__
    with Profiler(interval=_SAMPLING_INTERVAL) as profiler:
        work()
    root = profiler.last_session.root_frame()
    calls = [
        frame
        for frame in _frames_below([root] if root else [])
        if frame.function == code.co_name and frame.file_path == code.co_filename
    ]
    if not calls:
        raise ValueError(f'{function.__qualname__} was not called')
    total = _seconds(calls)
    shares: dict[str, float] = {}
    for key, part in _parts(calls).items():
        is_split = key[0] == code.co_filename and _seconds(part) > LARGE * total
        inner = _parts(part) if is_split else {}
        if all(file == _BUILT_IN for file, _ in inner):
            inner = {key: part}
        for (_, name), frames in inner.items():
            label = name.strip('_')
            shares[label] = shares.get(label, 0.0) + _seconds(frames) / total
    large = {name: share for name, share in shares.items() if share >= SMALL}
    large = dict(sorted(large.items(), key=lambda item: -item[1]))
    return {**large, REST: max(1 - sum(large.values()), 0.0)}


def _frames_below(frames: Iterable[ProfiledFrame]) -> Iterator[ProfiledFrame]:
    for frame in frames:
        yield frame
        yield from _frames_below(frame.children)


def _parts(frames: Iterable[ProfiledFrame]) -> dict[tuple[str, str], list[ProfiledFrame]]:
    """Return the called functions by file and name; generators and decorators are skipped."""
    parts: dict[tuple[str, str], list[ProfiledFrame]] = {}
    for frame in frames:
        for child in frame.children:
            if child.is_synthetic:  # own time
                continue
            name = child.function
            if name.startswith('<') or name in _WRAPPERS:
                for key, inner in _parts([child]).items():
                    parts.setdefault(key, []).extend(inner)
            else:
                parts.setdefault((child.file_path, name), []).append(child)
    return parts


def _seconds(frames: Iterable[ProfiledFrame]) -> float:
    return sum(frame.time for frame in frames)
