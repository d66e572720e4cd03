# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pseudo labels of a folder of photographs, made by several processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
import hashlib
import logging
from multiprocessing import get_context, parent_process
import os
from pathlib import Path
import signal
import threading

import cv2
import numpy as np
import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from superpoint_ros.data.sequences.image_files import evenly_spaced, find_photographs, read_image
from superpoint_ros.geometry.homography import rescale_image, warp_points
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training.adaptation_candidates import add_candidates
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.homographic_adaptation import label_image, network_heatmaps
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.visualization import contact_sheet, draw_keypoints, write_picture

CONTACT_SHEET = 'labels.png'
PICTURES = 24
"""Images on the contact sheet."""

PICTURE_SIDE = 320
"""Longest side of each of them in pixels."""

logger = logging.getLogger(__name__)


def label_folder(
    images: Path,
    weights: Path,
    out: Path,
    recipe: AdaptationRecipe,
    devices: list[str],
    bfloat16: bool = False,
    threads: int = 1,
) -> tuple[list[int], list[Path]]:
    """
    Label a folder; return the number of keypoints of each labelled image, and the skipped images.

    One process runs on each of `devices` ('cpu' may be named several times), with `threads`
    threads each. Images that have labels are left alone; those that cannot be read are skipped
    with a warning that names them. The labels depend neither on the number of processes nor on
    interruptions. Raises ValueError if no image can be labelled, or if the labels in `out` were
    made with other weights or another recipe; ChildProcessError if a process was killed.
    """
    paths = find_photographs(images)
    if recipe.network:
        load_weights(weights)  # reports errors here, not in a worker process
    folder = LabelFolder(out, origin_of(weights, recipe, bfloat16))
    missing = [path for path in paths if not folder.path(path).is_file()]
    pool = ProcessPoolExecutor(
        len(devices),
        get_context('spawn'),
        initializer=_start_worker,
        initargs=(weights, out, recipe, _queue_of(devices), bfloat16, threads),
    )
    try:
        skipped = _label_all(pool, missing, len(paths))
    except BrokenProcessPool as error:
        workers = len(devices)
        raise ChildProcessError(
            'a worker process was killed, perhaps because memory ran out; finished labels are '
            'kept: run the command again'
            + (f' with fewer workers than {workers}' if workers > 1 else '')
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
    if len(skipped) == len(paths):
        raise ValueError(f'none of the images in {images} could be read ({len(paths)} skipped)')
    write_contact_sheet(folder, images)
    return [len(folder.read(path).keypoints) for path in folder.labelled(images)], skipped


def _label_all(pool: ProcessPoolExecutor, missing: list[Path], total: int) -> list[Path]:
    """Label the missing ones of `total` images; return those that were skipped."""
    skipped = []
    results = zip(missing, pool.map(_label_one, missing), strict=True)
    with logging_redirect_tqdm():
        for path, problem in tqdm(results, '', total, unit='image', initial=total - len(missing)):
            if problem:
                logger.warning('skipped: %s', problem)
                skipped.append(path)
    return skipped


def origin_of(weights: Path, recipe: AdaptationRecipe, bfloat16: bool) -> dict:
    """Return what labels depend on: the recipe and, of a network, SHA-256 and precision."""
    values = asdict(recipe)
    del values['batch']  # changes the speed only
    if not recipe.network:
        return {'recipe': values}
    return {
        'weights': hashlib.sha256(weights.read_bytes()).hexdigest(),
        'recipe': values,
        'precision': 'bfloat16' if bfloat16 else 'float32',
    }


def write_contact_sheet(folder: LabelFolder, images: Path) -> None:
    """Write a picture of labelled images, evenly spread over the folder."""
    pictures, captions = [], []
    for path in evenly_spaced(folder.labelled(images), PICTURES):
        image, keypoints = read_image(path), folder.read(path).keypoints
        small, to_image = rescale_image(image, min(PICTURE_SIDE / max(image.shape), 1.0))
        pictures.append(draw_keypoints(small, warp_points(keypoints, np.linalg.inv(to_image))))
        captions.append(f'{len(keypoints)}: {path.name}')
    write_picture(folder.folder / CONTACT_SHEET, contact_sheet(pictures, captions=captions))


def _queue_of(devices: list[str]):
    """Return a queue from which each process takes its device."""
    queue = get_context('spawn').Queue()
    for device in devices:
        queue.put(device)
    return queue


class _Labeller:
    """State of a worker process."""

    def __init__(self, weights, out, recipe, devices, bfloat16, threads):
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        self.recipe = recipe
        self.folder = LabelFolder(out)
        device = devices.get()
        heatmaps = None
        if recipe.network:
            heatmaps = network_heatmaps(load_weights(weights)[0], device, bfloat16)
        self.heatmaps = add_candidates(heatmaps, recipe)

    def label(self, path: Path) -> str:
        """Label an image; return what was wrong with it, '' if nothing."""
        # Seeded by the file name, so that labels do not depend on the other images.
        digest = hashlib.sha256(os.fsencode(path.name)).digest()
        rng = np.random.default_rng([self.recipe.seed, int.from_bytes(digest[:8], 'little')])
        try:
            image = read_image(path)
            labels = label_image(image, self.heatmaps, self.recipe, rng)
        except (ValueError, OSError) as error:
            return str(error) if str(path) in str(error) else f'{path}: {error}'
        self.folder.write(path, image, labels)
        return ''


_labeller: _Labeller | None = None


def _start_worker(*arguments) -> None:
    """Prepare this process."""
    global _labeller
    parent = parent_process()
    if parent is not None:
        # The parent handles Ctrl-C, and a worker must not outlive its parent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
    _labeller = _Labeller(*arguments)


def _exit_with(parent) -> None:
    """Wait until the parent process ends, and end this one."""
    parent.join()
    os._exit(1)


def _label_one(path: Path) -> str:
    """Label an image in this process."""
    assert _labeller is not None
    return _labeller.label(path)
