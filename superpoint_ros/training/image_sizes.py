# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Training images at other sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from superpoint_ros.model.superpoint import CELL


def resized(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Return images (B, 1, H, W) at about `factor` of their size, in whole cells."""
    if factor == 1:
        return images
    size = [round(side * factor / CELL) * CELL for side in images.shape[2:]]
    return F.interpolate(images, size, mode='area' if factor < 1 else 'bicubic')
