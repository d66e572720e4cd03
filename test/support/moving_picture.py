# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Views of a textured wall by a camera that moves parallel to it."""

from __future__ import annotations

import cv2
import numpy as np

SIZE = (320, 240)
"""Width and height of a view."""


def layered_picture():
    """Return a picture with structure at several scales, uint8 (300, 420)."""
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.uniform(0, 255, (300 // k, 420 // k)).astype(np.float32), (420, 300))
        for k in (3, 8, 30)
    ]
    return np.clip(sum(layers) / 3 * 1.6 - 75, 0, 255).astype(np.uint8)


def shifted_view(picture, shift):
    """Return a part of the picture whose content has moved by `shift` (x, y) in pixels."""
    motion = np.array([[1, 0, shift[0] - 50], [0, 1, shift[1] - 30]], float)
    return cv2.warpAffine(picture, motion, SIZE, flags=cv2.INTER_LINEAR)
