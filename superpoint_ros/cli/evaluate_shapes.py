# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate shapes`: corners of synthetic shapes, compared with baselines."""

from __future__ import annotations

import argparse
from pathlib import Path

from superpoint_ros.cli.options import add_detector_options, EXACT, make_detector, print_written
from superpoint_ros.cli.settings_options import add_options, read_options
from superpoint_ros.evaluation.evaluation_plans import ShapesPlan

SHAPES_SETTINGS = {
    **EXACT,
    'threshold': 1e-4,
    'border_margin': 0,
    'nms_radius': 4,
    'keypoints': 'heatmap',
}
"""
Defaults of the measurement on shapes: the baselines give weak points and points near the border,
too, and the ground truth are corners, not the extrema of the Hessian determinant next to them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement on synthetic shapes."""
    add_options(parser, ShapesPlan)
    add_detector_options(parser, SHAPES_SETTINGS)


def run(args: argparse.Namespace) -> int:
    """Measure on synthetic shapes, write the report, and print its first table."""
    from tqdm import tqdm

    from superpoint_ros.data.synthetic_shapes.shapes import SHAPES
    from superpoint_ros.evaluation.baselines import DETECTORS, Method
    from superpoint_ros.evaluation.reports import UnfinishedReport, write_result
    from superpoint_ros.evaluation.shapes_benchmark import (
        CONDITIONS,
        evaluate_shapes,
        shapes_markdown,
        shapes_table,
        write_shapes_report,
    )

    detector = make_detector(args)
    ours = Method('SuperPoint', detector)
    methods = [ours, *(Method(name, find) for name, find in DETECTORS.items())]
    plan = read_options(args, ShapesPlan)
    total = plan.images * len(SHAPES) * len(CONDITIONS)
    weights = {'weights': detector.weights.name}

    def write(result: dict, folder: Path) -> None:
        write_result(folder, 'shapes', result | weights, shapes_markdown(result))

    with UnfinishedReport(args.out, 'shapes', write, len(CONDITIONS), 'conditions') as report:
        with tqdm(total=total, unit='image') as progress:
            result = evaluate_shapes(methods, plan, progress.update, report.keep) | weights
        print(shapes_table(result))
        files = write_shapes_report(result, ours, args.out)
    print_written(files)
    return 0
