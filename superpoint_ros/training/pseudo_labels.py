# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Labelling a whole folder of photographs, on several processes, from where it was left."""

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

from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.files import write_atomically
from superpoint_ros.geometry.homography import scaling, warp_points
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training.homographic_adaptation import (
    AdaptationRecipe,
    label_image,
    network_heatmaps,
)
from superpoint_ros.training.interest_points import with_interest_points
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.visualization import contact_sheet, draw_keypoints

CONTACT_SHEET = 'labels.png'
PICTURED = 24
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
) -> tuple[int, list[Path]]:
    """
    Label the images of a folder and return how many have labels, and those that were skipped.

    One process works on each of `devices` ('cpu' may be named several times), with that many
    `threads` each. Images that have labels are left; those that cannot be read are skipped, with a
    warning that names them. The labels depend neither on the number of processes nor on where the
    work was interrupted. Raises ValueError where no image can be labelled, or where the labels in
    `out` were made by other weights or another recipe; ChildProcessError where a process died.
    """
    paths = list_images(images)
    if not paths:
        raise ValueError(f'{images} holds no images')
    load_weights(weights)  # names what is wrong with them here, and not in a process of its own
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
        raise ChildProcessError(
            f'a process of the {len(devices)} died, perhaps for lack of memory; what is labelled '
            'is kept: go on with fewer workers'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
    if len(skipped) == len(paths):
        raise ValueError(f'none of the {len(paths)} images in {images} could be read')
    write_contact_sheet(folder, images)
    return len(paths) - len(skipped), skipped


def _label_all(pool: ProcessPoolExecutor, missing: list[Path], total: int) -> list[Path]:
    """Label the missing images of so many; return those that were skipped."""
    skipped = []
    results = zip(missing, pool.map(_label_one, missing), strict=True)
    with logging_redirect_tqdm():
        for path, problem in tqdm(results, '', total, unit='image', initial=total - len(missing)):
            if problem:
                logger.warning('skipped: %s', problem)
                skipped.append(path)
    return skipped


def origin_of(weights: Path, recipe: AdaptationRecipe, bfloat16: bool = False) -> dict:
    """Return what labels depend on: weights (their SHA-256), the recipe's values, precision."""
    values = asdict(recipe)
    del values['batch']  # for speed alone
    return {
        'weights': hashlib.sha256(weights.read_bytes()).hexdigest(),
        'recipe': values,
        'precision': 'bfloat16' if bfloat16 else 'float32',
    }


def write_contact_sheet(folder: LabelFolder, images: Path) -> Path:
    """Write a picture of some labelled images, evenly spread over the folder; return its place."""
    labelled = folder.labelled(images)
    places = np.linspace(0, len(labelled) - 1, min(PICTURED, len(labelled))).round().astype(int)
    chosen = [labelled[place] for place in places]
    pictures = [_picture(read_image(path), folder.read(path).keypoints) for path in chosen]
    captions = [f'{len(folder.read(path).scores)}: {path.name}' for path in chosen]
    _, data = cv2.imencode('.png', contact_sheet(pictures, captions=captions))
    write_atomically(folder.folder / CONTACT_SHEET, data.tobytes())
    return folder.folder / CONTACT_SHEET


def _picture(image: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Return a small picture of an image with its labels."""
    height, width = image.shape
    factor = min(1.0, PICTURE_SIDE / max(height, width))
    size = tuple(max(1, round(side * factor)) for side in (width, height))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return draw_keypoints(
        small, warp_points(keypoints, scaling(size[0] / width, size[1] / height))
    )


def _queue_of(devices: list[str]):
    """Return a queue from which each process takes its device."""
    queue = get_context('spawn').Queue()
    for device in devices:
        queue.put(device)
    return queue


class _Worker:
    """What a process keeps between two images."""

    def __init__(self, weights, out, recipe, devices, bfloat16, threads):
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        self.recipe = recipe
        self.folder = LabelFolder(out)
        device = devices.get()
        self.heatmaps = None
        if recipe.network:
            self.heatmaps = network_heatmaps(load_weights(weights)[0], device, bfloat16)
        if recipe.blobs or recipe.corners:
            self.heatmaps = with_interest_points(
                self.heatmaps, recipe.blobs, recipe.corners, recipe.candidates
            )

    def label(self, path: Path) -> str:
        """Label an image; return what was wrong with it, or nothing."""
        # A digest of the name, so that an image's labels do not depend on its neighbours.
        digest = hashlib.sha256(path.name.encode()).digest()
        rng = np.random.default_rng([self.recipe.seed, int.from_bytes(digest[:8], 'little')])
        try:
            image = read_image(path)
            labels = label_image(image, self.heatmaps, self.recipe, rng)
        except (ValueError, OSError) as error:
            return str(error) if str(path) in str(error) else f'{path}: {error}'
        self.folder.write(path, image, labels)
        return ''


_worker: _Worker | None = None


def _start_worker(*arguments) -> None:
    """Prepare this process."""
    global _worker
    parent = parent_process()
    if parent is not None:
        # Ctrl-C is for the parent to act on; without a parent there is nobody to work for.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker = _Worker(*arguments)


def _end_with(parent) -> None:
    """Wait for the parent process's end, and end this one."""
    parent.join()
    os._exit(1)


def _label_one(path: Path) -> str:
    """Label an image in this process."""
    assert _worker is not None
    return _worker.label(path)
