# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Depths of keypoints from a depth image that is registered to the image of the keypoints."""

from __future__ import annotations

import numpy as np

from superpoint_ros.features import Depths
from superpoint_ros.geometry.depth_settings import DepthSettings

_EDGE = 0.05
"""
Largest difference of the depths around a keypoint, as a share of the smallest one.

A surface seen at 80 degrees from its normal changes by 2.5 % over the three pixels of a 70-degree
camera of 640 pixels; larger differences are edges of objects, at which the depth of either side
may be meant.
"""

_NOISE = (0.0012, 0.0019, 0.4)
"""
Standard deviation of a depth z in metres: a + b (z - c)^2.

From Nguyen, Izadi, Lovell, "Modeling Kinect Sensor Noise for Improved 3D Reconstruction and
Tracking", 3DIMPVT 2012, for surfaces that face the camera.
"""

_WINDOW = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)


class DepthImageError(ValueError):
    """Error of a depth image that does not belong to the image of the keypoints."""


def image_depths(
    depth: np.ndarray,
    keypoints: np.ndarray,
    image_size: tuple[int, int],
    settings: DepthSettings | None = None,
) -> Depths:
    """
    Return the depths of keypoints (N, 2) in a registered depth image.

    `depth` is float32 (H, W) in metres; values that are not finite or not positive are holes.
    Inverse depths are interpolated bilinearly; pixels that are holes are left out. A depth is
    unknown in a hole, at an edge between two depths, and outside the range of the settings. Raises
    DepthImageError if the depth image has another size than `image_size` (width, height).
    """
    settings = settings or DepthSettings()
    height, width = depth.shape
    if (width, height) != tuple(image_size):
        raise DepthImageError(
            f'the depth image has {width}x{height} pixels and the image '
            f'{image_size[0]}x{image_size[1]}: use a depth image that is registered to the image'
        )
    nearest = np.rint(keypoints).astype(int)
    columns, rows = (nearest[:, None] + _WINDOW).transpose(2, 0, 1)
    values = depth[rows.clip(0, height - 1), columns.clip(0, width - 1)].astype(float)
    with np.errstate(invalid='ignore'):
        valid = np.isfinite(values) & (values >= settings.min_depth)
        valid &= values <= (settings.max_depth or np.inf)
    low = np.where(valid, values, np.inf).min(axis=1)
    high = np.where(valid, values, 0).max(axis=1)
    gaps = np.abs(keypoints[:, None] - np.stack([columns, rows], axis=2))
    weights = (1 - gaps).clip(0, 1).prod(axis=2) * valid
    total = weights.sum(axis=1)
    with np.errstate(divide='ignore', invalid='ignore'):
        inverse = (weights / np.where(valid, values, 1)).sum(axis=1) / total
        good = (high - low <= _EDGE * low) & (total > 0)
        depths = np.where(good, 1 / inverse, np.nan)
    base, growth, start = _NOISE
    return Depths(depths, base + growth * (depths - start) ** 2)
