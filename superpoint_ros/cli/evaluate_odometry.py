# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate odometry`: trajectories of the features, compared with baselines."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from superpoint_ros.cli.method_options import add_method_options, make_methods
from superpoint_ros.cli.options import distinct_names
from superpoint_ros.cli.rerun_option import add_rerun_option, open_recording
from superpoint_ros.cli.settings_options import add_options, given_options, read_options
from superpoint_ros.common.wording import counted
from superpoint_ros.evaluation.evaluation_plans import OdometryPlan, RoomPlan

if TYPE_CHECKING:
    from superpoint_ros.data.sequences.sequence import FrameSequence
    from superpoint_ros.evaluation.front_ends import OdometryMethod
    from superpoint_ros.integrations.rerun_recording import RerunRecording

    Opener = tuple[str, Callable[[], FrameSequence]]
    """Name of a sequence, and the function that opens it."""

_BASELINE = 0.12  # metres, of the stereo camera in the simulated room


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    _add_sequence_options(parser)
    parser.add_argument(
        '--photographs', metavar='DIR', help='images in the room (default: those of the package)'
    )
    add_options(parser, RoomPlan)
    add_options(parser, OdometryPlan, ('gaps', 'frames', 'scale'))
    add_rerun_option(parser)
    add_method_options(
        parser,
        ('klt', 'sift', 'orb'),
        max_keypoints=500,
        extra=('klt',),
    )


def _add_sequence_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--data',
        nargs='+',
        metavar='PATH',
        help='sequences of TUM RGB-D, KITTI odometry or EuRoC, bags of ROS 1 or ROS 2, with true '
        'poses, or folders of them (default: a simulated room)',
    )
    parser.add_argument('--topic', help='image topic of a bag (default: the only one)')
    parser.add_argument(
        '--truth-topic', metavar='TOPIC', help='true poses of a bag (default: ground_truth/pose)'
    )
    parser.add_argument(
        '--calibration', metavar='FILE', help='camera calibration, as camera_calibration writes it'
    )


def run(args: argparse.Namespace) -> int:
    """
    Measure, write the report, and print its first tables.

    Returns 1 if sequences or photographs were left out.
    """
    from tqdm import tqdm

    from superpoint_ros.evaluation.odometry_benchmark import evaluate_odometry
    from superpoint_ros.evaluation.odometry_report import (
        odometry_table,
        pairs_table,
        write_odometry_report,
    )
    from superpoint_ros.evaluation.reports import UnfinishedReport

    _refuse_unused(args)
    simulated = {} if args.data else {'frames': 200}
    plan = read_options(args, OdometryPlan, **simulated)
    methods = _make_methods(args)
    bad = 0
    if args.data:
        sequences = _recordings(args, plan.scale)
    else:
        sequences, bad = _simulated(args, plan.scale)
    total = plan.frames * len(sequences) if plan.frames else None
    source = {'source': _described(args, sequences)}

    def write(result: dict, folder: Path, trajectories: dict) -> list[Path]:
        return write_odometry_report(result | source, trajectories, folder)

    with UnfinishedReport(args.out, 'odometry', write, len(sequences), 'sequences') as report:
        with open_recording(args.rerun) as recording, tqdm(total=total, unit='frame') as progress:
            log = _make_log(recording)

            def on_frame(*found) -> None:
                progress.update()
                log(*found)

            result, trajectories = evaluate_odometry(
                methods, sequences, plan, on_frame, report.keep
            )
        print(odometry_table(result['all']))
        for gap in plan.gaps:
            table = pairs_table(result['all'], gap)
            print(f'Pairs {counted(gap, "frame")} apart:\n\n{table}')
        for reason in result['skipped'].values():
            print(f'superpoint: left out {reason}', file=sys.stderr)
        files = write(result, args.out, trajectories)
    print(f'written: {", ".join(str(file) for file in files[:3])}, {args.out / "trajectories"}')
    return 1 if result['skipped'] or bad else 0


def _make_log(recording: RerunRecording | None) -> Callable[..., None]:
    """Return a function that logs what was found in a frame to a recording, if there is one."""
    if recording is None:
        return lambda *_: None
    from superpoint_ros.integrations.rerun_odometry import OdometryLog

    return OdometryLog(recording).add


def _make_methods(args: argparse.Namespace) -> list[OdometryMethod]:
    """Return the methods to compare: weights, then baselines in the order of the command line."""
    from superpoint_ros.evaluation.front_ends import KLT, odometry_method

    methods = [odometry_method(method) for method in make_methods(args, leave_out=('klt',))]
    if 'klt' in args.methods:
        place = list(dict.fromkeys(args.methods)).index('klt')
        methods.insert(len(args.weights) + place, KLT)
    return methods


def _recordings(args: argparse.Namespace, scale: str) -> list[Opener]:
    """Return names of recordings, each once, and functions that open them."""
    from functools import partial

    from superpoint_ros.data.sequences.opening import list_sequences, open_sequence

    found = {path.resolve(): path for source in args.data for path in list_sequences(source)}
    opener = partial(
        open_sequence,
        topic=args.topic,
        truth_topic=args.truth_topic,
        calibration=args.calibration,
        with_second=scale == 'stereo',
        with_depth=scale == 'depth',
    )
    names = distinct_names(list(found))
    return [
        (name, partial(opener, path)) for name, path in zip(names, found.values(), strict=True)
    ]


def _simulated(args: argparse.Namespace, scale: str) -> tuple[list[Opener], int]:
    """
    Return simulated rooms, and the number of photographs that cannot be read.

    Each room is a name and a function that makes the sequence of a camera there.
    """
    from functools import partial

    from superpoint_ros.data.sequences.image_files import find_photographs, load_images
    from superpoint_ros.data.sequences.text_files import read_calibration
    from superpoint_ros.simulation.room import SimulatedRoom

    paths = find_photographs(args.photographs)
    photographs = list(load_images(paths, color=False))
    camera = read_calibration(args.calibration) if args.calibration else None
    options = asdict(read_options(args, RoomPlan))
    seeds = options.pop('seeds')
    options |= {
        'baseline': _BASELINE if scale == 'stereo' else 0.0,
        'with_depth': scale == 'depth',
    }
    rooms = [
        (f'room {seed}', partial(SimulatedRoom, photographs, camera, seed, **options))
        for seed in seeds
    ]
    return rooms, len(paths) - len(photographs)


def _refuse_unused(args: argparse.Namespace) -> None:
    """Raise ValueError that names options which the source of the frames does not use."""
    if args.data:
        unused = [*given_options(args, RoomPlan), *(['photographs'] if args.photographs else [])]
        reason = 'for the simulated room, which --data replaces'
    else:
        unused = [name for name in ('topic', 'truth_topic') if getattr(args, name)]
        reason = 'for bags: name one with --data'
    if unused:
        options = ', '.join(f'--{name.replace("_", "-")}' for name in unused)
        raise ValueError(f'{options}: {reason}')


def _described(args: argparse.Namespace, sequences: list[tuple]) -> dict[str, object]:
    """Return the source of the images, for the report."""
    if args.data:
        return {'data': [name for name, _ in sequences]}
    return {'simulated': asdict(read_options(args, RoomPlan))}
