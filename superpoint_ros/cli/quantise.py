# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Prepare weights for precision int8: measure activation ranges on photographs and store them.

The ranges are written to the metadata of the weight file; its tensors do not change. With ranges,
precision 'auto' is int8 on processors with fast instructions for it. 'superpoint train superpoint'
stores the ranges on its training photographs; this command is for other weights and photographs.
Those of the robot's surroundings are best. Compare 'superpoint evaluate homography --precision
int8' with float32 to see how much quality is lost.

Photographs that cannot be read are skipped and named; the exit status is then 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from superpoint_ros.cli.options import output_file
from superpoint_ros.common.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--weights', required=True, metavar='FILE', help='weight file')
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help='folder of photographs, of which up to 100 are used (default: those of the package)',
    )
    parser.add_argument(
        '--out',
        type=output_file,
        metavar='FILE',
        help='.safetensors file for the result (default: the weight file itself)',
    )


def run(args: argparse.Namespace) -> int:
    """Calibrate the ranges, write the file, and print what was done."""
    from tqdm import tqdm

    from superpoint_ros.common.file_reading import read_each
    from superpoint_ros.data.sequences.image_files import (
        evenly_spaced,
        find_photographs,
        read_image,
    )
    from superpoint_ros.engines.int8 import CALIBRATION_IMAGES, store_ranges
    from superpoint_ros.resources import find_weights

    weights = find_weights(args.weights)
    out = args.out or output_file(args.weights)
    if out.suffix != '.safetensors':
        raise ValueError(f'ranges are stored in .safetensors files: give --out, not {out.name}')
    chosen = evenly_spaced(find_photographs(args.images), CALIBRATION_IMAGES)
    bad: list[Path] = []
    images = read_each(read_image, tqdm(chosen, unit='image', leave=False), bad)
    store_ranges(weights, out, images)
    print(f'{out}: activation ranges of {counted(len(chosen) - len(bad), "image")}')
    return 1 if bad else 0
