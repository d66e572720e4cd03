# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
Render pairs of views of textured 3-D scenes, with exact depth and pose, as training data.

  superpoint render-pairs house.glb shop.glb --pictures PHOTOS --out pairs --pairs 3000
  superpoint render-pairs house.glb --street buildings/ --pictures PHOTOS --out pairs

A SCENE is a binary glTF file (.glb), or a folder of them: a room, a building or a place, in
metres, z up. The objects of --street, one in each file, are composed into a new street for every
20 pairs. PHOTOS become posters, carpets, facades, ceilings and the ground.

Cameras stand at the heights of wheeled robots, people and drones in the free space; lamps,
exposure, vignetting, blur and noise differ between both views. DIR/pairs.jpg shows some pairs.
Rendering can be stopped at any time; the same command continues.
'superpoint evaluate scenes --data DIR' measures on the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from superpoint_ros.cli.options import add_out, distinct_names, keep_inputs
from superpoint_ros.cli.scene_options import add_scene_options, interrupted
from superpoint_ros.cli.settings_options import add_options, read_options
from superpoint_ros.common.wording import counted
from superpoint_ros.data.scenes.pairs import PairSettings, render_pairs, RenderedPair

if TYPE_CHECKING:
    from superpoint_ros.data.scenes.pair_cache import PairCache

_SHOWN = 12
"""Largest number of pairs in the picture that is written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'scenes', nargs='*', type=Path, metavar='SCENE', help='.glb files, or folders of them'
    )
    add_out(parser, 'folder of pairs')
    parser.add_argument(
        '--pairs', type=int, default=1000, metavar='N', help='number of pairs (default: 1000)'
    )
    parser.add_argument(
        '--pictures', type=Path, metavar='PHOTOS', help='folder of images for plain surfaces'
    )
    add_scene_options(parser)
    add_options(parser, PairSettings)


def run(args: argparse.Namespace) -> int:
    """Render the pairs that are missing; 1 if some, or pictures, were left out."""
    import cv2

    from superpoint_ros.data.scenes.pair_cache import PairCache
    from superpoint_ros.data.scenes.sources import (
        check_textured,
        list_glb,
        read_pictures,
        read_sources,
    )

    keep_inputs([args.pictures] if args.pictures else [], [args.out])
    if args.pairs < 1:
        raise ValueError(f'--pairs must be 1 or more, got {args.pairs}')
    settings = read_options(args, PairSettings)
    interiors, objects = list_glb(args.scenes), list_glb(args.street)
    if not interiors and not objects:
        raise ValueError('name .glb files of scenes, or objects with --street')
    cache = PairCache(args.out, settings, _ingredients(args, interiors, objects))
    wanted = cache.missing(args.pairs)
    scenes = read_sources(interiors, objects, args.unit, args.up)
    pictures, bad = read_pictures(args.pictures)
    for name in check_textured(scenes, pictures):
        print(f'superpoint: {name} has no textures: it gets pictures', file=sys.stderr)
    cv2.setNumThreads(1)
    pairs = render_pairs(scenes, pictures, settings, wanted)
    done, failed = _write(pairs, cache, args.pairs - len(wanted), args)
    if not done:
        raise ValueError(
            'no two views overlapped enough: allow a smaller --min-overlap or --max-baseline'
        )
    _draw(args.out)
    skipped = f', {failed} left out because no views overlapped enough' if failed else ''
    print(f'{counted(done, "pair")}{skipped}: see {args.out}')
    return 1 if failed or bad else 0


def _write(
    pairs: Iterable[tuple[int, RenderedPair | None]],
    cache: PairCache,
    done: int,
    args: argparse.Namespace,
) -> tuple[int, int]:
    """Write pairs, None for a failure, and return the numbers of complete and failed ones."""
    from tqdm import tqdm

    failed = 0
    try:
        with tqdm(total=args.pairs, initial=done, unit='pair') as progress:
            for number, pair in pairs:
                if pair is None:
                    failed += 1
                else:
                    cache.write(number, pair)
                    done += 1
                progress.update()
    except OSError as error:
        raise interrupted(error, counted(done, 'pair'), args.out) from error
    return done, failed


def _ingredients(
    args: argparse.Namespace, interiors: list[Path], objects: list[Path]
) -> dict[str, str]:
    """Return what pairs are made of: fingerprints of the files, and options of reading them."""
    from superpoint_ros.data.scenes.sources import fingerprint
    from superpoint_ros.data.sequences.image_files import list_images

    names = distinct_names([path.resolve() for path in interiors])
    made_of = {name: fingerprint([path]) for name, path in zip(names, interiors, strict=True)}
    if objects:
        made_of['--street'] = fingerprint(objects)
    if args.pictures:
        made_of['--pictures'] = fingerprint(list_images(args.pictures))
    return made_of | {'--unit': str(args.unit), '--up': args.up}


def _draw(folder: Path) -> None:
    """Write a picture of some pairs, spread over all."""
    from superpoint_ros.data.scenes.pair_cache import list_pairs, read_pair
    from superpoint_ros.data.scenes.pair_pictures import picture_of_pairs
    from superpoint_ros.data.sequences.image_files import evenly_spaced
    from superpoint_ros.visualization import write_picture

    shown = evenly_spaced(list_pairs(folder), _SHOWN)
    write_picture(folder / 'pairs.jpg', picture_of_pairs([read_pair(path) for path in shown]))
