# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Synthetic photographs for the room."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


def smooth_noise(seed, size=(320, 240)):
    """Return smooth random gray, distinctive everywhere."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(size[1], size[0])).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope='session')
def photographs():
    return [smooth_noise(seed) for seed in range(3)]
