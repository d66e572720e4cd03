# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The heatmap: the network's probability of a keypoint at each pixel, as tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from superpoint_ros.model.config import CELL


def heatmap_from_logits(logits: torch.Tensor) -> torch.Tensor:
    """
    Return the probability of a keypoint at each pixel, float32 (B, 8h, 8w).

    `logits` (B, 65, h, w) are those of each cell's 64 pixels in row order and of the dustbin,
    which takes part in the softmax and is then dropped (paper, section 3.2). Raises ValueError for
    another shape.
    """
    if logits.ndim != 4 or logits.shape[1] != CELL * CELL + 1:
        raise ValueError(f'logits must have shape (B, 65, h, w), got {tuple(logits.shape)}')
    # Engines leave the channels last in memory: this order is several times faster there.
    cells = logits.permute(0, 2, 3, 1).float().softmax(dim=3)[..., :-1]
    return cells.unflatten(3, (CELL, CELL)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def centroid_offsets(heatmap: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """
    Return offsets (B, K, 2) in x and y from pixels to the centroid of 5x5 pixels around them.

    `heatmap` is (B, H, W), `x` and `y` are int64 (B, K). Pixels outside the image weigh nothing.
    """
    padded = F.pad(heatmap, (2, 2, 2, 2))
    width = padded.shape[2]
    steps = torch.arange(5, device=heatmap.device)
    window = (steps[:, None] * width + steps[None]).flatten()
    pixels = (y * width + x)[:, :, None] + window
    values = padded.flatten(1).gather(1, pixels.flatten(1)).view(x.shape[0], -1, 25)
    shift = (steps - 2).float()
    total = values.sum(dim=2, keepdim=True).clamp_min(1e-12)
    along_x = (values * shift.repeat(5)).sum(dim=2, keepdim=True)
    along_y = (values * shift.repeat_interleave(5)).sum(dim=2, keepdim=True)
    return torch.cat([along_x, along_y], dim=2) / total
