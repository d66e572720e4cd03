"""
Measure detectors on data whose truth is known.

shapes: how precisely corners of synthetic shapes are found, beside FAST, Harris and Shi-Tomasi.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of each measurement."""
    from superpoint_ros.commands.detector_options import add_engine_arguments

    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    shapes = kinds.add_parser('shapes', help='synthetic shapes: mAP and localisation error')
    add_engine_arguments(shapes)
    shapes.add_argument(
        '--images', type=int, default=200, metavar='N', help='for each category (default: 200)'
    )
    shapes.add_argument('--seed', type=int, default=0, help='of the images (default: 0)')
    shapes.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder for the report'
    )
    shapes.set_defaults(measure=_run_shapes)


def run(args: argparse.Namespace) -> int:
    """Run the measurement that was asked for."""
    return args.measure(args)


def _run_shapes(args: argparse.Namespace) -> int:
    """Measure on synthetic shapes, write the report, and print its first table."""
    from tqdm import tqdm

    from superpoint_ros.detector import Detector
    from superpoint_ros.evaluation.methods import DETECTORS, Method
    from superpoint_ros.evaluation.shapes import CONDITIONS, evaluate_shapes
    from superpoint_ros.evaluation.shapes_report import shapes_markdown, write_shapes_report
    from superpoint_ros.synthesis.shapes import SHAPES

    # Points up to the border and weak ones too: the others' are not cut off either.
    detector = Detector.from_weights(
        args.weights, args.device, threshold=1e-4, border_margin=0, nms_radius=4
    )
    ours = Method('SuperPoint', detector)
    methods = [ours, *(Method(name, find) for name, find in DETECTORS.items())]
    total = args.images * len(SHAPES) * len(CONDITIONS)
    with tqdm(total=total, unit='image') as progress:
        result = evaluate_shapes(methods, args.images, args.seed, progress.update)
    result['weights'] = detector.weights.name
    files = write_shapes_report(result, ours, args.out)
    print(next(part for part in shapes_markdown(result).split('\n\n') if part.startswith('|')))
    print(f'written: {", ".join(str(file) for file in files)}')
    return 0
