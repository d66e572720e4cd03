# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Descriptors at keypoints, interpolated between those of cells, as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from superpoint_ros.detection.preprocessing import SCALE_WEIGHT
from superpoint_ros.model.config import CELL, FINE_CELL, SuperPointOutput


def sample_descriptors(output: SuperPointOutput, keypoints: torch.Tensor) -> torch.Tensor:
    """
    Return unit descriptors (B, K, D), float32, at keypoints (B, K, 2) in pixels.

    Each descriptor of the output is located at the centre of its cell, which for 8x8 pixels lies
    between the fourth and the fifth. Between these centres they are interpolated bilinearly;
    beyond the outermost centres the nearest values are used. Raises ValueError for other shapes.
    """
    sampled = _interpolate(output.descriptors, keypoints, CELL)
    if output.fine is not None:
        sampled = sampled + _interpolate(output.fine, keypoints, FINE_CELL)
    return F.normalize(sampled, dim=2)


def _interpolate(descriptors: torch.Tensor, keypoints: torch.Tensor, cell: int) -> torch.Tensor:
    """Return values (B, K, D) at keypoints from those of cells (B, D, h, w)."""
    if descriptors.ndim != 4 or keypoints.ndim != 3 or keypoints.shape[2] != 2:
        raise ValueError(
            'expected descriptors (B, D, h, w) and keypoints (B, K, 2); got '
            f'{tuple(descriptors.shape)} and {tuple(keypoints.shape)}'
        )
    height, width = descriptors.shape[2] * cell, descriptors.shape[3] * cell
    x, y = keypoints[:, :, 0], keypoints[:, :, 1]
    grid = torch.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1], dim=2).float()
    sampled = F.grid_sample(
        descriptors.float(),
        grid[:, None],
        mode='bilinear',
        padding_mode='border',
        align_corners=False,
    )
    return sampled[:, :, 0].transpose(1, 2)


def dense_descriptors(output: SuperPointOutput) -> torch.Tensor:
    """Return the descriptors at the centres of cells, (B, D, H/8, W/8), not normalised."""
    if output.fine is None:
        return output.descriptors
    # The centre of a cell lies between those of four fine ones.
    return output.descriptors + F.avg_pool2d(output.fine, CELL // FINE_CELL)


def average_scales(descriptors: Sequence[torch.Tensor]) -> torch.Tensor:
    """
    Return unit descriptors (..., D): the weighted mean of unit descriptors of several scales.

    The finest scale comes first. A network describes what it sees at the size that it has in the
    image, so that the same object at half the size gets another descriptor. In two views, one of
    which is twice as close, the averages share a scale. Source of the idea: Dong and Soatto,
    "Domain-Size Pooling in Local Descriptors: DSP-SIFT", CVPR 2015.
    """
    weighted = (SCALE_WEIGHT**scale * each for scale, each in enumerate(descriptors))
    return F.normalize(sum(weighted), dim=-1)
