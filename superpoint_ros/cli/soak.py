# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Run the detector node under overload and check its promises (stress test).

Images, some of them broken, arrive faster than the node can process them, while parameters are set
and the memory of the node is recorded. Writes a table (soak.csv), a plot of it (soak.png) and the
log of the node, also if it is interrupted. The exit status is 0 if the memory stays constant,
features arrive within two inference times, parameter calls are answered within 0.1 s and the node
ends cleanly, else 1. An idle node is called at the same times; the time that it needs to answer is
allowed in addition.
"""

from __future__ import annotations

import argparse

from superpoint_ros.cli.options import (
    add_detector_options,
    given_settings,
    image_size,
    output_folder,
)
from superpoint_ros.cli.settings_options import add_options, given_options
from superpoint_ros.common.wording import counted
from superpoint_ros.ros.testing.stress_report import (
    CALLS,
    judge,
    Load,
    plot_samples,
    Sample,
    write_samples,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_options(parser, Load, ('seconds', 'rate', 'broken'))
    parser.add_argument(
        '--size',
        type=image_size,
        default=(640, 480),
        metavar='WxH',
        help='size of the images in pixels (default: 640x480)',
    )
    parser.add_argument(
        '--output',
        type=output_folder,
        default='runs/soak',
        metavar='DIR',
        help='folder for table, plot and log (default: runs/soak)',
    )
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the stress test and return the exit status."""
    import matplotlib  # noqa: F401 - a missing package is reported before the work
    from tqdm import tqdm

    from superpoint_ros.ros.testing.stress_test import run_soak

    width, height = args.size
    load = Load(**given_options(args, Load), width=width, height=height)
    samples: list[Sample] = []
    with tqdm(total=int(load.seconds), leave=False, bar_format='{bar:24} {n} s  {desc}') as bar:

        def progress(sample: Sample) -> None:
            samples.append(sample)
            bar.set_description_str(
                f'{sample.sent:.0f} sent, {sample.answered:.0f} answered per second, '
                f'{sample.latency_p50:.0f} ms, {sample.memory:.0f} MB',
                refresh=False,
            )
            bar.update(round(sample.time) - bar.n)  # a busy machine takes fewer samples

        try:
            status = run_soak(load, args.output, given_settings(args), progress)
        finally:  # also after Ctrl-C, or if the node ends
            if samples:
                write_samples(samples, args.output / 'soak.csv')
                plot_samples(samples, args.output / 'soak.png')
    _print_summary(samples)
    print(f'written     {args.output.resolve()}')
    broken = judge(samples, status)
    for promise, how in broken.items():
        print(f'BROKEN      {promise}: {how}')
    print('promises    ' + ('broken' if broken else 'kept'))
    return 1 if broken else 0


def _print_summary(samples) -> None:
    import numpy as np

    def values(name):
        return np.array([getattr(sample, name) for sample in samples])

    def time(name, combine):
        known = values(name)[np.isfinite(values(name))]
        return f'{combine(known):.0f} ms' if len(known) else 'unknown'

    print(
        f'images      {values("sent").mean():.0f} sent, {values("answered").mean():.1f} answered, '
        f'{values("dropped").mean():.0f} replaced per second'
    )
    print(
        f'latency     p50 {time("latency_p50", np.median)}, p99 {time("latency_p99", np.max)}; '
        f'inference {time("inference", np.median)}'
    )
    for name in CALLS:
        calls = values(name)[np.isfinite(values(name))]
        if len(calls):
            print(
                f'{name:<12}p50 {np.median(calls):.0f} ms, slowest {calls.max():.0f} ms, '
                f'{counted(len(calls), "call")}'
            )
    memory = values('memory')
    print(f'memory      {memory[0]:.0f} MB at the start, {memory[-1]:.0f} MB at the end')
