# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
Train a network, stage by stage.

  superpoint train magicpoint --recipe cpu --out runs/magicpoint
  superpoint train magicpoint --recipe cpu --out runs/magicpoint --resume
  superpoint train magicpoint --recipe cpu --out runs/try --max-steps 500 --batch 8
  superpoint train superpoint --images PHOTOS --labels runs/labels --out runs/superpoint \
      --start runs/magicpoint/checkpoints/last.ckpt

A recipe is the name of a recipe of the package (cpu, paper; for superpoint also corners,
repeatability, rendered, gpu, shipped_compact, shipped_small, shipped_nano and shipped_large, of
which all but corners need no labels) or a YAML file. Each of its values is also an option:
'superpoint train magicpoint --recipe paper --help' lists them. The folder gets the recipe as used,
the last checkpoint, the weights, curves for TensorBoard and a picture of the validation.
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

STAGES = ('magicpoint', 'superpoint')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage; its own options are read with its recipe."""
    parser.add_argument('stage', choices=STAGES, help='what to train')
    add_unread_options(parser)


def run(args: argparse.Namespace) -> int:
    """Train and return the exit status."""
    from superpoint_ros.training.training_recipes import MagicPointRecipe, SuperPointRecipe

    parser = recipe_parser(f'superpoint train {args.stage}')
    parser.add_argument('--out', type=output_folder, help='folder of the run')
    parser.add_argument('--resume', action='store_true', help='continue from the last checkpoint')
    parser.add_argument('--accelerator', default='auto', help='cpu, gpu or auto (default)')
    parser.add_argument('--devices', default='auto', help='number of devices (default: auto)')
    parser.add_argument('--num_nodes', type=int, default=1, help='number of machines (default: 1)')
    parser.add_argument('--strategy', default='auto', help="Lightning's strategy, such as ddp")
    threads = number(1, 1024, int)
    parser.add_argument('--threads', type=threads, help='CPU threads of PyTorch')
    if args.stage == 'superpoint':
        parser.add_argument(
            '--start',
            type=Path,
            help='checkpoint, weight file, or name of shipped weights, to start from',
        )
    kind = {'magicpoint': MagicPointRecipe, 'superpoint': SuperPointRecipe}[args.stage]
    options, recipe = read_recipe_options(parser, args.options, args.stage, kind)
    if recipe is None:
        return 0
    if options.out is None:
        raise ValueError('name the folder of the run: --out DIR')
    if getattr(recipe, 'pairs', '') and not recipe.rendered:
        print(
            f'superpoint: the pairs in {recipe.pairs} are not used: the share of rendered pairs, '
            '--rendered, is 0',
            file=sys.stderr,
        )
    read = [getattr(recipe, name, '') for name in ('images', 'labels', 'pairs')]
    keep_inputs(filter(None, read), [options.out])
    if not options.resume:
        read = [getattr(options, 'start', None), getattr(recipe, 'distill_from', '')]
        keep_inputs(filter(None, read), [options.out / 'weights.safetensors'])
    return _train(args.stage, recipe, options)


def _train(stage: str, recipe, options: argparse.Namespace) -> int:
    """Run the stage under its recipe."""
    import logging
    import warnings

    import torch

    from superpoint_ros.resources import PACKAGE
    from superpoint_ros.training.lightning_modules import TrainingDivergedError
    from superpoint_ros.training.trainer import train

    logging.getLogger(PACKAGE).setLevel(logging.INFO)
    # Hints about other products of the makers of Lightning.
    logging.getLogger('lightning.pytorch.utilities.rank_zero').setLevel(logging.WARNING)
    # Lightning calls what newer versions of PyTorch have deprecated.
    warnings.filterwarnings('ignore', message='`isinstance.treespec, LeafSpec.` is deprecated')
    # The log has it in the words of the recipe.
    warnings.filterwarnings('ignore', message='.*AMP with fp16 is not supported on CPU')
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        weights = train(
            _make_module(stage, recipe, options),
            options.out,
            resume=options.resume,
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.num_nodes,
            strategy=options.strategy,
        )
    except TrainingDivergedError as error:
        print(
            f'superpoint: {error}; the last good state is the checkpoint in {options.out}, '
            'try a lower learning_rate or precision 32-true',
            file=sys.stderr,
        )
        return 1
    except (ValueError, OSError) as error:
        if not str(error).startswith('Caught '):
            raise
        raise type(error)(_cause_in_worker(error)) from error
    if weights is not None:
        print(f'weights: {weights}')
    return 0


def _cause_in_worker(error: Exception) -> str:
    """Return what was wrong in a worker process, without the traceback that the error has."""
    return str(error).strip().splitlines()[-1].removeprefix(f'{type(error).__name__}: ')


def _make_module(stage: str, recipe, options: argparse.Namespace):
    """Return the Lightning module of the stage."""
    from superpoint_ros.training.lightning_modules import MagicPointModule, SuperPointModule

    if stage == 'magicpoint':
        return MagicPointModule(recipe, options.out)
    # A resumed run has its own weights; the file that it was initialized from may be gone.
    return SuperPointModule(recipe, options.out, None if options.resume else options.start)
