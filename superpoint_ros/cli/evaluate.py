# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure detectors on data with ground truth.

shapes: precision of corners of synthetic shapes, compared with FAST, Harris and Shi-Tomasi.
homography: repeatability, matching and homographies on planar scenes in the layout of HPatches,
compared with SIFT, ORB and AKAZE ('superpoint make-benchmark' makes such scenes from photographs).
scenes: repeatability with visibility, matching and poses on rendered 3-D scenes, compared with
SIFT, ORB and AKAZE ('superpoint render-pairs' renders such pairs).
odometry: relative poses and trajectories in a simulated room or on recordings with true poses,
compared with Shi-Tomasi + KLT, SIFT and ORB.
threshold: number of keypoints, repeatability and correct matches for each detection threshold.
"""

from __future__ import annotations

import argparse

from superpoint_ros.cli import (
    evaluate_homography,
    evaluate_odometry,
    evaluate_scenes,
    evaluate_shapes,
    evaluate_threshold,
)
from superpoint_ros.cli.options import add_out

KINDS = {
    'shapes': (evaluate_shapes, 'synthetic shapes: mAP and localisation error'),
    'homography': (evaluate_homography, 'planar scenes: repeatability, matching, homographies'),
    'scenes': (evaluate_scenes, 'rendered 3-D scenes: matching, relative poses'),
    'odometry': (evaluate_odometry, 'image sequences: relative poses, trajectories'),
    'threshold': (evaluate_threshold, 'results for each detection threshold'),
}
"""Kinds of measurements: modules like those of commands, and help texts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of each measurement."""
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    for name, (module, text) in KINDS.items():
        kind = kinds.add_parser(name, help=text)
        module.add_arguments(kind)
        add_out(kind, 'folder for the report')
        kind.set_defaults(measure=module.run)


def run(args: argparse.Namespace) -> int:
    """Run the measurement that the command line names."""
    return args.measure(args)
