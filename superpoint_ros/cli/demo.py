# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Run a camera player and the detector node as two processes, and measure what arrives.

Without PATH the camera is a virtual one that pans, turns and zooms over photographs of the
package. Rate, latency and keypoints are printed at the end, and a picture of frames with their
keypoints is written. With --odometry the camera flies through a simulated room, or plays a folder
of TUM RGB-D or KITTI or a bag, and tracker and visual odometry find its way. The status is 0 where
features came, else 1 or, for bad input, 2.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        'path',
        nargs='?',
        default='',
        metavar='PATH',
        help='an image, a folder of images, a video, or a camera (/dev/video0 or 0)',
    )
    parser.add_argument(
        '--odometry',
        action='store_true',
        help="track the keypoints, find the camera's way, and compare it with the true one",
    )
    parser.add_argument(
        '--seconds', type=_seconds, default=12.0, help='how long to measure (default: 12)'
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('runs/demo'),
        metavar='DIR',
        help='where the picture and the logs go (default: runs/demo)',
    )
    parser.add_argument('--weights', metavar='FILE', help='weights (default: those shipped)')
    parser.add_argument('--device', help='auto, cpu or cuda (default: auto)')
    parser.add_argument('--threshold', type=float, help='least score of a keypoint')


def _seconds(text: str) -> float:
    """Return the text as a time that can be measured."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number between 1 and 3600')
    return seconds


def run(args: argparse.Namespace) -> int:
    """Return the exit status, after the demonstration."""
    from tqdm import tqdm

    chosen = {name: getattr(args, name) for name in ('weights', 'device', 'threshold')}
    parameters = {name: value for name, value in chosen.items() if value is not None}
    form = '{bar:24} {n:4.1f}/{total:g} s  {desc}'
    # Without a terminal each state is a line of its own: a few are enough.
    interval = 0.1 if sys.stderr.isatty() else 4.0
    with tqdm(total=args.seconds, bar_format=form, leave=False, mininterval=interval) as bar:
        bar.miniters = 0

        def progress(seconds: float, text: str) -> None:
            bar.set_description_str(text, refresh=False)
            bar.update(min(seconds, args.seconds) - bar.n)

        settings = (args.path, args.output, args.seconds, parameters, progress)
        if args.odometry:
            from superpoint_ros.ros.testing.odometry_demonstration import (
                run_odometry_demonstration,
            )

            report, result = _print_way, run_odometry_demonstration(*settings)
        else:
            from superpoint_ros.ros.testing.demonstration import run_demonstration

            report, result = _print_features, run_demonstration(*settings)
    measured, picture = result
    report(measured, args.seconds)
    print(f'picture     {picture.resolve()}')
    return 0


def _print_features(measured, seconds: float) -> None:
    """Print what was measured of the detector."""
    width, height = measured.image_size
    p50, p99 = (1000 * measured.latency(percentile) for percentile in (50, 99))
    keypoints = measured.keypoints
    mean = sum(keypoints) / len(keypoints)
    print(f'images      {width}x{height}, {measured.images / seconds:.1f} a second')
    print(f'features    {len(keypoints)} messages, {measured.rate:.1f} a second')
    print(f'latency     p50 {p50:.0f} ms, p99 {p99:.0f} ms, from image stamp to features received')
    print(f'keypoints   {mean:.0f} in the mean, {min(keypoints)} to {max(keypoints)}')


def _print_way(way, seconds: float) -> None:
    """Print what was measured of tracker and odometry."""
    import numpy as np

    tracks = f'{len(way.tracked)} messages, {way.rate:.1f} a second'
    print(f'tracks      {tracks}, {np.mean(way.tracked):.0f} points seen before in the mean')
    if not way.estimated:
        print(f'odometry    no pose in {seconds:g} s: too little parallax, or no calibration')
        return
    p50, p99 = (1000 * np.percentile(way.latencies, percentile) for percentile in (50, 99))
    print(f'odometry    {len(way.estimated)} poses')
    print(f'latency     p50 {p50:.0f} ms, p99 {p99:.0f} ms, from image stamp to pose received')
    error = way.error()
    if error is None:
        print('error       unknown: there are no true poses, or too few')
        return
    miss, length = error
    share = f'{100 * miss / length:.1f} %' if length > 0 else 'unknown'
    print(f'error       {100 * miss:.1f} cm (RMS, aligned) in a way of {length:.1f} m: {share}')
