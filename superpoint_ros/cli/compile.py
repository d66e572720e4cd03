# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Compile the functions of detector and nodes for this processor, after an installation.

Otherwise the first start of each node compiles those that it needs, which takes up to a minute.
The code is saved in the __pycache__ folders of the package or, if they are not writable, in the
user's cache; NUMBA_CACHE_DIR names another folder. The exit status is 1 if it cannot be saved.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none."""


def run(args: argparse.Namespace) -> int:
    """Compile what the nodes need, with any of their settings; 1 if code cannot be saved."""
    from superpoint_ros.common.compiled import is_all_saved
    from superpoint_ros.geometry.stereo import warm_up_stereo
    from superpoint_ros.odometry.tracker import Tracker
    from superpoint_ros.odometry.visual_odometry import VisualOdometry

    _compile_detection()
    Tracker.warm_up()
    VisualOdometry.warm_up()
    warm_up_stereo()
    if not is_all_saved():
        return 1  # a warning has named the folder
    print('detector, tracker, visual odometry and stereo depths are compiled')
    return 0


def _compile_detection() -> None:
    """Compile the detection with the default settings, and what other settings need."""
    from dataclasses import replace

    import numpy as np

    from superpoint_ros.detection.covariances import keypoint_covariances
    from superpoint_ros.detector import Detector

    image = np.random.default_rng(0).integers(0, 256, (64, 96), np.uint8)
    for weights in ('superpoint_compact', 'superpoint'):  # coarse and fine descriptors
        detector = Detector.from_weights(weights, device='cpu', threshold=0.0)
        detector.warm_up(image.shape[::-1])
    heatmap = replace(detector.settings, keypoints='heatmap')
    features = detector(image, np.ones_like(image), heatmap)
    keypoint_covariances(image, features.keypoints)
