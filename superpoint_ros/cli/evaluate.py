# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure detectors on data with ground truth.

shapes: precision of corners of synthetic shapes, compared with FAST, Harris and Shi-Tomasi.
homography: repeatability, matching and homographies on planar scenes in the layout of HPatches,
compared with SIFT, ORB and AKAZE ('superpoint make-benchmark' makes such scenes from photographs).
scenes: repeatability with visibility, matching and poses on rendered 3-D scenes, compared with
SIFT, ORB and AKAZE ('superpoint render-pairs' renders such pairs).
odometry: relative poses and trajectories in a simulated room or on recordings with true poses,
compared with Shi-Tomasi + KLT, SIFT and ORB.
threshold: number of keypoints, repeatability and correct matches for each detection threshold.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from superpoint_ros.cli import evaluate_odometry, evaluate_scenes
from superpoint_ros.cli.options import (
    add_detector_options,
    add_matching_options,
    add_method_options,
    add_out,
    check_images,
    EXACT,
    given_execution,
    image_files,
    keep_inputs,
    make_detector,
    make_methods,
    number,
    print_written,
    read_for_detection,
    with_wide,
)
from superpoint_ros.cli.settings_options import add_options, read_options
from superpoint_ros.evaluation.evaluation_plans import ShapesPlan, ThresholdPlan

SHAPES_SETTINGS = {
    **EXACT,
    'threshold': 1e-4,
    'border_margin': 0,
    'nms_radius': 4,
    'keypoints': 'heatmap',
}
"""
Defaults of the measurement on shapes: the baselines give weak points and points near the border,
too, and the ground truth are corners, not the extrema of the Hessian determinant next to them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of each measurement."""
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    for name, text, declare, measure in (
        ('shapes', 'synthetic shapes: mAP and localisation error', _add_shapes, _run_shapes),
        (
            'homography',
            'planar scenes: repeatability, matching, homographies',
            _add_homography,
            _run_homography,
        ),
        (
            'scenes',
            'rendered 3-D scenes: matching, relative poses',
            evaluate_scenes.add_arguments,
            evaluate_scenes.run,
        ),
        (
            'odometry',
            'image sequences: relative poses, trajectories',
            evaluate_odometry.add_arguments,
            evaluate_odometry.run,
        ),
        ('threshold', 'results for each detection threshold', _add_threshold, _run_threshold),
    ):
        kind = kinds.add_parser(name, help=text)
        declare(kind)
        add_out(kind, 'folder for the report')
        kind.set_defaults(measure=measure)


def run(args: argparse.Namespace) -> int:
    """Run the measurement that the command line names."""
    return args.measure(args)


def _add_shapes(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement on synthetic shapes."""
    add_options(parser, ShapesPlan)
    add_detector_options(parser, SHAPES_SETTINGS)


def _run_shapes(args: argparse.Namespace) -> int:
    """Measure on synthetic shapes, write the report, and print its first table."""
    from tqdm import tqdm

    from superpoint_ros.data.synthetic_shapes.shapes import SHAPES
    from superpoint_ros.evaluation.baselines import DETECTORS, Method
    from superpoint_ros.evaluation.reports import UnfinishedReport, write_result
    from superpoint_ros.evaluation.shapes_benchmark import (
        CONDITIONS,
        evaluate_shapes,
        shapes_markdown,
        shapes_table,
        write_shapes_report,
    )

    detector = make_detector(args)
    ours = Method('SuperPoint', detector)
    methods = [ours, *(Method(name, find) for name, find in DETECTORS.items())]
    plan = read_options(args, ShapesPlan)
    total = plan.images * len(SHAPES) * len(CONDITIONS)
    weights = {'weights': detector.weights.name}

    def write(result: dict, folder: Path) -> None:
        write_result(folder, 'shapes', result | weights, shapes_markdown(result))

    with UnfinishedReport(args.out, 'shapes', write, len(CONDITIONS), 'conditions') as report:
        with tqdm(total=total, unit='image') as progress:
            result = evaluate_shapes(methods, plan, progress.update, report.keep) | weights
        print(shapes_table(result))
        files = write_shapes_report(result, ours, args.out)
    print_written(files)
    return 0


def _add_homography(parser: argparse.ArgumentParser) -> None:
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
    add_matching_options(parser, 'maximum pairs per sequence (default: all)')
    add_method_options(parser, ('sift', 'orb', 'akaze'), max_keypoints=300)


def _run_homography(args: argparse.Namespace) -> int:
    """Measure on planar scenes, write the report, and print the tables; 1 if some are bad."""
    from tqdm import tqdm

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
    from superpoint_ros.files import read_each

    methods = with_wide(args, make_methods(args, max_keypoints=pool_size(args.max_keypoints)))
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


def _add_threshold(parser: argparse.ArgumentParser) -> None:
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


def _run_threshold(args: argparse.Namespace) -> int:
    """Measure each threshold, write the report, and print its table."""
    from tqdm import tqdm

    from superpoint_ros.evaluation.reports import UnfinishedReport
    from superpoint_ros.evaluation.threshold_sweep import (
        evaluate_thresholds,
        thresholds_table,
        write_thresholds_report,
    )
    from superpoint_ros.files import demo_photographs, read_each

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
