# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Contrast of dark and hazy images.

The numbers come from measurements (docs/experiments.md, "Images of low contrast").
"""

from __future__ import annotations

import math

import cv2
import numpy as np

MIN_CONTRAST = 100
"""Contrast in gray levels to which the detector, by default, and the tracker stretch images."""

LEAST_CONTRAST = 8
"""Contrast in gray levels below which an image is not stretched: with the lens covered, the
compressed noise of a camera has a contrast of 2 to 6."""

MAX_STRETCHED_NOISE = 4.0
"""Largest standard deviation, in gray levels, to which the noise of an image is stretched. Images
of such noise alone have hardly any keypoints."""

_RANGE = 0.01, 0.99  # shares of the pixels that are darker than the ends of the contrast
_STEP = 4  # pixels between those that are counted, along x and y
_BLOCK, _FLATTEST = 8, 20  # sides in pixels, and percentile, of the blocks that show the noise
_LEAST_NOISE = 0.5  # gray levels; rounding to gray levels is part of it


def stretch_contrast(
    gray: np.ndarray, min_contrast: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """
    Return an image, uint8 (H, W), stretched to a contrast of `min_contrast` gray levels.

    The contrast is the range from the 1st to the 99th percentile of the gray levels, where the
    `mask` (H, W) is true. The middle of this range becomes mid-gray. The image is stretched less
    if its noise would exceed `MAX_STRETCHED_NOISE`, and returned unchanged if it has this contrast
    already, or less than `LEAST_CONTRAST`, or a side below 8 pixels.
    """
    if min_contrast <= LEAST_CONTRAST or min(gray.shape) < _BLOCK:
        return gray
    levels = gray[::_STEP, ::_STEP]
    levels = levels.ravel() if mask is None else levels[mask[::_STEP, ::_STEP]]
    counts = np.bincount(levels, minlength=256).cumsum()
    low, high = np.searchsorted(counts, np.array(_RANGE) * counts[-1])
    contrast = high - low
    if not LEAST_CONTRAST <= contrast < min_contrast:
        return gray
    gain = min(min_contrast / contrast, MAX_STRETCHED_NOISE / _noise(gray))
    if gain <= 1:
        return gray
    stretched = (np.arange(256) - (low + high) / 2) * gain + 128
    return cv2.LUT(gray, np.clip(np.rint(stretched), 0, 255).astype(np.uint8))


def _noise(gray: np.ndarray) -> float:
    """
    Return an estimate of the standard deviation of the noise of an image (H, W), in gray levels.

    It is that of the flattest blocks of the image, in which there is little else. If there are no
    flat blocks, it is too high.
    """
    height, width = (side // _BLOCK * _BLOCK for side in gray.shape)
    values = gray[:height, :width].astype(np.float32)
    means, squares = (
        cv2.resize(each, (width // _BLOCK, height // _BLOCK), interpolation=cv2.INTER_AREA)
        for each in (values, values * values)
    )
    variance = np.percentile(squares - means * means, _FLATTEST)
    return max(math.sqrt(max(variance, 0.0)), _LEAST_NOISE)
