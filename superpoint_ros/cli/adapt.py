# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Make pseudo labels of photographs by homographic adaptation, for training.

  superpoint adapt PHOTOS --weights runs/magicpoint/weights.safetensors --out runs/labels
  superpoint adapt PHOTOS --weights W --out runs/labels --homographies 32 --workers 2

The detector runs on random homographies of each photograph; points that it finds repeatedly become
the labels. If the command is interrupted, the same command continues. The folder gets one file for
each photograph and a contact sheet, labels.png.

A recipe is the name of a recipe of the package (cpu, paper, corners) or a YAML file. Each of its
values is also an option: 'superpoint adapt PHOTOS --help' lists them. The recipe corners uses no
network: labels are corners of the image gradients.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from superpoint_ros.cli.options import keep_inputs, number, output_folder
from superpoint_ros.cli.recipe_options import (
    add_unread_options,
    read_recipe_options,
    recipe_parser,
)
from superpoint_ros.common.wording import counted_keypoints

STAGE = 'adapt'

_MAX_WORKERS = 1024  # as of the recipes of training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the photographs; `run` reads the options with the recipe."""
    parser.add_argument('photographs', type=Path, metavar='PHOTOS', help='folder of images')
    add_unread_options(parser)


def run(args: argparse.Namespace) -> int:
    """Label the photographs and return the exit status: 1 if some could not be read."""
    from superpoint_ros.training.adaptation_recipe import AdaptationRecipe

    parser = recipe_parser('superpoint adapt PHOTOS')
    parser.add_argument(
        '--weights',
        type=Path,
        help='weight file, or name of shipped weights (default: the shipped ones)',
    )
    parser.add_argument('--out', type=output_folder, metavar='DIR', help='folder for the labels')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:0,cuda:1 ...')
    parser.add_argument('--workers', type=int, help='processes (default: one per device)')
    threads = number(1, 1024, int)
    parser.add_argument('--threads', type=threads, help='CPU threads of each process')
    parser.add_argument(
        '--bfloat16', action='store_true', help='faster on processors that support it'
    )
    options, recipe = read_recipe_options(parser, args.options, STAGE, AdaptationRecipe)
    if recipe is None:
        return 0
    if options.out is None:
        raise ValueError('name the folder for the labels: --out DIR')
    keep_inputs([args.photographs], [options.out])
    return _label(args.photographs, options, recipe)


def _label(photographs: Path, args: argparse.Namespace, recipe) -> int:
    """Make the labels with the recipe."""
    import logging

    from superpoint_ros.resources import find_weights, PACKAGE
    from superpoint_ros.training.pseudo_labels import CONTACT_SHEET, label_folder

    logging.getLogger(PACKAGE).setLevel(logging.INFO)
    devices = _devices(args.device, args.workers)
    threads = args.threads or _threads(len(devices))
    counts, skipped = label_folder(
        photographs, find_weights(args.weights), args.out, recipe, devices, args.bfloat16, threads
    )
    labelled = counted_keypoints(len(counts), sum(counts), 'photograph')
    print(f'labelled {labelled}: see {args.out / CONTACT_SHEET}')
    if skipped:
        print(f'skipped: {len(skipped)} (see above)', file=sys.stderr)
    if not any(counts):
        print(
            f'no photograph has a keypoint: the threshold {recipe.threshold} is too high for '
            'these weights; lower it and choose another --out',
            file=sys.stderr,
        )
    return 0 if any(counts) and not skipped else 1


def _devices(names: str, workers: int | None) -> list[str]:
    """Return the device of each process."""
    from superpoint_ros.engines.engine import find_device

    devices = [find_device(name.strip()) for name in names.split(',')]
    count = len(devices) if workers is None else workers
    if count < 1:
        raise ValueError(f'--workers must be at least 1, got {count}')
    if count > _MAX_WORKERS:
        raise ValueError(f'--workers must be at most {_MAX_WORKERS}, got {count}')
    return [devices[index % len(devices)] for index in range(count)]


def _threads(processes: int) -> int:
    """Return the number of threads for each process."""
    from superpoint_ros.detection.threads import core_count

    return max(1, core_count() // processes)
