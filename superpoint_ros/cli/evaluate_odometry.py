# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurement `superpoint evaluate odometry`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from superpoint_ros.cli.options import add_method_options, make_methods


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--data',
        nargs='+',
        metavar='PATH',
        help='folders of TUM RGB-D, KITTI odometry or EuRoC, or ROS 2 bags, with true poses '
        '(default: a simulated room)',
    )
    parser.add_argument('--topic', help='image topic of a bag (default: the only one)')
    parser.add_argument(
        '--truth-topic',
        metavar='TOPIC',
        help='true poses of a bag (default: ground_truth/pose)',
    )
    parser.add_argument(
        '--calibration',
        metavar='FILE',
        help='camera calibration, as camera_calibration writes it',
    )
    parser.add_argument(
        '--photographs',
        metavar='DIR',
        help='images in the room (default: those of the package)',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[0, 1, 2],
        metavar='N',
        help='random seeds of the simulated sequences (default: 0 1 2)',
    )
    parser.add_argument(
        '--rate', type=float, default=10.0, help='rate of simulated frames in Hz (default: 10)'
    )
    parser.add_argument(
        '--noise',
        type=float,
        default=2.0,
        help='noise of simulated frames, gray levels (default: 2)',
    )
    parser.add_argument(
        '--exposure',
        type=float,
        default=0.0,
        metavar='S',
        help='exposure time, blurs motion (default: 0)',
    )
    parser.add_argument(
        '--frames',
        type=int,
        metavar='N',
        help='frames per sequence (default: all, 200 simulated)',
    )
    parser.add_argument(
        '--gaps',
        nargs='+',
        type=int,
        default=[2, 5],
        metavar='N',
        help='frames between the two images of a pair (default: 2 5)',
    )
    add_method_options(parser, ('sift', 'orb'), max_keypoints=500)


def run(args: argparse.Namespace) -> int:
    """Measure, write the report, and print its first tables."""
    from tqdm import tqdm

    from superpoint_ros.evaluation.odometry_benchmark import (
        evaluate_odometry,
        odometry_table,
        OdometryPlan,
        pairs_table,
        write_odometry_report,
    )

    frames = args.frames if args.data else args.frames or 200
    plan = OdometryPlan(args.max_keypoints, tuple(args.gaps), frames)
    methods = make_methods(args)
    sequences = _recordings(args) if args.data else _simulated(args)
    total = frames * len(args.data or args.seeds) if frames else None
    with tqdm(total=total, unit='frame') as progress:
        result, trajectories = evaluate_odometry(methods, sequences, plan, progress.update)
    result['source'] = _described(args)
    files = write_odometry_report(result, trajectories, args.out)
    print(odometry_table(result['all']))
    for gap in plan.gaps:
        print(f'Pairs {gap} frames apart:\n\n{pairs_table(result["all"], gap)}')
    print(f'written: {", ".join(str(file) for file in files)}')
    return 0


def _recordings(args: argparse.Namespace) -> Iterator[tuple]:
    """Yield names and sequences of recordings."""
    from superpoint_ros.data.sequences.opening import open_sequence

    for path in args.data:
        yield (
            Path(path).resolve().name,
            open_sequence(
                path,
                topic=args.topic,
                truth_topic=args.truth_topic,
                calibration=args.calibration,
            ),
        )


def _simulated(args: argparse.Namespace) -> Iterator[tuple]:
    """Yield names and sequences of a camera in simulated rooms."""
    from superpoint_ros.data.sequences.image_files import list_images, read_image
    from superpoint_ros.data.sequences.text_files import read_calibration
    from superpoint_ros.files import demo_photographs
    from superpoint_ros.simulation.room import SimulatedRoom

    paths = list_images(args.photographs) if args.photographs else demo_photographs()
    photographs = [read_image(path) for path in paths]
    camera = read_calibration(args.calibration) if args.calibration else None
    for seed in args.seeds:
        yield (
            f'room {seed}',
            SimulatedRoom(
                photographs,
                camera,
                seed,
                rate=args.rate,
                exposure=args.exposure,
                noise=args.noise,
            ),
        )


def _described(args: argparse.Namespace) -> dict[str, object]:
    """Return the source of the images, for the report."""
    if args.data:
        return {'data': [Path(path).resolve().name for path in args.data]}
    names = ('seeds', 'rate', 'noise', 'exposure')
    return {'simulated': {name: getattr(args, name) for name in names}}
