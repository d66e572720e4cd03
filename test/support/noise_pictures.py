# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Synthetic pictures for tests that need something to detect."""

from __future__ import annotations

import cv2
import numpy as np


def noise_picture(seed, size=(160, 120), sigmas=(1.2, 3, 8)):
    """Return smooth noise of a size (width, height) at the scales `sigmas`, uint8 (H, W)."""
    noise = np.random.default_rng(seed).normal(size=(size[1], size[0])).astype(np.float32)
    layers = [cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in sigmas]
    return cv2.normalize(sum(layers), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def write_pictures(folder, count=3):
    """Write `count` noise pictures to a folder; return their paths."""
    paths = [folder / f'photo {number}.png' for number in range(1, count + 1)]
    for seed, path in enumerate(paths, 1):
        assert cv2.imwrite(str(path), noise_picture(seed))
    return paths
