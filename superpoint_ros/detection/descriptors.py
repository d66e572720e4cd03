# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Descriptors at keypoints, from the coarse ones of cells."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from superpoint_ros.detection.compiled import compiled
from superpoint_ros.model.superpoint import CELL


def sample_descriptors(descriptors: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
    """
    Return unit descriptors (N, D), float32, at keypoints (N, 2) of one image.

    `descriptors` are the coarse ones of the image, (D, h, w). A cell's descriptor stands for its
    centre, between its fourth and fifth pixels; between the centres it is interpolated bilinearly,
    beyond the outermost ones it is theirs.
    """
    if descriptors.ndim != 3 or keypoints.ndim != 2 or keypoints.shape[1] != 2:
        raise ValueError(
            'expected descriptors (D, h, w) and keypoints (N, 2); got '
            f'{tuple(descriptors.shape)} and {tuple(keypoints.shape)}'
        )
    if not len(keypoints):
        return descriptors.new_zeros((0, len(descriptors)), dtype=torch.float32)
    on_cpu = descriptors.device.type == 'cpu' and not torch.jit.is_tracing()
    if on_cpu and not (descriptors.requires_grad or keypoints.requires_grad):
        cells = descriptors.detach().permute(1, 2, 0).float().contiguous()
        sampled = _sample_cells(cells.numpy(), keypoints.detach().float().contiguous().numpy())
        return torch.from_numpy(sampled)
    return sample_batch(descriptors[None], keypoints[None])[0].contiguous()


def sample_batch(descriptors: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
    """
    Return unit descriptors (B, K, D), float32, of coarse ones (B, D, h, w) at keypoints (B, K, 2).

    It is `sample_descriptors` for images with equally many keypoints.
    """
    _, _, height, width = descriptors.shape
    extent = keypoints.new_tensor([width * CELL, height * CELL])
    grid = ((keypoints + 0.5) / extent * 2 - 1).float()[:, None]
    sampled = F.grid_sample(
        descriptors.float(), grid, mode='bilinear', padding_mode='border', align_corners=False
    )
    return F.normalize(sampled[:, :, 0].transpose(1, 2), dim=2)


def dense_descriptors(descriptors: torch.Tensor) -> torch.Tensor:
    """
    Return unit descriptors of every pixel, (B, D, 8h, 8w), of coarse ones (B, D, h, w).

    This is the paper's bicubic upsampling (section 3.3). It needs 4 D bytes a pixel; to describe
    keypoints, `sample_descriptors` does nearly the same for a fraction of the cost.
    """
    upsampled = F.interpolate(
        descriptors.float(), scale_factor=CELL, mode='bicubic', align_corners=False
    )
    return F.normalize(upsampled, dim=1)


@compiled
def _sample_cells(descriptors, keypoints):
    """Return unit descriptors (N, D) of coarse ones (h, w, D) at keypoints (N, 2)."""
    height, width, size = descriptors.shape
    result = np.empty((len(keypoints), size), np.float32)
    half, one = np.float32(0.5), np.float32(1)
    for index in range(len(keypoints)):
        x = (keypoints[index, 0] + half) / np.float32(CELL) - half
        y = (keypoints[index, 1] + half) / np.float32(CELL) - half
        x = min(max(x, np.float32(0)), np.float32(width - 1))
        y = min(max(y, np.float32(0)), np.float32(height - 1))
        column, row = int(x), int(y)
        right, below = x - np.float32(column), y - np.float32(row)
        next_column, next_row = min(column + 1, width - 1), min(row + 1, height - 1)
        top_left, top_right = descriptors[row, column], descriptors[row, next_column]
        low_left, low_right = descriptors[next_row, column], descriptors[next_row, next_column]
        squares = np.float32(0)
        for channel in range(size):
            value = (one - below) * (
                (one - right) * top_left[channel] + right * top_right[channel]
            ) + below * ((one - right) * low_left[channel] + right * low_right[channel])
            result[index, channel] = value
            squares += value * value
        scale = one / max(np.sqrt(squares), np.float32(1e-12))
        for channel in range(size):
            result[index, channel] *= scale
    return result
