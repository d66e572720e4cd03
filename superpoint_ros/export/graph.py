# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The Detector as one graph of tensor operations that ONNX and TorchScript have."""

from __future__ import annotations

import torch
from torch import nn

from superpoint_ros.detection.nms import ROUNDS
from superpoint_ros.detection.pipeline import detect, KeypointSteps, PaddedFeatures
from superpoint_ros.detection.settings import DetectionSettings, NO_PREPROCESSING
from superpoint_ros.model.config import CELL
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import build_network, SuperPoint

IMAGE_TYPES = {'uint8': torch.uint8, 'float32': torch.float32}
"""Types of the images that a graph takes: from 0 to 255, or from 0 to 1."""

UNSUPPORTED = {'grid_cells': 0, **NO_PREPROCESSING}
"""Settings that a graph does not implement, and the values that turn them off."""


class DetectorGraph(nn.Module):
    """
    A module that maps images and a threshold to keypoints, scores, descriptors and a mask.

    Images have shape (B, 1, H, W), any size from 16x16 pixels, and one of `IMAGE_TYPES`. The
    threshold has shape (1,). The other `settings` are fixed in the graph; K is `max_keypoints`.
    Suppression has a fixed number of `rounds`, see `detection.nms.suppress_non_maxima`. Raises
    ValueError for settings that a graph does not implement and for fewer than one round.
    """

    def __init__(
        self, model: SuperPoint, settings: DetectionSettings | None = None, rounds: int = ROUNDS
    ):
        super().__init__()
        if rounds < 1:
            raise ValueError(f'the rounds of suppression must be at least 1, got {rounds}')
        settings = settings or DetectionSettings(**UNSUPPORTED)
        for name, off in UNSUPPORTED.items():
            if getattr(settings, name) != off:
                raise ValueError(
                    'a graph neither spreads keypoints over a grid nor changes images: '
                    f'{name} must be {off}, got {getattr(settings, name)}'
                )
        self.model = build_network(NetworkArrays.of(model).prepare_for_inference())
        self.settings = settings
        self.rounds = rounds
        self.eval()

    def forward(self, image: torch.Tensor, threshold: torch.Tensor) -> PaddedFeatures:
        """Return the features of images (B, 1, H, W)."""
        return self.steps(image, threshold)[1]

    def steps(
        self, image: torch.Tensor, threshold: torch.Tensor
    ) -> tuple[KeypointSteps, PaddedFeatures]:
        """Return the features of images (B, 1, H, W), and how they were found."""
        is_uint8 = image.dtype == torch.uint8
        gray = image.float() if is_uint8 else image * 255
        output = self.model(pad_to_cells(gray / 255 if is_uint8 else image))
        return detect(output, gray, self.settings, threshold, rounds=self.rounds)


def pad_to_cells(images: torch.Tensor) -> torch.Tensor:
    """
    Return images (B, 1, H, W) with their last row and column repeated up to multiples of 8.

    It does what `detection.preprocessing.pad` does for arrays.
    """
    height, width = images.shape[2], images.shape[3]
    # Indices instead of padding: exporters cannot pad by an amount that depends on the size, and
    # torch does not pad uint8.
    rows = torch.arange((height + CELL - 1) // CELL * CELL, device=images.device)
    columns = torch.arange((width + CELL - 1) // CELL * CELL, device=images.device)
    return images[:, :, rows.clamp(max=height - 1)][:, :, :, columns.clamp(max=width - 1)]
