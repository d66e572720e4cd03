# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Run the detector node under more load than it can bear, and say whether it keeps its promises.

Images, a part of them broken, come faster than the node can work; meanwhile parameters are set and
the node's memory is watched. Written are a table (soak.csv), a picture of it (soak.png) and the
node's log. The status is 0 where memory stays flat, features come within two inference times,
parameter calls are answered within a tenth of a second and the node ends cleanly, else 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        '--seconds', type=_number(5, 86_400), default=60.0, help='how long (default: 60)'
    )
    parser.add_argument(
        '--rate', type=_number(1, 1000), default=200.0, help='images a second (default: 200)'
    )
    parser.add_argument(
        '--size',
        type=_size,
        default=(640, 480),
        metavar='WxH',
        help="the images' size in pixels (default: 640x480)",
    )
    parser.add_argument(
        '--broken',
        type=_number(0, 1),
        default=0.05,
        help='part of the images that are broken (default: 0.05)',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('runs/soak'),
        metavar='DIR',
        help='where table, picture and log go (default: runs/soak)',
    )
    parser.add_argument('--weights', metavar='FILE', help='weights (default: those shipped)')
    parser.add_argument('--device', help='auto, cpu or cuda (default: auto)')
    parser.add_argument('--engine', help='auto, torch or openvino (default: auto)')


def _number(low: float, high: float):
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f'{text!r} is not a number from {low} to {high}')
        return value

    return parse


def _size(text: str) -> tuple[int, int]:
    """Return width and height."""
    sides = text.lower().split('x')
    if len(sides) != 2 or not all(side.isdigit() and 16 <= int(side) <= 8192 for side in sides):
        raise argparse.ArgumentTypeError(f'{text!r} is no size such as 640x480, from 16 to 8192')
    return int(sides[0]), int(sides[1])


def run(args: argparse.Namespace) -> int:
    """Return the exit status, after the load."""
    import matplotlib  # noqa: F401 - what is missing should be missed before the load
    from tqdm import tqdm

    from superpoint_ros.ros.testing.stress_test import (
        judge,
        Load,
        plot_samples,
        run_soak,
        write_samples,
    )

    chosen = {name: getattr(args, name) for name in ('weights', 'device', 'engine')}
    parameters = {name: value for name, value in chosen.items() if value is not None}
    load = Load(args.seconds, args.rate, *args.size, args.broken)
    with tqdm(total=int(args.seconds), leave=False, bar_format='{bar:24} {n} s  {desc}') as bar:

        def progress(sample) -> None:
            bar.set_description_str(
                f'{sample.sent:.0f} sent, {sample.answered:.0f} answered a second, '
                f'{sample.latency_p50:.0f} ms, {sample.memory:.0f} MB',
                refresh=False,
            )
            bar.update(1)

        samples, status = run_soak(load, args.output, parameters, progress)
    write_samples(samples, args.output / 'soak.csv')
    plot_samples(samples, args.output / 'soak.png')
    _print_summary(samples)
    print(f'written     {args.output.resolve()}')
    broken = judge(samples, status)
    for promise, how in broken.items():
        print(f'BROKEN      {promise}: {how}')
    print('promises    ' + ('not all kept' if broken else 'kept'))
    return 1 if broken else 0


def _print_summary(samples) -> None:
    import numpy as np

    def values(name):
        return np.array([getattr(sample, name) for sample in samples])

    print(
        f'images      {values("sent").mean():.0f} sent, {values("answered").mean():.1f} answered, '
        f'{values("dropped").mean():.0f} overtaken a second'
    )
    print(
        f'latency     p50 {np.nanmedian(values("latency_p50")):.0f} ms, '
        f'p99 {np.nanmax(values("latency_p99")):.0f} ms; '
        f'inference {np.nanmedian(values("inference")):.0f} ms'
    )
    for name in ('parameters', 'weights'):
        calls = values(name)[np.isfinite(values(name))]
        if len(calls):
            print(
                f'{name:<12}p50 {np.median(calls):.0f} ms, slowest {calls.max():.0f} ms, '
                f'{len(calls)} calls'
            )
    memory = values('memory')
    print(f'memory      {memory[0]:.0f} MB at first, {memory[-1]:.0f} MB at last')
