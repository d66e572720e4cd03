# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure detectors on data whose truth is known.

shapes: how precisely corners of synthetic shapes are found, beside FAST, Harris and Shi-Tomasi.
homography: repeatability, matching and homographies on planar scenes in the layout of HPatches,
beside SIFT, ORB and AKAZE ('superpoint make-benchmark' makes such scenes from photographs).
scenes: repeatability with visibility, matching and poses on rendered 3-D scenes, compared with
SIFT, ORB and AKAZE ('superpoint render-pairs' renders such pairs).
odometry: relative poses and trajectories, in a simulated room or on recordings with true poses,
beside SIFT and ORB.
threshold: keypoints, repeatability and right matches for each detection threshold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from superpoint_ros.cli import evaluate_odometry, evaluate_scenes, evaluate_threshold
from superpoint_ros.cli.baseline_options import add_method_arguments, compared_methods
from superpoint_ros.cli.detector_options import add_execution_arguments, execution_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of each measurement."""
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    _add_shapes(kinds.add_parser('shapes', help='synthetic shapes: mAP and localisation error'))
    _add_homography(
        kinds.add_parser('homography', help='planar scenes: repeatability, matching, homographies')
    )
    _add_scenes(kinds.add_parser('scenes', help='rendered 3-D scenes: matching, relative poses'))
    _add_odometry(kinds.add_parser('odometry', help='flights: relative poses, trajectories'))
    _add_threshold(kinds.add_parser('threshold', help='what each detection threshold gives'))


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Declare what every measurement has."""
    # Weights are judged by what they are, not by what this processor makes of them.
    add_execution_arguments(parser, precision='float32')
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder for the report'
    )


def _add_shapes(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement on synthetic shapes."""
    parser.add_argument(
        '--weights', metavar='FILE', help='weight file (default: the one that is shipped)'
    )
    parser.add_argument(
        '--images', type=int, default=200, metavar='N', help='for each category (default: 200)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the images (default: 0)')
    _add_common(parser)
    parser.set_defaults(measure=_run_shapes)


def _add_homography(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement on planar scenes."""
    parser.add_argument(
        '--data', required=True, metavar='DIR', help='folder of v_* and i_* sequences'
    )
    add_method_arguments(parser, methods=('sift', 'orb', 'akaze'), keypoints=300)
    parser.add_argument(
        '--longest-side',
        type=int,
        default=480,
        metavar='PX',
        help='images are resized to this (default: 480)',
    )
    parser.add_argument('--no-subpixel', action='store_true', help='keypoints at pixel centres')
    parser.add_argument(
        '--heatmap', action='store_true', help="keypoints are the maxima of ours' heatmap"
    )
    parser.add_argument(
        '--max-pairs', type=int, metavar='N', help='at most N pairs of a sequence (default: all)'
    )
    parser.add_argument(
        '--pictures', type=int, default=4, metavar='N', help='of matches (default: 4)'
    )
    _add_common(parser)
    parser.set_defaults(measure=_run_homography)


def _add_scenes(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement on rendered 3-D scenes."""
    evaluate_scenes.add_arguments(parser)
    _add_common(parser)
    parser.set_defaults(measure=evaluate_scenes.run)


def _add_odometry(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement of visual odometry."""
    evaluate_odometry.add_arguments(parser)
    _add_common(parser)
    parser.set_defaults(measure=evaluate_odometry.run)


def _add_threshold(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement of thresholds."""
    evaluate_threshold.add_arguments(parser)
    _add_common(parser)
    parser.set_defaults(measure=evaluate_threshold.run)


def run(args: argparse.Namespace) -> int:
    """Run the measurement that was asked for."""
    return args.measure(args)


def _run_shapes(args: argparse.Namespace) -> int:
    """Measure on synthetic shapes, write the report, and print its first table."""
    from tqdm import tqdm

    from superpoint_ros.data.synthetic_shapes.shapes import SHAPES
    from superpoint_ros.detector import Detector
    from superpoint_ros.evaluation.baselines import DETECTORS, Method
    from superpoint_ros.evaluation.shapes_benchmark import CONDITIONS, evaluate_shapes
    from superpoint_ros.evaluation.shapes_report import shapes_markdown, write_shapes_report

    # Points up to the border and weak ones too: the others' are not cut off either. And what the
    # network says of corners, not the blobs at their insides.
    settings = {'threshold': 1e-4, 'border_margin': 0, 'nms_radius': 4, 'keypoints': 'heatmap'}
    detector = Detector.from_weights(args.weights, **execution_of(args), **settings)
    ours = Method('SuperPoint', detector)
    methods = [ours, *(Method(name, find) for name, find in DETECTORS.items())]
    total = args.images * len(SHAPES) * len(CONDITIONS)
    with tqdm(total=total, unit='image') as progress:
        result = evaluate_shapes(methods, args.images, args.seed, progress.update)
    result['weights'] = detector.weights.name
    files = write_shapes_report(result, ours, args.out)
    print(next(part for part in shapes_markdown(result).split('\n\n') if part.startswith('|')))
    print(f'written: {", ".join(str(file) for file in files)}')
    return 0


def _run_homography(args: argparse.Namespace) -> int:
    """Measure on planar scenes, write the report, and print the tables; 1 if some are bad."""
    import sys

    from tqdm import tqdm

    from superpoint_ros.data.hpatches import list_sequences, read_sequence
    from superpoint_ros.evaluation.homography_benchmark import (
        COUNTINGS,
        evaluate_planar,
        pool_size,
    )
    from superpoint_ros.evaluation.homography_report import planar_table, write_planar_report

    methods = compared_methods(
        args,
        subpixel=not args.no_subpixel,
        keypoints='heatmap' if args.heatmap else 'hessian',
        max_keypoints=pool_size(max(args.keypoints, 1)),
    )
    folders, bad = list_sequences(args.data), []

    def readable_sequences():
        for folder in tqdm(folders, unit='sequence'):
            try:
                yield read_sequence(folder, args.longest_side, args.max_pairs)
            except (ValueError, OSError) as error:
                tqdm.write(f'skipped: {error}', file=sys.stderr)
                bad.append(folder)

    result = evaluate_planar(methods, readable_sequences(), args.keypoints)
    result['longest_side'] = args.longest_side
    result['ours'] = {
        **execution_of(args),
        'upscale_factor': args.upscale_factor,
        'descriptor_scales': args.descriptor_scales,
        'keypoints': 'heatmap' if args.heatmap else 'hessian',
    }
    good = [folder for folder in folders if folder not in bad]
    chosen = good[:: max(1, len(good) // args.pictures)][: args.pictures] if args.pictures else []
    shown = [read_sequence(folder, args.longest_side, 1) for folder in chosen]
    files = write_planar_report(result, methods, shown, args.out)
    for counting in COUNTINGS:
        print(f'{counting} points count:\n\n{planar_table(result, counting, "both")}')
    print(f'written: {", ".join(str(file) for file in files)}')
    return 1 if bad else 0
