# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate homography`: features on planar scenes, compared with baselines."""

from __future__ import annotations

import argparse
from pathlib import Path

from superpoint_ros.cli.method_options import add_matching_options, make_matching_methods
from superpoint_ros.cli.options import check_images, given_execution, number, print_written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement on planar scenes."""
    parser.add_argument(
        '--data', required=True, metavar='DIR', help='folder of v_* and i_* sequences'
    )
    parser.add_argument(
        '--longest-side',
        type=number(64, 10**5, int),
        default=480,
        metavar='PX',
        help='size to which the longer side of images is resized (default: 480)',
    )
    add_matching_options(parser, 'maximum pairs per sequence (default: all)', max_keypoints=300)


def run(args: argparse.Namespace) -> int:
    """Measure on planar scenes, write the report, and print the tables; 1 if some are bad."""
    from tqdm import tqdm

    from superpoint_ros.common.file_reading import read_each
    from superpoint_ros.data.hpatches import (
        HomographySequence,
        list_homography_sequences,
        read_sequence,
    )
    from superpoint_ros.data.sequences.image_files import evenly_spaced
    from superpoint_ros.evaluation.homography_benchmark import (
        COUNTINGS,
        evaluate_homographies,
        homography_table,
        pool_size,
        write_homography_report,
    )
    from superpoint_ros.evaluation.reports import UnfinishedReport

    methods = make_matching_methods(args, max_keypoints=pool_size(args.max_keypoints))
    folders, bad = list_homography_sequences(args.data), []

    def read(folder: Path) -> HomographySequence:
        sequence = read_sequence(folder, args.longest_side, args.max_pairs)
        check_images(sequence.images, folder)  # narrow ones may be too small when they are reduced
        return sequence

    sequences = read_each(read, tqdm(folders, unit='sequence'), bad, 'sequences')
    ours = {**given_execution(args), **vars(methods[0].find.settings)}

    def described(result: dict) -> dict:
        skipped = [folder.name for folder in bad]
        return {**result, 'longest_side': args.longest_side, 'ours': ours, 'skipped': skipped}

    def write(result: dict, folder: Path) -> None:
        write_homography_report(described(result), methods, [], folder)

    with UnfinishedReport(args.out, 'homography', write, len(folders), 'sequences') as report:
        result = evaluate_homographies(methods, sequences, args.max_keypoints, report.keep)
        result = described(result)
        for counting in COUNTINGS:
            print(f'{counting} points count:\n\n{homography_table(result, counting, "both")}')
        good = [folder for folder in folders if folder not in bad]
        shown = [
            read_sequence(folder, args.longest_side, 1)
            for folder in evenly_spaced(good, args.pictures)
        ]
        files = write_homography_report(result, methods, shown, args.out)
    print_written(files)
    return 1 if bad else 0
