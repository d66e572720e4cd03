"""
Train a network, stage by stage.

  superpoint train magicpoint --recipe cpu --out runs/magicpoint
  superpoint train magicpoint --recipe cpu --out runs/magicpoint --resume
  superpoint train magicpoint --recipe cpu --out runs/try --max-steps 500 --batch 8

A recipe is the name of one that comes with the package (cpu, paper) or a YAML file. Each of its
values is an option too: 'superpoint train magicpoint --help' lists them. The folder gets the
recipe as used, the last checkpoint, the weights, curves for TensorBoard and a picture of what the
network sees and predicts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

STAGES = ('magicpoint',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stage; its own options are read with its recipe."""
    parser.add_argument('stage', choices=STAGES, help='what to train')
    parser.add_argument(
        'options', nargs=argparse.REMAINDER, help="see 'superpoint train STAGE --help'"
    )


def run(args: argparse.Namespace) -> int:
    """Train and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=f'superpoint train {args.stage}', add_help=False, allow_abbrev=False
    )
    parser.add_argument('-h', '--help', action='store_true', help='show this help')
    parser.add_argument('--recipe', default='cpu', help='name or YAML file (default: cpu)')
    parser.add_argument('--out', type=Path, help='the folder of the run')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('--accelerator', default='auto', help='cpu, gpu or auto (default)')
    parser.add_argument('--devices', default='auto', help='how many of them (default: auto)')
    parser.add_argument('--threads', type=int, help="torch's threads on the CPU")
    options, overrides = parser.parse_known_args(args.options)

    from superpoint_ros.training.recipe import (
        MagicPointRecipe,
        read_recipe,
        recipe_parser,
        recipe_path,
    )

    if options.help:
        parser.print_help()
        print('\nThe values of the recipe, each of which may be given as an option:\n')
        recipe_parser(MagicPointRecipe).print_help()
        return 0
    if options.out is None:
        raise ValueError('name the folder of the run: --out DIR')
    recipe = read_recipe(MagicPointRecipe, recipe_path(args.stage, options.recipe), overrides)
    return _train(args.stage, recipe, options)


def _train(stage: str, recipe, options: argparse.Namespace) -> int:
    """Run the stage under its recipe."""
    import logging

    import torch

    from superpoint_ros.training.loop import train
    from superpoint_ros.training.magicpoint import MagicPoint, TrainingDivergedError

    logging.basicConfig(level=logging.INFO, format='%(message)s')
    # The library's hints about other products of its makers.
    logging.getLogger('lightning.pytorch.utilities.rank_zero').setLevel(logging.WARNING)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        weights = train(
            MagicPoint(recipe, options.out),
            recipe,
            options.out,
            resume=options.resume,
            accelerator=options.accelerator,
            devices=options.devices,
        )
    except TrainingDivergedError as error:
        print(
            f'superpoint: {error}; the last good state is the checkpoint in {options.out}, '
            'try a lower learning_rate or precision 32-true',
            file=sys.stderr,
        )
        return 1
    print(f'weights: {weights}')
    return 0
