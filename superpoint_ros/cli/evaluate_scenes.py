# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate scenes`: features on rendered pairs of views, compared with baselines."""

from __future__ import annotations

import argparse
from pathlib import Path

from superpoint_ros.cli.method_options import add_matching_options, make_matching_methods
from superpoint_ros.cli.options import given_execution, print_written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement."""
    parser.add_argument(
        '--data',
        required=True,
        type=Path,
        metavar='DIR',
        help="folder of rendered pairs, as made by 'superpoint render-pairs'",
    )
    add_matching_options(parser, 'the first N pairs (default: all)', max_keypoints=500)


def run(args: argparse.Namespace) -> int:
    """Measure on rendered pairs, write the report, print its table; 1 if some pairs are bad."""
    from tqdm import tqdm

    from superpoint_ros.common.file_reading import read_each
    from superpoint_ros.data.scenes.pair_cache import list_pairs, read_pair
    from superpoint_ros.data.sequences.image_files import evenly_spaced
    from superpoint_ros.evaluation.reports import UnfinishedReport
    from superpoint_ros.evaluation.scenes_benchmark import (
        evaluate_scenes,
        scenes_table,
        write_scenes_report,
    )

    methods = make_matching_methods(args)
    paths, bad = list_pairs(args.data)[: args.max_pairs], []
    pairs = read_each(read_pair, tqdm(paths, unit='pair'), bad, 'pairs')
    ours = {**given_execution(args), **vars(methods[0].find.settings)}

    def described(result: dict) -> dict:
        return {**result, 'ours': ours, 'skipped': [path.name for path in bad]}

    def write(result: dict, folder: Path) -> None:
        write_scenes_report(described(result), methods, [], folder)

    with UnfinishedReport(args.out, 'scenes', write, len(paths), 'pairs') as report:
        result = described(evaluate_scenes(methods, pairs, args.max_keypoints, report.keep))
        print(scenes_table(result))
        good = [path for path in paths if path not in bad]
        shown = [read_pair(path) for path in evenly_spaced(good, args.pictures)]
        files = write_scenes_report(result, methods, shown, args.out)
    print_written(files)
    return 1 if bad else 0
