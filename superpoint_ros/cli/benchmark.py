# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure the speed, in the same run as a plain PyTorch SuperPoint with the same weights.

By default whole frames of photographs are measured: time of each stage (p50, p99), multiply-adds
per second and their share of a matrix product on this machine, memory, the speed-up over the plain
PyTorch SuperPoint, and the time relative to ORB. --node: latency from camera to subscriber through
the real node. --tracking: tracker and odometry, relative to KLT. --scaling: time and memory
against image area and number of keypoints. --training: rates of the training data and of the
training. --start: seconds from starting a program to its first features, once for 8 rounds. --all:
all of these.

Writes benchmark.json, benchmark.md and a plot of each part when all are measured; until then, they
are in the folder benchmark_unfinished. Images that cannot be read are skipped and named; the exit
status is then 1.

  superpoint benchmark --sizes 640x480 1280x720 --weights models/superpoint_compact.safetensors
  superpoint benchmark --all --docs docs/performance.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
import sys

from superpoint_ros.cli.method_options import weight_names
from superpoint_ros.cli.options import (
    image_size,
    keep_inputs,
    number,
    output_folder,
    print_written,
)
from superpoint_ros.cli.settings_options import refuse_option

_COUNT = number(1, 100_000, int)

_ROUNDS_PER_START = 8  # a start takes seconds

_PACKAGES = {'node': ('rclpy',), 'training': ('lightning',)}
"""Packages that a part needs in addition to those of all parts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parts = parser.add_argument_group('measurements')
    parts.add_argument('--frames', action='store_true', help='whole frames (the default)')
    parts.add_argument('--node', action='store_true', help='latency from camera to subscriber')
    parts.add_argument('--tracking', action='store_true', help='tracker and odometry')
    parts.add_argument('--scaling', action='store_true', help='against area and keypoints')
    parts.add_argument('--training', action='store_true', help='training data and training')
    parts.add_argument('--start', action='store_true', help='from starts to the first features')
    parts.add_argument('--all', action='store_true', help='all of these')
    _add_cases(parser.add_argument_group('cases'))
    refuse_option(parser, '--keypoints', '--max-keypoints')
    how = parser.add_argument_group('method')
    how.add_argument(
        '--rounds', type=_COUNT, default=40, metavar='N', help='runs per case (default: 40)'
    )
    how.add_argument(
        '--threads', type=_COUNT, metavar='N', help='CPU threads (default: one per core)'
    )
    how.add_argument(
        '--no-memory', action='store_true', help='skip memory, which takes seconds per case'
    )
    how.add_argument(
        '--out',
        type=output_folder,
        default='runs/benchmark',
        metavar='DIR',
        help='folder for the report (default: runs/benchmark)',
    )
    how.add_argument(
        '--docs', type=Path, metavar='FILE', help='a document whose sections are rewritten'
    )


def _add_cases(group) -> None:
    """Declare the options of the cases; each list is combined with each other."""
    group.add_argument(
        '--sizes',
        nargs='+',
        type=image_size,
        metavar='WxH',
        help='sizes of the frames (default: 640x480; with --scaling from 160x120 to 3840x2160)',
    )
    group.add_argument(
        '--networks',
        nargs='+',
        default=[],
        metavar='NAME',
        help='paper, compact: random weights (default: both, unless --weights is given)',
    )
    group.add_argument(
        '--weights', nargs='+', default=[], metavar='FILE', help='weight files to measure'
    )
    group.add_argument(
        '--engines',
        nargs='+',
        metavar='NAME',
        help='torch, openvino, onnxruntime (default: the first two)',
    )
    group.add_argument(
        '--precisions',
        nargs='+',
        metavar='NAME',
        help='float32, bfloat16, int8, float16 (default: those for the device)',
    )
    _add_other_detectors(group)
    group.add_argument('--device', default='cpu', help='cpu, cuda, cuda:N, auto (default: cpu)')
    group.add_argument(
        '--max-keypoints', type=_COUNT, default=1000, metavar='N', help='per frame (default: 1000)'
    )
    group.add_argument(
        '--images', metavar='DIR', help='photographs (default: those of the package)'
    )


def _add_other_detectors(group) -> None:
    """Declare the options of detectors that are measured for comparison."""
    group.add_argument(
        '--methods',
        nargs='*',
        metavar='NAME',
        help='detectors of OpenCV for whole frames: ORB, SIFT, AKAZE, Shi-Tomasi; none without a '
        'name (default: all)',
    )
    group.add_argument(
        '--onnx',
        nargs='+',
        default=[],
        metavar='FILE',
        help='other detectors for whole frames, with an input (1, C, H, W), float32 from 0 to 1 '
        'or uint8, gray (C is 1) or RGB (C is 3), and an output keypoints (N, 2) or (1, N, 2)',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the report."""
    from superpoint_ros.benchmark import benchmark_report as report
    from superpoint_ros.benchmark.machine import describe_machine
    from superpoint_ros.evaluation.reports import UnfinishedReport

    keep_inputs([args.images] if args.images else [], [args.out])
    chosen = [name for name in report.PARTS if args.all or getattr(args, name)] or ['frames']
    _check_packages(chosen)  # as the document: the measurements take minutes to hours
    if args.docs:
        report.check_document(args.docs, chosen)
    bad: list[Path] = []
    plan = _plan(args, bad)
    machine = describe_machine(plan.threads)
    print(report.machine_line(machine))
    measured = {}
    write = partial(report.write_report, machine)
    with UnfinishedReport(args.out, 'benchmark', write, len(chosen), 'parts') as parts:
        for name in chosen:
            measured[name] = _measure(name, plan, args)
            parts.keep(measured.copy)
            print(f'\n{report.PARTS[name].title}\n\n{report.PARTS[name].markdown(measured[name])}')
        files = write(measured, args.out)
        if args.docs:
            report.update_document(args.docs, machine, measured, args.out)
    print_written(files)
    return 1 if bad else 0


