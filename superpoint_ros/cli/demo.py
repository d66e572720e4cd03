# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Run a camera player and the detector node as two processes, and measure the features.

Without PATH a virtual camera pans, turns and zooms over the photographs of the package. At the end
rate, latency and keypoints are printed, and a picture of frames with their keypoints is written.
With --odometry the camera moves through a simulated room, or PATH is a recording with calibration
(EuRoC, TUM RGB-D, KITTI or a bag); tracker and visual odometry estimate its trajectory. Then the
default of --max-keypoints is 600. The exit status is 0 if features were received, else 1 or, for
bad input, 2.
"""

from __future__ import annotations

import argparse
import sys

from superpoint_ros.cli.options import (
    add_detector_options,
    given_settings,
    keep_inputs,
    number,
    output_folder,
)
from superpoint_ros.cli.rerun_option import add_rerun_option, open_recording
from superpoint_ros.common.wording import counted

_MANY_DROPPED = 0.1  # a fraction of the images that the user should know of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'path',
        nargs='?',
        default='',
        metavar='PATH',
        help='an image, a folder of images, a video, a bag, or a camera (/dev/video0 or 0)',
    )
    parser.add_argument(
        '--odometry',
        action='store_true',
        help='track the keypoints, estimate the trajectory, and compare it with the true one',
    )
    parser.add_argument(
        '--seconds', type=number(1, 3600), default=12.0, help='duration in seconds (default: 12)'
    )
    parser.add_argument(
        '--output',
        type=output_folder,
        default='runs/demo',
        metavar='DIR',
        help='folder for the picture and the logs (default: runs/demo)',
    )
    add_rerun_option(parser)
    add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the demonstration and return the exit status."""
    from tqdm import tqdm

    from superpoint_ros.data.sequences.opening import check_source
    from superpoint_ros.ros.player_parameters import ROOM

    if args.path not in ('', ROOM):  # the player starts after the detector, which takes seconds
        check_source(args.path)
        pictures = [args.output / name for name in ('keypoints.jpg', 'odometry.jpg')]
        keep_inputs([args.path], [args.output, *pictures])
    if args.odometry:
        from superpoint_ros.ros.testing.odometry_demonstration import (
            run_odometry_demonstration as demonstrate,
        )

        report = _print_trajectory
    else:
        from superpoint_ros.ros.testing.demonstration import run_demonstration as demonstrate

        report = _print_features
    form = '{bar:24} {n:4.1f}/{total:g} s  {desc}'
    # Without a terminal each update is a separate line: print a few only.
    interval = 0.1 if sys.stderr.isatty() else 4.0
    with (
        open_recording(args.rerun) as recording,
        tqdm(total=args.seconds, bar_format=form, leave=False, mininterval=interval) as bar,
    ):
        bar.miniters = 0

        def progress(seconds: float, text: str) -> None:
            bar.set_description_str(text, refresh=False)
            bar.update(min(seconds, args.seconds) - bar.n)

        measured, picture = demonstrate(
            args.path, args.output, args.seconds, given_settings(args), progress, recording
        )
    report(measured, args.seconds)
    print(f'picture     {picture.resolve()}')
    return 0


def _print_features(measured, seconds: float) -> None:
    """Print the measurements of the detector."""
    width, height = measured.image_size
    p50, p99 = (1000 * measured.latency(percentile) for percentile in (50, 99))
    keypoints = measured.keypoints
    mean = sum(keypoints) / len(keypoints)
    print(f'images      {width}x{height}, {measured.images / seconds:.1f} per second')
    dropped = 1 - len(keypoints) / max(measured.images, 1)
    too_fast = f': {dropped:.0%} of the images are dropped, since they arrive too fast'
    features = f'{counted(len(keypoints), "message")}, {measured.rate:.1f} per second'
    print(f'features    {features}{too_fast if dropped > _MANY_DROPPED else ""}')
    print(f'latency     p50 {p50:.0f} ms, p99 {p99:.0f} ms, from image stamp to features received')
    print(f'keypoints   {mean:.0f} on average, {min(keypoints)} to {max(keypoints)}')


def _print_trajectory(measured, seconds: float) -> None:
    """Print the measurements of tracker and odometry."""
    import numpy as np

    tracks = f'{counted(len(measured.tracked), "message")}, {measured.rate:.1f} per second'
    print(f'tracks      {tracks}, {np.mean(measured.tracked):.0f} points seen before on average')
    if not measured.estimated:
        print(f'odometry    no pose in {seconds:g} s: too little parallax, or no calibration')
        return
    p50, p99 = (1000 * measured.latency(percentile) for percentile in (50, 99))
    print(f'odometry    {counted(len(measured.estimated), "pose")}')
    print(f'latency     p50 {p50:.0f} ms, p99 {p99:.0f} ms, from image stamp to pose received')
    error = measured.error()
    if error is None:
        print('error       unknown: no true poses, or too few')
        return
    rms, length = error
    share = f'{100 * rms / length:.1f} %' if length > 0 else 'unknown'
    print(f'error       {100 * rms:.1f} cm (RMS, aligned) over {length:.1f} m: {share}')
