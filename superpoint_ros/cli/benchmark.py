# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure how fast it is, in the same run as a plain PyTorch SuperPoint with the same weights.

Whole frames of photographs, unless another part is named: time of each stage (p50, p99),
multiply-adds per second and their share of what this machine reaches in a matrix product, memory,
and how many times as fast as the plain one. --node: from camera to subscriber through the real
node. --scaling: time and memory against image area and number of keypoints. --training: the
training's data beside its network. --all: everything.

Written are benchmark.json, benchmark.md and a picture of each part.

  superpoint benchmark --sizes 640x480 1280x720 --weights models/superpoint_compact.safetensors
  superpoint benchmark --all --docs docs/performance.md
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

PARTS = ('frames', 'node', 'scaling', 'training')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parts = parser.add_argument_group('what is measured')
    parts.add_argument('--frames', action='store_true', help='whole frames (the default)')
    parts.add_argument('--node', action='store_true', help='from camera to subscriber')
    parts.add_argument('--scaling', action='store_true', help='against area and keypoints')
    parts.add_argument('--training', action='store_true', help='data and network of the training')
    parts.add_argument('--all', action='store_true', help='all four')
    _add_cases(parser.add_argument_group('with what'))
    how = parser.add_argument_group('how')
    how.add_argument(
        '--rounds', type=_count, default=40, metavar='N', help='for each case (default: 40)'
    )
    how.add_argument(
        '--threads', type=_count, metavar='N', help='on the CPU (default: one for each core)'
    )
    how.add_argument(
        '--no-memory', action='store_true', help='leave out memory, which takes seconds a case'
    )
    how.add_argument(
        '--out',
        type=Path,
        default=Path('runs/benchmark'),
        metavar='DIR',
        help='folder for the report (default: runs/benchmark)',
    )
    how.add_argument(
        '--docs', type=Path, metavar='FILE', help='a document whose sections are written anew'
    )


def _add_cases(group) -> None:
    """Declare the options that say which cases there are."""
    group.add_argument(
        '--sizes',
        nargs='+',
        type=_size,
        metavar='WxH',
        help='of the frames (default: 640x480; with --scaling from 160x120 to 3840x2160)',
    )
    group.add_argument(
        '--networks',
        nargs='+',
        default=[],
        metavar='NAME',
        help='paper, compact, with random weights (default: both, unless weights are named)',
    )
    group.add_argument(
        '--weights', nargs='+', default=[], metavar='FILE', help='weight files to measure'
    )
    group.add_argument(
        '--engines', nargs='+', metavar='NAME', help='torch, openvino (default: both)'
    )
    group.add_argument(
        '--precisions',
        nargs='+',
        metavar='NAME',
        help='float32, bfloat16, int8, float16 (default: those for the device)',
    )
    group.add_argument('--device', default='cpu', help='cpu, cuda, cuda:N, auto (default: cpu)')
    group.add_argument(
        '--keypoints', type=_count, default=1000, metavar='N', help='a frame (default: 1000)'
    )
    group.add_argument(
        '--images', metavar='DIR', help='photographs (default: those of the package)'
    )


def _count(text: str) -> int:
    """Return a positive number."""
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 1 to 100000')
    return int(text)


def _size(text: str) -> tuple[int, int]:
    """Return width and height."""
    sides = text.lower().split('x')
    if len(sides) != 2 or not all(side.isdigit() and 16 <= int(side) <= 8192 for side in sides):
        raise argparse.ArgumentTypeError(f'{text!r} is no size such as 640x480, from 16 to 8192')
    return int(sides[0]), int(sides[1])


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the report."""
    from superpoint_ros.benchmark import benchmark_report as report
    from superpoint_ros.benchmark.machine import describe_machine

    chosen = [name for name in PARTS if args.all or getattr(args, name)] or ['frames']
    plan = _plan(args)
    machine = describe_machine(plan.threads)
    print(report.machine_line(machine))
    measured = {}
    for name in chosen:
        measured[name] = _measure(name, plan, args)
        # What is measured is written at once: the next part may take long.
        files = report.write_report(machine, measured, args.out)
        print(f'\n{report.PARTS[name].title}\n\n{report.PARTS[name].markdown(measured[name])}')
    if args.docs:
        report.update_document(args.docs, machine, measured, args.out)
    print(f'written: {", ".join(str(file) for file in files)}')
    return 0


def _plan(args: argparse.Namespace):
    """Return what whole frames are measured with."""
    from superpoint_ros.benchmark.candidates import Execution, NetworkSource
    from superpoint_ros.benchmark.frame_times import SpeedPlan
    from superpoint_ros.benchmark.machine import usable_cores
    from superpoint_ros.engines.selection import find_device

    networks = [NetworkSource(name) for name in args.networks]
    networks += [NetworkSource(Path(file).stem, file) for file in args.weights]
    device = str(find_device(args.device))
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
        keypoints=args.keypoints,
        rounds=args.rounds,
        threads=args.threads or usable_cores(),
        images=args.images,
        memory=not args.no_memory,
    )


def _measure(name: str, plan, args: argparse.Namespace):
    """Return what was measured of a part."""
    from dataclasses import replace

    from superpoint_ros.benchmark.candidates import Execution

    def progress(text: str) -> None:
        print(f'... {text}', file=sys.stderr)

    if name == 'frames':
        from superpoint_ros.benchmark.frame_times import measure_frames

        return measure_frames(plan, progress)
    if name == 'training':
        from superpoint_ros.benchmark.training_rates import measure_training

        return measure_training(plan.threads, progress)
    if not args.engines and not args.precisions:
        # What runs where nobody chooses.
        plan = replace(plan, executions=[Execution('auto', 'auto', plan.executions[0].device)])
    if name == 'node':
        from superpoint_ros.benchmark.node_latency import measure_node

        return measure_node(plan, args.out, progress)
    from superpoint_ros.benchmark.scaling import measure_scaling, SIZES

    return measure_scaling(replace(plan, sizes=args.sizes or SIZES), progress)
