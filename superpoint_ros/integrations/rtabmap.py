# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

r"""
SuperPoint for RTAB-Map, through its Python interface for detectors (PyDetector).

RTAB-Map takes the path of this file and runs it for keypoints and descriptors:

    rtabmap --Kp/DetectorStrategy 15 --Vis/FeatureType 15 --PyDetector/Cuda false \
        --PyDetector/Path "$(python3 -m superpoint_ros.integrations.rtabmap)"

The Python that RTAB-Map was built with must find this package (PYTHONPATH). Settings are read from
environment variables: RTABMAP_SUPERPOINT_ and the name of a setting of `ExecutionSettings` (except
the device) or `DetectionSettings` in capitals, such as RTABMAP_SUPERPOINT_MAX_KEYPOINTS.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.settings_table import renamed, table_of

PREFIX = 'RTABMAP_SUPERPOINT_'
SETTINGS = {**table_of(ExecutionSettings), **table_of(DetectionSettings)}
del SETTINGS['device']  # RTAB-Map has a parameter for it

_detector: Detector | None = None


def init(cuda: int) -> None:
    """
    Load the network, on CUDA if `cuda` is not 0 and CUDA is available.

    Raises TypeError or ValueError that names an environment variable which is unknown, was
    renamed, or has a value that is not allowed; FileNotFoundError for the weight file.
    """
    global _detector
    device = 'auto' if cuda else 'cpu'
    settings = _settings()
    _detector = Detector.from_weights(settings.pop('weights', None), device, **settings)


def detect(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return keypoints (N, 3) and descriptors (N, D), float32, of a gray uint8 image (H, W).

    A keypoint is x and y in pixels, the centre of the top-left pixel being 0, 0, and its score.
    Both arrays are contiguous, because RTAB-Map reads their memory.
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
    """Return the settings in the environment by name."""
    settings = {}
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or not text:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in renamed(DetectionSettings):
            new = renamed(DetectionSettings)[name]
            setting, *rest = new.split(' ', 1)
            raise ValueError(
                f'{variable} was renamed: use {" ".join([PREFIX + setting.upper(), *rest])}'
            )
        if name not in SETTINGS:
            known = ', '.join(each.upper() for each in SETTINGS)
            raise ValueError(f'{variable} is unknown: choose from {PREFIX} and {known}')
        try:
            settings[name] = SETTINGS[name].parse(text)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{variable}: {error}') from error
    return settings


if __name__ == '__main__':
    import sys

    sys.stdout.write(f'{Path(__file__).resolve()}\n')
