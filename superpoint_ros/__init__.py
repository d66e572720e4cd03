# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""SuperPoint keypoints and descriptors as a ROS 2 perception node, with its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpoint_ros.detection.settings import DetectionSettings
    from superpoint_ros.detector import Detector
    from superpoint_ros.features import Features

__version__ = '0.1.0'
__all__ = ['DetectionSettings', 'Detector', 'Features', '__version__']

_HOMES = {
    'DetectionSettings': 'superpoint_ros.detection.settings',
    'Detector': 'superpoint_ros.detector',
    'Features': 'superpoint_ros.features',
}


def __getattr__(name: str):
    # Importing torch takes seconds: not before one of these names is used.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