def _check_packages(parts: Iterable[str]) -> None:
    """Raise ModuleNotFoundError if a package that the parts need is not installed."""
    for package in chain.from_iterable(_PACKAGES.get(part, ()) for part in parts):
        if not find_spec(package):
            raise ModuleNotFoundError(f'No module named {package!r}', name=package)


def _plan(args: argparse.Namespace, bad: list[Path]):
    """Return the plan of the measurement of whole frames; add unreadable images to `bad`."""
    from superpoint_ros.benchmark.candidates import Execution, NetworkSource, read_photographs
    from superpoint_ros.benchmark.frame_times import SpeedPlan
    from superpoint_ros.benchmark.other_detectors import METHODS
    from superpoint_ros.detection.threads import core_count
    from superpoint_ros.engines.engine import find_device

    networks = [NetworkSource(name) for name in args.networks]
    networks += map(NetworkSource, weight_names(args.weights), args.weights)
    device = find_device(args.device)
    is_cuda = device.startswith('cuda')
    engines = args.engines or (['torch'] if is_cuda else ['torch', 'openvino'])
    precisions = ['float32', 'float16'] if is_cuda else ['float32', 'bfloat16', 'int8']
    precisions = args.precisions or precisions
    return SpeedPlan(
        sizes=args.sizes or [(640, 480)],
        networks=networks or [NetworkSource('paper'), NetworkSource('compact')],
        executions=[
            Execution(engine, precision, device) for engine in engines for precision in precisions
        ],
        methods=list(METHODS) if args.methods is None else args.methods,
        onnx=args.onnx,
        keypoints=args.max_keypoints,
        rounds=args.rounds,
        threads=args.threads or core_count(),
        photographs=read_photographs(args.images, bad),
        memory=not args.no_memory,
    )


def _measure(name: str, plan, args: argparse.Namespace):
    """Return the measurements of a part."""
    from dataclasses import replace

    from superpoint_ros.benchmark.candidates import Execution

    def progress(text: str) -> None:
        print(f'... {text}', file=sys.stderr)

    if name == 'frames':
        from superpoint_ros.benchmark.frame_times import measure_frames

        return measure_frames(plan, progress)
    if name == 'start':
        from superpoint_ros.benchmark.start_up import measure_start_up

        return measure_start_up(max(args.rounds // _ROUNDS_PER_START, 1), args.out, progress)
    if name == 'tracking':
        from superpoint_ros.benchmark.tracking_times import measure_tracking

        return measure_tracking(plan.rounds, min(plan.keypoints, 500), progress)
    if name == 'training':
        from superpoint_ros.benchmark.training_rates import measure_training

        return measure_training(plan.threads, progress)
    if not args.engines and not args.precisions:
        # The engine and precision that run by default.
        plan = replace(plan, executions=[Execution('auto', 'auto', plan.executions[0].device)])
    if name == 'node':
        from superpoint_ros.benchmark.node_latency import measure_node

        return measure_node(plan, args.out, progress)
    from superpoint_ros.benchmark.scaling import measure_scaling, SIZES

    return measure_scaling(replace(plan, sizes=args.sizes or SIZES), progress)
