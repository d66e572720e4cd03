# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Make a benchmark of planar scenes from photographs, in the layout of HPatches.

Writes folders v_* (other viewpoints: rotation up to 45 degrees, scale up to 2, perspective; with
--close-ups also rotation up to 180 degrees with zoom 2 to 4) and i_* (other light and noisier
cameras) with images 1.png, 2.png, ... and homographies H_1_2, ...;
manifest.json names the photographs. The same photographs and seed give the same benchmark.
'superpoint evaluate homography --data DIR' measures on it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from superpoint_ros.cli.options import add_out, image_files
from superpoint_ros.cli.settings_options import add_options, read_options
from superpoint_ros.common.wording import counted
from superpoint_ros.data.benchmark_from_photographs import BenchmarkPlan, make_benchmark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'photographs',
        nargs='+',
        type=Path,
        metavar='PHOTO',
        help='image files, or folders of them',
    )
    add_out(parser, 'new folder for the benchmark')
    add_options(parser, BenchmarkPlan)


def run(args: argparse.Namespace) -> int:
    """Make the benchmark and print one summary; 1 if some photographs could not be used."""
    from tqdm import tqdm

    plan = read_options(args, BenchmarkPlan)
    photographs = image_files(args.photographs)
    with tqdm(total=plan.sequences, unit='sequence') as progress:
        bad = make_benchmark(photographs, args.out, plan, progress.update)
    skipped = f', {counted(len(bad), "photograph")} skipped' if bad else ''
    close_ups = f', {plan.close_ups} close-up' if plan.close_ups else ''
    print(
        f'{plan.viewpoint} viewpoint{close_ups} and {plan.illumination} illumination sequences of '
        f'{counted(plan.pairs, "pair")}{skipped}: see {args.out}'
    )
    return 1 if bad else 0
