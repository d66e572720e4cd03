# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Quantise weights for precision int8, with ranges learned from photographs.

The result is kept in the user's cache folder under a checksum of the weights, where engines with
precision int8 find it: detect, evaluate and the node then do not need NNCF. Without --images the
photographs of the package are used; images of the robot's camera are better. Compare
'superpoint evaluate homography --precision int8' with float32 to see how much quality is lost.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from superpoint_ros.engines.execution_settings import ExecutionSettings
    from superpoint_ros.settings_table import add_options

    add_options(parser, ExecutionSettings, ('weights',))
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help='folder of photographs (default: those of the package)',
    )


def run(args: argparse.Namespace) -> int:
    """Quantise the weights and print where the result is."""
    from tqdm import tqdm

    from superpoint_ros.data.sequences.image_files import list_images, read_image
    from superpoint_ros.engines.int8 import calibration_images, keep, quantise
    from superpoint_ros.files import default_weights, demo_photographs
    from superpoint_ros.model.weights import load_weights

    if find_spec('nncf') is None:  # reported before the work
        raise ModuleNotFoundError("No module named 'nncf'", name='nncf')
    weights = Path(getattr(args, 'weights', '') or default_weights())
    model, _ = load_weights(weights)
    paths = list_images(args.images) if args.images else demo_photographs()
    if not paths:
        raise ValueError(f'there are no images in {args.images}')
    chosen = calibration_images(paths)
    images = [read_image(path) for path in tqdm(chosen, unit='image', leave=False)]
    folder = keep(model, quantise(model, images))
    print(f'{weights.name}: quantised with {len(images)} images, kept in {folder}')
    return 0
