# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The Detector as one graph of tensor operations, whose outputs have a size that is known beforehand.

The operations are those that ONNX and TorchScript have, and no size depends on the data: see
`fixed_decoding`.
"""

from __future__ import annotations

import torch
from torch import nn

from superpoint_ros.detection.heatmap import heatmap_from_logits, score_pixels
from superpoint_ros.detection.hessian import find_blobs
from superpoint_ros.detection.pipeline import (
    fixed_features,
    FixedFeatures,
    inside_margin,
    suppress_in_rounds,
)
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.pruning import prepare_for_inference
from superpoint_ros.model.superpoint import CELL, SuperPoint

GraphOutput = FixedFeatures

ROUNDS = 12
"""Rounds of suppression; photographs need four at the default settings, ten at the worst."""

IMAGE_TYPES = {'uint8': torch.uint8, 'float32': torch.float32}
"""Types of the images that a graph takes: from 0 to 255, or from 0 to 1."""


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
        resizes = (
            settings.max_image_size
            or settings.upscale_factor != 1
            or settings.descriptor_scales != 1
        )
        if settings.grid_cells or resizes:
            raise ValueError(
                'a graph neither spreads keypoints over a grid nor resizes images: grid_cells and '
                'max_image_size must be 0, magnification and levels 1; got '
                f'{settings.grid_cells}, {settings.max_image_size}, {settings.upscale_factor} and '
                f'{settings.descriptor_scales}'
            )
        self.model = prepare_for_inference(model).eval()
        self.settings = settings
        self.rounds = rounds
        self.eval()

    def forward(self, image: torch.Tensor, threshold: torch.Tensor) -> GraphOutput:
        """Return the features of the images."""
        height, width = image.shape[2], image.shape[3]
        is_whole = image.dtype == torch.uint8
        gray = image.float() if is_whole else image * 255
        values = gray / 255 if is_whole else image
        features = self.model.encode(_pad_to_cells(values))
        heatmap = heatmap_from_logits(self.model.detect(features))[:, :height, :width]
        blobs = find_blobs(gray) if self.settings.keypoints == 'hessian' else None
        scores = score_pixels(heatmap, blobs)
        peaks = torch.where(scores >= threshold, scores, 0.0)
        if self.settings.nms_radius:
            peaks, _ = suppress_in_rounds(peaks, self.settings.nms_radius, self.rounds)
        peaks = peaks * inside_margin(height, width, self.settings.border_margin, peaks.device)
        descriptors = self.model.describe(features)
        return fixed_features(heatmap, peaks, descriptors, self.settings, blobs)


def _pad_to_cells(image: torch.Tensor) -> torch.Tensor:
    """Return the images, (B, 1, H, W), with their last pixels repeated up to whole cells."""
    height, width = image.shape[2], image.shape[3]
    # Indices rather than padding: exporters know no padding by amounts that depend on the size.
    rows = torch.arange((height + CELL - 1) // CELL * CELL, device=image.device)
    columns = torch.arange((width + CELL - 1) // CELL * CELL, device=image.device)
    return image[:, :, rows.clamp(max=height - 1)][:, :, :, columns.clamp(max=width - 1)]
