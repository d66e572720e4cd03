# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Several levels of an image: keypoints are described at more than one size.

A network describes what it sees at the size that it has in the image: a thing that another view
shows at half the size looks like another thing. A keypoint's descriptor is therefore a mean of
those that the network gives its place in the image and in smaller ones. Of two views of which one
is twice as near, the smaller image of the one shows what the other shows: the means have a part in
common, and they lose little where both views are equally near. Source of the idea: Dong, Soatto,
"Domain-Size Pooling in Local Descriptors: DSP-SIFT", CVPR 2015, which pools gradients so.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from superpoint_ros.model.superpoint import SMALLEST_SIDE

RATIO = 0.5
"""Size of a level to that of the one before."""

WEIGHT = 0.5
"""What a level counts in the mean, to what the one before does."""


def make_levels(image: np.ndarray, count: int) -> list[np.ndarray]:
    """
    Return an image (H, W) and `count` - 1 smaller ones, each `RATIO` of the one before.

    There are fewer where one would be smaller than the network takes.
    """
    result = [image]
    for level in range(1, count):
        height, width = (round(side * RATIO**level) for side in image.shape)
        if min(height, width) < SMALLEST_SIDE:
            break
        result.append(cv2.resize(result[-1], (width, height), interpolation=cv2.INTER_AREA))
    return result


def pool_descriptors(of_levels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return unit descriptors (..., D): the mean of unit ones of each level, finest first."""
    return F.normalize(sum(WEIGHT**level * each for level, each in enumerate(of_levels)), dim=-1)
