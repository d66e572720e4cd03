# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Photographs, and the detector that engines are compared with."""

from __future__ import annotations

import cv2
import pytest

from superpoint_ros import Detector
from superpoint_ros.resources import demo_photographs


@pytest.fixture(scope='session')
def photographs():
    """Gray photographs whose sides are not multiples of 8."""
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in demo_photographs()]
    return [cv2.resize(image, (322, 241), interpolation=cv2.INTER_AREA) for image in images]


@pytest.fixture(scope='session')
def reference():
    """The detector in PyTorch with float32."""
    return Detector.from_weights(device='cpu', precision='float32', engine='torch')
