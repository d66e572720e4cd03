# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What makes keypoints precise: both images must place a point on the same spot of the scene."""

from __future__ import annotations

import torch

from superpoint_ros.training.descriptor_losses import warp
from superpoint_ros.training.losses import in_float32

REACH = 2
"""Pixels to each side over which a detector takes the centroid of a peak."""


@in_float32
def refinement_loss(
    heatmap_a: torch.Tensor,
    heatmap_b: torch.Tensor,
    homographies: torch.Tensor,
    points_a: torch.Tensor,
    points_b: torch.Tensor,
    valid: torch.Tensor,
    farthest: float = 3.0,
) -> torch.Tensor:
    """
    Return how far apart both images place the same points, in pixels of image B, a scalar.

    Heatmaps are (B, H, W), homographies (B, 3, 3) from A to B, the points (B, K, 2) are known to
    within a pixel in both images, those that are not `valid`, bool (B, K), are left out. As a
    detector does, the centroid of 5x5 pixels is taken around each point in both heatmaps; the loss
    is the mean distance of A's, warped, from B's, each at most `farthest`. Points that neither
    heatmap shows count little: the weight is the geometric mean of both peaks, through which no
    gradient goes. Where no point counts the loss is 0.
    """
    refined_a, peak_a = _centroids(heatmap_a, points_a)
    refined_b, peak_b = _centroids(heatmap_b, points_b)
    distance = (warp(refined_a, homographies) - refined_b).square().sum(dim=2).add(1e-6).sqrt()
    weight = (peak_a * peak_b).detach().sqrt() * valid
    return (distance.clamp_max(farthest) * weight).sum() / weight.sum().clamp_min(1e-6)


def _centroids(heatmap: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return centroids (B, K, 2) of 5x5 pixels around points, and the highest value there."""
    batch, height, width = heatmap.shape
    steps = torch.arange(-REACH, REACH + 1, device=heatmap.device)
    pixels = points.round().long()
    x = (pixels[..., 0].clamp(REACH, width - 1 - REACH))[..., None, None] + steps
    y = (pixels[..., 1].clamp(REACH, height - 1 - REACH))[..., None, None] + steps[:, None]
    places = (y * width + x).flatten(1)
    window = heatmap.flatten(1).gather(1, places).view(batch, -1, steps.numel() ** 2)
    share = window / window.sum(dim=2, keepdim=True).clamp_min(1e-9)
    full = (
        x.expand(*x.shape[:2], steps.numel(), steps.numel()),
        y.expand(*y.shape[:2], steps.numel(), steps.numel()),
    )
    centroid = [(share * axis.reshape(window.shape)).sum(dim=2) for axis in full]
    return torch.stack(centroid, dim=2), window.amax(dim=2)
