"""
The Detector as one graph of tensor operations, whose outputs have a size that is known beforehand.

The operations are those that ONNX and TorchScript have, and no size depends on the data: the
keypoints fill K places, and a mask says which of them count.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
import torch.nn.functional as F

from superpoint_ros.decoding import DetectionSettings, heatmap_from_logits
from superpoint_ros.network import CELL, fold_batch_norm, SuperPoint

ROUNDS = 12
"""Rounds of suppression; photographs need four at the default settings, ten at the worst."""

IMAGE_TYPES = {'uint8': torch.uint8, 'float32': torch.float32}
"""Types of the images that a graph takes: from 0 to 255, or from 0 to 1."""


class GraphOutput(NamedTuple):
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


class DetectorGraph(nn.Module):
    """
    Map images and a threshold to keypoints, scores, descriptors and a mask.

    Images have shape (B, 1, H, W), any size from 16x16 up, and one of `IMAGE_TYPES`. The threshold
    has shape (1,). `settings` are fixed in the graph, but for the threshold; K is its
    `max_keypoints`.

    Suppression is that of `decoding.suppress_non_maxima`, in a fixed number of `rounds`. In each
    round the highest of their neighbourhoods become keypoints and remove their neighbours; what is
    left undecided after the last one is no keypoint. That happens on long descending ridges, below
    the thresholds that are in use.
    """

    def __init__(
        self, model: SuperPoint, settings: DetectionSettings | None = None, rounds: int = ROUNDS
    ):
        super().__init__()
        if rounds < 1:
            raise ValueError(f'the rounds of suppression must be at least 1, got {rounds}')
        settings = settings or DetectionSettings()
        if settings.grid_cells or settings.max_image_size:
            raise ValueError(
                'a graph neither spreads keypoints over a grid nor reduces images: grid_cells and '
                f'max_image_size must be 0; got {settings.grid_cells}, {settings.max_image_size}'
            )
        if model.config.normalization == 'before_relu':
            model = fold_batch_norm(model)
        self.model = model.eval()
        self.settings = settings
        self.rounds = rounds
        self.eval()

    def forward(self, image: torch.Tensor, threshold: torch.Tensor) -> GraphOutput:
        """Return the features of the images."""
        height, width = image.shape[2], image.shape[3]
        values = image.float() / 255 if image.dtype == torch.uint8 else image
        features = self.model.encode(_pad_to_cells(values))
        heatmap = heatmap_from_logits(self.model.detect(features))[:, :height, :width]
        peaks = torch.where(heatmap >= threshold, heatmap, 0.0)
        if self.settings.nms_radius:
            peaks = _suppress(peaks, self.settings.nms_radius, self.rounds)
        peaks = peaks * _inside(height, width, self.settings.border_margin, peaks.device)
        scores, places = _best(peaks, self.settings.max_keypoints)
        x, y = _coordinates(places, height, width)
        keypoints = torch.stack([x, y], dim=2).float()
        if self.settings.subpixel:
            keypoints = keypoints + _centroid_offsets(heatmap, x, y)
        descriptors = _sample(self.model.describe(features), keypoints)
        valid = scores > 0
        counts = valid[:, :, None].float()
        return GraphOutput(keypoints * counts, scores, descriptors * counts, valid)


def _pad_to_cells(image: torch.Tensor) -> torch.Tensor:
    """Return the images, (B, 1, H, W), with their last pixels repeated up to whole cells."""
    height, width = image.shape[2], image.shape[3]
    # Indices rather than padding: exporters know no padding by amounts that depend on the size.
    rows = torch.arange((height + CELL - 1) // CELL * CELL, device=image.device)
    columns = torch.arange((width + CELL - 1) // CELL * CELL, device=image.device)
    return image[:, :, rows.clamp(max=height - 1)][:, :, :, columns.clamp(max=width - 1)]


def _suppress(heatmap: torch.Tensor, radius: int, rounds: int) -> torch.Tensor:
    """Return the heatmap (B, H, W) with 0 everywhere but at its keypoints."""
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
    return heatmap * kept


def _square_maximum(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the maximum of x (B, H, W), not negative, over the square around each pixel."""
    side = 2 * radius + 1
    x = F.max_pool2d(x[:, None], (1, side), stride=1, padding=(0, radius))
    return F.max_pool2d(x, (side, 1), stride=1, padding=(radius, 0))[:, 0]


def _inside(height: int, width: int, margin: int, device: torch.device) -> torch.Tensor:
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


def _coordinates(
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
