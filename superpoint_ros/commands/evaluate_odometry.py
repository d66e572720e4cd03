# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The options of `superpoint evaluate odometry`, and what it does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--data',
        nargs='+',
        metavar='PATH',
        help='folders of TUM RGB-D or KITTI odometry, or ROS 2 bags, with true poses (default: a '
        'simulated room)',
    )
    parser.add_argument('--topic', help="of a bag's images (default: the only one)")
    parser.add_argument(
        '--truth-topic', metavar='TOPIC', help="of a bag's true poses (default: ground_truth/pose)"
    )
    parser.add_argument(
        '--calibration',
        metavar='FILE',
        help="of the camera, as ROS's camera_calibration writes it",
    )
    parser.add_argument(
        '--photographs', metavar='DIR', help='of the room (default: those of the package)'
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[0, 1, 2],
        metavar='N',
        help='of the simulated flights (default: 0 1 2)',
    )
    parser.add_argument(
        '--rate', type=float, default=10.0, help='of simulated frames, in Hz (default: 10)'
    )
    parser.add_argument(
        '--noise', type=float, default=2.0, help='of simulated frames, gray levels (default: 2)'
    )
    parser.add_argument(
        '--exposure', type=float, default=0.0, metavar='S', help='blurs motion (default: 0)'
    )
    parser.add_argument(
        '--frames', type=int, metavar='N', help='of each sequence (default: all, 200 simulated)'
    )
    parser.add_argument(
        '--gaps',
        nargs='+',
        type=int,
        default=[2, 5],
        metavar='N',
        help='frames between the two of a pair (default: 2 5)',
    )
    parser.add_argument(
        '--weights',
        nargs='+',
        metavar='FILE',
        default=[None],
        help='weight files, one or several to compare (default: the one that is shipped)',
    )
    parser.add_argument(
        '--methods',
        nargs='*',
        default=['sift', 'orb'],
        metavar='NAME',
        help='others to compare with: sift, orb, akaze, or none (default: sift orb)',
    )
    parser.add_argument(
        '--keypoints', type=int, default=500, metavar='N', help='the best N (default: 500)'
    )
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.001,
        metavar='P',
        help='least probability of a keypoint: low, so that N are found (default: 0.001)',
    )
    parser.add_argument(
        '--nms-radius', type=int, default=4, metavar='PX', help='of ours (default: 4)'
    )
    parser.add_argument(
        '--magnification',
        type=float,
        default=1.0,
        metavar='X',
        help='ours enlarges images X times first (default: 1)',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, write the report, and print its first tables."""
    from tqdm import tqdm

    from superpoint_ros.evaluation.methods import described_method
    from superpoint_ros.evaluation.odometry import evaluate_odometry, OdometryPlan
    from superpoint_ros.evaluation.odometry_report import (
        odometry_table,
        pairs_table,
        write_odometry_report,
    )

    frames = args.frames if args.data else args.frames or 200
    plan = OdometryPlan(args.keypoints, tuple(args.gaps), frames)
    methods = [*_our_methods(args)]
    methods += [described_method(name, args.keypoints) for name in args.methods]
    sequences = _recordings(args) if args.data else _flights(args)
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
    """Yield the names and sequences of recordings."""
    from superpoint_ros.sequences import open_sequence

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


def _flights(args: argparse.Namespace) -> Iterator[tuple]:
    """Yield the names and sequences of simulated flights."""
    from superpoint_ros.resources import demo_photographs
    from superpoint_ros.sequences import list_images, read_image
    from superpoint_ros.sequences.calibration_files import read_calibration
    from superpoint_ros.simulation import SimulatedRoom

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
    """Return what the numbers are of, for the report."""
    if args.data:
        return {'data': [Path(path).resolve().name for path in args.data]}
    names = ('seeds', 'rate', 'noise', 'exposure')
    return {'simulated': {name: getattr(args, name) for name in names}}


def _our_methods(args: argparse.Namespace) -> Iterator:
    """Yield a method for each weight file, named after the file where there are several."""
    from superpoint_ros.commands.detector_options import execution_of
    from superpoint_ros.detector import Detector
    from superpoint_ros.evaluation.methods import Method

    for weights in args.weights:
        detector = Detector.from_weights(
            weights,
            **execution_of(args),
            threshold=args.threshold,
            nms_radius=args.nms_radius,
            magnification=args.magnification,
            max_keypoints=max(args.keypoints, 1),
        )
        several = len(args.weights) > 1
        yield Method(detector.weights.stem if several else 'SuperPoint', detector)
