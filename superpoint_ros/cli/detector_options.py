# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The options by which a command makes its detector: weights, device, and what is a keypoint."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpoint_ros.detector import Detector

SETTINGS = (
    'threshold',
    'nms_radius',
    'max_keypoints',
    'border_margin',
    'keypoints',
    'upscale_factor',
    'descriptor_scales',
)

SWITCHES = ('subpixel',)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which network runs where."""
    parser.add_argument(
        '--weights', metavar='FILE', help='weight file (default: the one that is shipped)'
    )
    add_execution_arguments(parser)


def add_execution_arguments(parser: argparse.ArgumentParser, precision: str = 'auto') -> None:
    """Add the options that say how a network is run; the precision has the default given."""
    parser.add_argument(
        '--device', default='auto', help='auto, cpu, cuda or cuda:N (default: %(default)s)'
    )
    parser.add_argument(
        '--engine', default='auto', help='auto, torch or openvino (default: %(default)s)'
    )
    parser.add_argument(
        '--precision',
        default=precision,
        help='auto, float32, bfloat16, float16 (CUDA) or int8 (OpenVINO) (default: %(default)s)',
    )
    parser.add_argument(
        '--threads',
        type=int,
        default=0,
        metavar='N',
        help='of the processor; 0 (the default): one for each core',
    )


def execution_of(args: argparse.Namespace) -> dict[str, str | int]:
    """Return what was asked of device, engine, precision and threads, by keyword."""
    names = ('device', 'engine', 'precision', 'threads')
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which pixels are keypoints."""
    # The defaults are those of DetectionSettings, whose import takes seconds; a test compares.
    parser.add_argument(
        '--threshold',
        type=float,
        metavar='P',
        help='least score of a keypoint, 0 to 1 (default: 0.001)',
    )
    parser.add_argument(
        '--nms-radius',
        type=int,
        metavar='PX',
        help='no second keypoint in a square of this many pixels to each side (default: 3)',
    )
    parser.add_argument(
        '--max-keypoints', type=int, metavar='N', help='keep the best N (default: 1000)'
    )
    parser.add_argument(
        '--border-margin',
        type=int,
        metavar='PX',
        help='no keypoint so close to the border (default: 4)',
    )
    parser.add_argument(
        '--upscale-factor',
        type=float,
        metavar='X',
        help='enlarge images X times first, for precision (default: 1.0)',
    )
    parser.add_argument(
        '--descriptor-scales',
        type=int,
        metavar='N',
        help='describe keypoints in N sizes of the image, each half of the one before '
        '(default: 1)',
    )
    parser.add_argument(
        '--no-subpixel',
        action='store_true',
        help="leave keypoints at pixels' centres (default: refine them)",
    )
    parser.add_argument(
        '--keypoints',
        choices=('hessian', 'heatmap'),
        help="extrema of the Hessian determinant or maxima of the network's heatmap "
        '(default: hessian)',
    )


def make_detector(args: argparse.Namespace) -> Detector:
    """Return the detector that the options ask for; settings that were not given are its own."""
    from superpoint_ros.detector import Detector

    given = {name: getattr(args, name, None) for name in SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    settings |= {name: False for name in SWITCHES if getattr(args, f'no_{name}', False)}
    return Detector.from_weights(args.weights, **execution_of(args), **settings)
