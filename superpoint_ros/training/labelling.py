"""Labelling a whole folder of photographs, on several processes, from where it was left."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
import hashlib
import logging
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from superpoint_ros.drawing import contact_sheet, draw_keypoints
from superpoint_ros.sequences import list_images, read_image
from superpoint_ros.training.adaptation import AdaptationRecipe, label_image, network_heatmaps
from superpoint_ros.training.label_files import LabelFolder
from superpoint_ros.weights import load_weights

CONTACT_SHEET = 'labels.jpg'
PICTURED = 30
"""Images on the contact sheet."""

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
    `out` were made by other weights or another recipe.
    """
    paths = list_images(images)
    if not paths:
        raise ValueError(f'{images} holds no images')
    load_weights(weights)  # names what is wrong with them here, and not in a process of its own
    folder = LabelFolder(out, origin_of(weights, recipe))
    missing = [path for path in paths if not folder.path(path).is_file()]
    skipped = []
    with ProcessPoolExecutor(
        len(devices),
        get_context('spawn'),
        initializer=_start_worker,
        initargs=(weights, out, recipe, _queue_of(devices), bfloat16, threads),
    ) as pool:
        results = pool.map(_label_one, missing)
        progress = tqdm(
            zip(missing, results, strict=True),
            total=len(paths),
            initial=len(paths) - len(missing),
            unit='image',
        )
        for path, problem in progress:
            if problem:
                logger.warning('skipped: %s', problem)
                skipped.append(path)
    if len(skipped) == len(paths):
        raise ValueError(f'none of the {len(paths)} images in {images} could be read')
    write_contact_sheet(folder, images)
    return len(paths) - len(skipped), skipped


def origin_of(weights: Path, recipe: AdaptationRecipe) -> dict:
    """Return what labels depend on: the weight file's SHA-256 and the recipe's values."""
    values = asdict(recipe)
    del values['batch']  # for speed alone
    return {'weights': hashlib.sha256(weights.read_bytes()).hexdigest(), 'recipe': values}


def write_contact_sheet(folder: LabelFolder, images: Path) -> Path:
    """Write a picture of some labelled images, evenly spread over the folder; return its place."""
    labelled = folder.labelled(images)
    chosen = labelled[:: max(1, len(labelled) // PICTURED)][:PICTURED]
    pictures = [draw_keypoints(read_image(path), folder.read(path).keypoints) for path in chosen]
    place = folder.folder / CONTACT_SHEET
    cv2.imwrite(str(place), contact_sheet(pictures, captions=[path.name for path in chosen]))
    return place


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
        self.heatmaps = network_heatmaps(load_weights(weights)[0], devices.get(), bfloat16)

    def label(self, path: Path) -> str:
        """Label an image; return what was wrong with it, or nothing."""
        try:
            image = read_image(path)
        except (ValueError, OSError) as error:
            return str(error)
        # A digest of the name, so that an image's labels do not depend on its neighbours.
        digest = hashlib.sha256(path.name.encode()).digest()
        rng = np.random.default_rng([self.recipe.seed, int.from_bytes(digest[:8], 'little')])
        self.folder.write(path, image, label_image(image, self.heatmaps, self.recipe, rng))
        return ''


_worker: _Worker | None = None


def _start_worker(*arguments) -> None:
    """Prepare this process."""
    global _worker
    _worker = _Worker(*arguments)


def _label_one(path: Path) -> str:
    """Label an image in this process."""
    assert _worker is not None
    return _worker.label(path)
