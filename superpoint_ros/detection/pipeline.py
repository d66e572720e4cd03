# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Decoding into outputs whose size is known beforehand: for exported graphs and CUDA graphs.

The operations are those that ONNX and TorchScript have, and no size depends on the data: the
keypoints of each image fill K places, and a mask says which of them count. Suppression is made in
a fixed number of rounds. In each the highest of their neighbourhoods become keypoints and remove
their neighbours: what `suppression` does in as many rounds as it takes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from superpoint_ros.detection.hessian import blob_offsets, Blobs
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.superpoint import CELL


class FixedFeatures(NamedTuple):
    """
    Hold the K best keypoints of each image, best first.

    `keypoints` (B, K, 2) are x and y in pixels, the centre of the top-left pixel being (0, 0);
    `scores` (B, K); `descriptors` (B, K, D) of unit length: all float32. `valid` (B, K), bool, is
    false for the places that are left over, which are zero.
    """

    keypoints: torch.Tensor
    scores: torch.Tensor
    descriptors: torch.Tensor
    valid: torch.Tensor


def fixed_features(
    heatmap: torch.Tensor,
    peaks: torch.Tensor,
    descriptors: torch.Tensor,
    settings: DetectionSettings,
    blobs: Blobs | None = None,
) -> FixedFeatures:
    """
    Return the best of the peaks with their descriptors.

    `heatmap` and `peaks`, which is 0 but at keypoints, have shape (B, H, W); `descriptors` are the
    coarse ones (B, D, h, w), not normalised. `blobs` are those of the images, where peaks are
    blobs.
    """
    height, width = heatmap.shape[1], heatmap.shape[2]
    scores, places = _best(peaks, settings.max_keypoints)
    x, y = coordinates(places, height, width)
    keypoints = torch.stack([x, y], dim=2).float()
    if settings.subpixel and blobs is None:
        keypoints = keypoints + _centroid_offsets(heatmap, x, y)
    elif settings.subpixel:
        image = torch.arange(places.shape[0], device=places.device)[:, None]
        keypoints = keypoints + blob_offsets(blobs.response, image, y, x)
    sampled = _sample(descriptors, keypoints)
    valid = scores > 0
    counts = valid[:, :, None].float()
    return FixedFeatures(keypoints * counts, scores, sampled * counts, valid)


def suppress_in_rounds(
    heatmap: torch.Tensor, radius: int, rounds: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return the heatmap (B, H, W) with 0 but at its keypoints, and with 0 but where undecided.

    What is undecided after the last round is no keypoint; its neighbours may be ones. That happens
    on long descending ridges, below the thresholds that are in use.
    """
    height, width = heatmap.shape[1], heatmap.shape[2]
    # Falls in reading order, for equal maxima; whole numbers are exact up to 16.7 million pixels.
    order = torch.arange(height * width, 0, -1, device=heatmap.device)
    order = order.view(height, width).float()
    remaining, kept = heatmap, torch.zeros_like(heatmap)
    for _ in range(rounds):
        highest = (remaining > 0) & (remaining == _square_maximum(remaining, radius))
        first = torch.where(highest, order, 0.0)
        peaks = (highest & (first == _square_maximum(first, radius))).float()
        kept = torch.maximum(kept, peaks)
        remaining = torch.where(_square_maximum(peaks, radius) > 0, 0.0, remaining)
    return heatmap * kept, remaining


def _square_maximum(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the maximum of x (B, H, W), not negative, over the square around each pixel."""
    side = 2 * radius + 1
    x = F.max_pool2d(x[:, None], (1, side), stride=1, padding=(0, radius))
    return F.max_pool2d(x, (side, 1), stride=1, padding=(radius, 0))[:, 0]


def inside_margin(height: int, width: int, margin: int, device: torch.device) -> torch.Tensor:
    """Return float32 (H, W): 1 where a pixel is further than the margin from the border."""
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    rows, columns = (y >= margin) & (y < height - margin), (x >= margin) & (x < width - margin)
    return (rows[:, None] & columns[None]).float()


def _best(peaks: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the highest of peaks (B, H, W): scores (B, K) and places in reading order (B, K)."""
    flat = peaks.flatten(1)
    # So many are there even in the smallest image; a place in the padding has no score.
    padded = F.pad(flat, (0, count))
    scores, places = torch.topk(padded, count, dim=1)
    return scores, torch.where(scores > 0, places, 0)


def coordinates(
    places: torch.Tensor, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x and y, int64, of places in reading order."""
    # Looked up: exporters divide whole numbers as float32, which is wrong in large images.
    y, x = torch.arange(height, device=places.device), torch.arange(width, device=places.device)
    rows = y[:, None].expand(height, width).flatten()
    columns = x[None].expand(height, width).flatten()
    return columns[places], rows[places]


def _centroid_offsets(heatmap: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return (B, K, 2) from pixels (B, K) to the heatmap's centroid in the 5x5 around them."""
    padded = F.pad(heatmap, (2, 2, 2, 2))
    width = padded.shape[2]
    steps = torch.arange(5, device=heatmap.device)
    square = (steps[:, None] * width + steps[None]).flatten()
    places = (y * width + x)[:, :, None] + square
    window = padded.flatten(1).gather(1, places.flatten(1)).view(x.shape[0], -1, 25)
    shift = (steps - 2).float()
    total = window.sum(dim=2, keepdim=True).clamp_min(1e-12)
    along_x = (window * shift.repeat(5)).sum(dim=2, keepdim=True)
    along_y = (window * shift.repeat_interleave(5)).sum(dim=2, keepdim=True)
    return torch.cat([along_x, along_y], dim=2) / total


def _sample(descriptors: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
    """Return unit descriptors (B, K, D) of coarse ones (B, D, h, w) at keypoints (B, K, 2)."""
    height, width = descriptors.shape[2] * CELL, descriptors.shape[3] * CELL
    x, y = keypoints[:, :, 0], keypoints[:, :, 1]
    grid = torch.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1], dim=2)
    sampled = F.grid_sample(
        descriptors, grid[:, None], mode='bilinear', padding_mode='border', align_corners=False
    )
    return F.normalize(sampled[:, :, 0], dim=1).transpose(1, 2)
