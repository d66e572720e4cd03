# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A plain SuperPoint in eager float32 PyTorch: the baseline of the speed benchmark.

It is written like the common implementations: convolution and ReLU one after the other,
non-maximum suppression of the whole heatmap by iterated max-pooling, `torch.where` for the
threshold, descriptors normalised densely and sampled at the keypoints. It loads the weights of
the package's network, so that both do the same work. It repeats steps of the package's detection
on purpose: it is there to be compared with.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from superpoint_ros.features import Features
from superpoint_ros.model.config import CELL, SuperPointConfig
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint

SUPPRESSIONS = 2
"""Rounds of suppression after the first one, as in the common implementations."""


class PlainSuperPoint(nn.Module):
    """Network for images float32 (B, 1, H, W) from 0 to 1; the weights have the usual names."""

    def __init__(self, config: SuperPointConfig):
        super().__init__()
        self.encoder = config.encoder
        self.layers = config.layers
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        channels = {'image': 1}
        for name, layer in self.layers.items():
            size, incoming = layer.kernel_size, channels[layer.source]
            channels[name] = layer.channels
            self.add_module(
                name, nn.Conv2d(incoming, layer.channels, size, layer.stride, padding=size // 2)
            )

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the heatmap (B, H, W) and dense descriptors (B, D, h, w) of unit length."""
        x = image
        for name in self.encoder:
            if self.layers[name].pooled:
                x = self.pool(x)
            x = self.relu(getattr(self, name)(x))
            if 'convFa' in self.layers and name == self.layers['convFa'].source:
                quarter = x
        scores = self.convPb(self.relu(self.convPa(x)))
        scores = F.softmax(scores, 1)[:, :-1]
        batch, _, height, width = scores.shape
        scores = scores.permute(0, 2, 3, 1).reshape(batch, height, width, CELL, CELL)
        scores = scores.permute(0, 1, 3, 2, 4).reshape(batch, height * CELL, width * CELL)
        descriptors = self.convDb(self.relu(self.convDa(x)))
        if 'convFa' in self.layers:
            fine = self.convFb(self.relu(self.convFa(quarter)))
            descriptors = fine + F.interpolate(descriptors, scale_factor=2.0, mode='bilinear')
        return scores, F.normalize(descriptors, p=2, dim=1)


def simple_nms(scores: torch.Tensor, radius: int) -> torch.Tensor:
    """Return scores (B, H, W), set to 0 if a higher one is within `radius` pixels in x and y."""

    def max_pool(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, kernel_size=radius * 2 + 1, stride=1, padding=radius)

    zeros = torch.zeros_like(scores)
    is_maximum = scores == max_pool(scores)
    for _ in range(SUPPRESSIONS):
        suppressed = max_pool(is_maximum.float()) > 0
        remaining = torch.where(suppressed, zeros, scores)
        is_new = remaining == max_pool(remaining)
        is_maximum = is_maximum | (is_new & (~suppressed))
    return torch.where(is_maximum, scores, zeros)


class PlainDetector:
    """
    The plain network with its decoding, for gray images uint8 (H, W).

    `radius`, `keypoints` and `margin` are those of `DetectionSettings`. If the sides of an image
    are not multiples of 8, the last pixels are ignored, as in the common implementations.
    """

    def __init__(
        self,
        model: SuperPoint,
        radius: int,
        keypoints: int,
        margin: int,
        device: str = 'cpu',
    ):
        if model.config.normalization != 'none':
            model = fold_batch_norm(model)
        self.model = PlainSuperPoint(model.config).eval()
        self.model.load_state_dict(model.state_dict())
        self.model.to(device)
        self._device = device
        self.radius, self.keypoints, self.margin = radius, keypoints, margin

    @torch.no_grad()
    def __call__(self, gray: np.ndarray, threshold: float) -> Features:
        """Return the features of an image whose scores exceed the threshold."""
        image = torch.from_numpy(gray)[None, None].to(self._device).float() / 255.0
        heatmap, descriptors = self.model(image)
        scores = simple_nms(heatmap, self.radius)[0]
        margin = self.margin
        if margin:
            scores[:margin], scores[-margin:] = 0, 0
            scores[:, :margin], scores[:, -margin:] = 0, 0
        y, x = torch.where(scores > threshold)
        found = scores[y, x]
        if len(found) > self.keypoints:
            found, kept = torch.topk(found, self.keypoints)
            y, x = y[kept], x[kept]
        points = torch.stack([x, y], dim=-1).float()
        sampled = _sample(points, descriptors[0], heatmap.shape[1:])
        return Features(points.cpu().numpy(), found.cpu().numpy(), sampled.cpu().numpy())


def _sample(
    points: torch.Tensor, descriptors: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Return unit descriptors (N, D) at points (N, 2) of an image of a dense map (D, h, w)."""
    grid = (points + 0.5) / points.new_tensor([size[1], size[0]]) * 2 - 1
    sampled = F.grid_sample(
        descriptors[None], grid.view(1, 1, -1, 2), mode='bilinear', align_corners=False
    )
    return F.normalize(sampled[0, :, 0], p=2, dim=0).t()
