# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The options by which an evaluation compares weights with other methods, and these methods."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpoint_ros.evaluation.baselines import Method


def add_method_arguments(
    parser: argparse.ArgumentParser, methods: tuple[str, ...], keypoints: int
) -> None:
    """Add the options that say what is compared; these are the defaults."""
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
        default=list(methods),
        metavar='NAME',
        help='others to compare with, of sift, orb and akaze; no name: without others '
        f'(default: {" ".join(methods)})',
    )
    parser.add_argument(
        '--keypoints',
        type=int,
        default=keypoints,
        metavar='N',
        help='the best N (default: %(default)s)',
    )
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.001,
        metavar='P',
        help='least score of a keypoint: low, so that N are found (default: 0.001)',
    )
    parser.add_argument(
        '--nms-radius', type=int, default=3, metavar='PX', help='of ours (default: 3)'
    )
    parser.add_argument(
        '--upscale-factor',
        type=float,
        default=1.0,
        metavar='X',
        help='ours enlarges images X times first (default: 1)',
    )
    parser.add_argument(
        '--descriptor-scales',
        type=int,
        default=1,
        metavar='N',
        help='ours describes keypoints in N sizes of the image, each half of the one before '
        '(default: 1)',
    )


def compared_methods(args: argparse.Namespace, **settings) -> list[Method]:
    """
    Return the methods that were asked for: a detector for each weight file, then the others.

    A detector is named after its file where there are several. `settings` are those of
    `DetectionSettings` that no option says.
    """
    from superpoint_ros.cli.detector_options import execution_of
    from superpoint_ros.detector import Detector
    from superpoint_ros.evaluation.baselines import described_method, Method

    names = ('threshold', 'nms_radius', 'upscale_factor', 'descriptor_scales')
    settings |= {name: getattr(args, name) for name in names}
    several = len(args.weights) > 1
    methods = []
    for weights in args.weights:
        detector = Detector.from_weights(weights, **execution_of(args), **settings)
        methods.append(Method(detector.weights.stem if several else 'SuperPoint', detector))
    return methods + [described_method(name, args.keypoints) for name in args.methods]
