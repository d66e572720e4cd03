# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate threshold`: keypoints, repeatability and matches for each threshold."""

from __future__ import annotations

import argparse

from superpoint_ros.cli.detector_options import execution_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the measurement."""
    parser.add_argument(
        'images',
        nargs='*',
        metavar='IMAGE',
        help='images, as your camera takes them (default: the photographs of the package)',
    )
    parser.add_argument(
        '--weights', metavar='FILE', help='weight file (default: the one that is shipped)'
    )
    parser.add_argument(
        '--thresholds',
        nargs='+',
        type=float,
        metavar='P',
        help='least probabilities of a keypoint, above 0 and below 1 (default: 0.001 to 0.5)',
    )
    parser.add_argument(
        '--longest-side',
        type=int,
        default=640,
        metavar='PX',
        help='larger images are reduced to this (default: 640)',
    )
    parser.add_argument(
        '--max-keypoints', type=int, default=5000, metavar='N', help='at most N (default: 5000)'
    )
    parser.add_argument(
        '--views', type=int, default=4, metavar='N', help='of each image (default: 4)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the views (default: 0)')


def run(args: argparse.Namespace) -> int:
    """Measure, write the report, and print its table."""
    import cv2
    from tqdm import tqdm

    from superpoint_ros.data.sequences.image_files import read_image
    from superpoint_ros.detector import Detector
    from superpoint_ros.evaluation.threshold_sweep import (
        evaluate_thresholds,
        THRESHOLDS,
        thresholds_table,
        write_thresholds_report,
    )
    from superpoint_ros.files import demo_photographs

    images = []
    for path in args.images or demo_photographs():
        image = read_image(path)
        factor = args.longest_side / max(image.shape)
        if factor < 1:
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        images.append(image)
    detector = Detector.from_weights(
        args.weights, **execution_of(args), max_keypoints=args.max_keypoints
    )
    thresholds = args.thresholds or THRESHOLDS
    with tqdm(total=len(images), unit='image') as progress:
        result = evaluate_thresholds(
            detector, images, thresholds, args.views, args.seed, progress.update
        )
    files = write_thresholds_report(result, args.out)
    print(thresholds_table(result))
    print(f'written: {", ".join(str(file) for file in files)}')
    return 0
