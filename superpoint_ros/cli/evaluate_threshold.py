# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate threshold`: results for each detection threshold."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from superpoint_ros.cli.options import (
    add_detector_options,
    EXACT,
    image_files,
    keep_inputs,
    make_detector,
    number,
    print_written,
    read_for_detection,
)
from superpoint_ros.cli.settings_options import add_options, read_options
from superpoint_ros.evaluation.evaluation_plans import ThresholdPlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement of thresholds."""
    parser.add_argument(
        'images',
        nargs='*',
        metavar='IMAGE',
        help='images of your camera, or folders of them (default: the photographs of the package)',
    )
    parser.add_argument(
        '--longest-side',
        type=number(64, 10**5, int),
        default=640,
        metavar='PX',
        help='larger images are reduced to this (default: 640)',
    )
    add_options(parser, ThresholdPlan)
    add_detector_options(parser, {**EXACT, 'max_keypoints': 5000})


def run(args: argparse.Namespace) -> int:
    """Measure each threshold, write the report, and print its table."""
    from tqdm import tqdm

    from superpoint_ros.common.file_reading import read_each
    from superpoint_ros.evaluation.reports import UnfinishedReport
    from superpoint_ros.evaluation.threshold_sweep import (
        evaluate_thresholds,
        thresholds_table,
        write_thresholds_report,
    )
    from superpoint_ros.resources import demo_photographs

    paths = image_files(args.images or demo_photographs())
    keep_inputs(paths, [args.out / 'threshold.png'])
    bad: list[Path] = []
    read = partial(read_for_detection, longest_side=args.longest_side)
    images = list(read_each(read, paths, bad))
    plan = read_options(args, ThresholdPlan)
    detector = make_detector(args)
    skipped = {'skipped': [str(path) for path in bad]}

    def write(result: dict, folder: Path) -> list[Path]:
        return write_thresholds_report(result | skipped, folder)

    with UnfinishedReport(args.out, 'threshold', write, len(images), 'images') as report:
        result = evaluate_thresholds(detector, tqdm(images, unit='image'), plan, report.keep)
        print(thresholds_table(result))
        files = write(result, args.out)
    print_written(files)
    return 1 if bad else 0
