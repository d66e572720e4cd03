# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
SuperPoint for RTAB-Map, by its interface for detectors in Python (PyDetector).

RTAB-Map takes the path of this file and makes keypoints and descriptors by it:

    rtabmap --Kp/DetectorStrategy 15 --Vis/FeatureType 15 --PyDetector/Cuda false \
        --PyDetector/Path "$(python3 -m superpoint_ros.integrations.rtabmap)"

The Python that RTAB-Map was built with must find this package (PYTHONPATH). The detector's
settings are read from the environment, from variables named RTABMAP_SUPERPOINT_ and the setting in
capitals: WEIGHTS, ENGINE, PRECISION, THRESHOLD, NMS_RADIUS, MAX_KEYPOINTS, BORDER_MARGIN,
GRID_CELLS, SUBPIXEL, MAX_IMAGE_SIZE. docs/odometry.md has them all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from superpoint_ros.detector import Detector

PREFIX = 'RTABMAP_SUPERPOINT_'
TEXTS = ('weights', 'engine', 'precision', 'keypoints')
NUMBERS = (
    *('threshold', 'nms_radius', 'max_keypoints', 'border_margin', 'grid_cells', 'subpixel'),
    *('max_image_size', 'upscale_factor', 'descriptor_scales'),
)

_detector: Detector | None = None


def init(cuda: int) -> None:
    """
    Load the network, on CUDA where `cuda` is not 0 and there is one.

    Raises ValueError that names a variable of the environment whose value cannot be.
    """
    global _detector
    import torch

    device = 'cuda' if cuda and torch.cuda.is_available() else 'cpu'
    settings = _settings()
    _detector = Detector.from_weights(settings.pop('weights', None), device, **settings)


def detect(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return keypoints (N, 3) and descriptors (N, D), float32, of a gray uint8 image (H, W).

    A keypoint is x, y in pixels and its score; both arrays are contiguous, as RTAB-Map reads their
    memory.
    """
    if _detector is None:
        raise RuntimeError('init(cuda) must be called before detect(image)')
    features = _detector(np.asarray(image))
    keypoints = np.column_stack([features.keypoints, features.scores])
    return (
        np.ascontiguousarray(keypoints, np.float32),
        np.ascontiguousarray(features.descriptors, np.float32),
    )


def _settings() -> dict[str, object]:
    """Return the settings that the environment has."""
    settings: dict[str, object] = {}
    for name in TEXTS + NUMBERS:
        text = os.environ.get(PREFIX + name.upper())
        if not text:
            continue
        settings[name] = text
        if name in NUMBERS:
            try:
                settings[name] = json.loads(text)
            except ValueError:
                raise ValueError(
                    f'{PREFIX}{name.upper()} must be a number, true or false, got {text!r}'
                ) from None
    unknown = {name for name in os.environ if name.startswith(PREFIX)}
    unknown -= {PREFIX + name.upper() for name in TEXTS + NUMBERS}
    if unknown:
        known = ', '.join(name.upper() for name in TEXTS + NUMBERS)
        raise ValueError(f'{", ".join(sorted(unknown))} is unknown: after {PREFIX} stand {known}')
    return settings


if __name__ == '__main__':
    import sys

    sys.stdout.write(f'{Path(__file__).resolve()}\n')
