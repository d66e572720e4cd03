# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Quantise weights for precision int8, with ranges learned from photographs.

The result is kept in the user's cache folder, where every engine of precision int8 looks for it
by the weights' content: detect, evaluate and the node then need no NNCF. Without --images the
photographs that come with the package are used; images as the robot sees them are better. How
much is lost is told by 'superpoint evaluate homography --precision int8' beside float32.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--weights', metavar='FILE', help='weight file (default: the one that is shipped)'
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help='folder of photographs (default: those that come with the package)',
    )


def run(args: argparse.Namespace) -> int:
    """Quantise the weights and say where the result is."""
    from tqdm import tqdm

    from superpoint_ros.data.sequences.image_files import list_images, read_image
    from superpoint_ros.engines.int8 import calibration_images, keep, quantise
    from superpoint_ros.files import default_weights, demo_photographs
    from superpoint_ros.model.weights import load_weights

    if find_spec('nncf') is None:  # missed before the work
        raise ModuleNotFoundError("No module named 'nncf'", name='nncf')
    weights = Path(args.weights) if args.weights else default_weights()
    model, _ = load_weights(weights)
    paths = list_images(args.images) if args.images else demo_photographs()
    if not paths:
        raise ValueError(f'there are no images in {args.images}')
    chosen = calibration_images(paths)
    images = [read_image(path) for path in tqdm(chosen, unit='image', leave=False)]
    folder = keep(model, quantise(model, images))
    print(f'{weights.name}: quantised with {len(images)} images, kept in {folder}')
    return 0
