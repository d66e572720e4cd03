# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The options of comparisons of detectors with baselines, and the methods that they name."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TYPE_CHECKING

from superpoint_ros.cli.options import (
    add_detector_options,
    distinct_names,
    EXACT,
    make_detector,
    number,
)
from superpoint_ros.cli.settings_options import refuse_option

if TYPE_CHECKING:
    from superpoint_ros.evaluation.baselines import Method


def add_method_options(
    parser: argparse.ArgumentParser,
    methods: tuple[str, ...],
    max_keypoints: int,
    extra: tuple[str, ...] = (),
    **settings: float,
) -> None:
    """
    Add the options for a comparison with baselines; `extra` are more names of baselines.

    `settings` are defaults of the command for settings of the detection.
    """
    names = ', '.join(('sift', 'orb', 'akaze', *extra))
    parser.add_argument(
        '--methods',
        nargs='*',
        default=list(methods),
        metavar='NAME',
        help=f'baselines: {names}; none without a name (default: {" ".join(methods)})',
    )
    parser.add_argument(
        '--weights',
        nargs='+',
        metavar='FILE',
        default=[''],
        help='weight files to compare (default: the weights that are shipped)',
    )
    defaults = {**EXACT, 'max_keypoints': max_keypoints, **settings}
    execution = ('device', 'precision', 'engine', 'threads', 'providers')
    add_detector_options(parser, defaults, execution)
    refuse_option(parser, '--heatmap', '--keypoints heatmap')


def add_matching_options(
    parser: argparse.ArgumentParser, max_pairs: str, max_keypoints: int
) -> None:
    """
    Add the options of a comparison on pairs of images, which `make_matching_methods` reads.

    `max_pairs` is the help text of `--max-pairs`, `max_keypoints` the default of the command.
    """
    parser.add_argument('--max-pairs', type=number(1, 10**6, int), metavar='N', help=max_pairs)
    parser.add_argument(
        '--pictures',
        type=number(0, 1000, int),
        default=4,
        metavar='N',
        help='drawings of matches (default: 4)',
    )
    parser.add_argument(
        '--wide',
        action='store_true',
        help='also measure the matching of images from distant viewpoints, which takes longer',
    )
    add_method_options(parser, ('sift', 'orb', 'akaze'), max_keypoints)


def make_matching_methods(args: argparse.Namespace, **settings: Any) -> list[Method]:
    """Return `make_methods` and, with `--wide`, our detectors with wide matching after them."""
    from superpoint_ros.evaluation.baselines import wide_method

    methods = make_methods(args, **settings)
    ours = methods[: len(args.weights)] if args.wide else []
    return methods + [wide_method(method, args.max_keypoints) for method in ours]


def make_methods(
    args: argparse.Namespace, leave_out: Collection[str] = (), **settings: Any
) -> list[Method]:
    """
    Return the methods to compare: a detector for each weight file, then the baselines.

    A detector is named after its file if there are several (`weight_names`). Baselines to
    `leave_out` are not detectors with descriptors. `settings` replace those that the command line
    gives. Raises ValueError if a weight file and a baseline have one name.
    """
    from superpoint_ros.evaluation.baselines import described_method, Method

    names = weight_names(args.weights) if len(args.weights) > 1 else ['SuperPoint']
    methods = [
        Method(name, make_detector(args, weights=weights, **settings))
        for name, weights in zip(names, args.weights, strict=True)
    ]
    baselines = [
        described_method(name, args.max_keypoints)
        for name in dict.fromkeys(args.methods)
        if name not in leave_out
    ]
    for baseline in baselines:
        if baseline.name in names:
            raise ValueError(f'a weight file is named as the baseline {baseline.name}: rename it')
    return methods + baselines


def weight_names(files: Sequence[str]) -> list[str]:
    """
    Return a name for each weight file: without suffix, with folders if names would be the same.

    Raises ValueError if a file is given twice.
    """
    paths = [Path(file).resolve().with_suffix('') for file in files]
    if len(set(paths)) < len(paths):
        raise ValueError(f'a weight file is given twice: {", ".join(files)}')
    return distinct_names(paths)
