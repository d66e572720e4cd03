# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The SuperPoint network: one shared encoder, a detector head and a descriptor head.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection
and Description", CVPR workshops 2018, section 3. The layers have the names that are the de-facto
standard for its weight files: `conv1a` ... `conv4b`, `convPa`, `convPb` (points), `convDa`,
`convDb` (descriptors).
"""

from __future__ import annotations

import torch
from torch import nn

from superpoint_ros.model.config import CELL, ENCODER, PAPER, SuperPointConfig, SuperPointOutput
from superpoint_ros.model.network_arrays import NetworkArrays


class SuperPoint(nn.Module):
    """
    SuperPoint network: gray images to detector logits and coarse descriptors.

    Images are floating point (B, 1, H, W) with values from 0 to 1; H and W are multiples of 8
    (`Detector` pads images of any size). Other shapes raise ValueError.
    """

    def __init__(self, config: SuperPointConfig = PAPER):
        super().__init__()
        self.config = config
        incoming = 1
        for stage, channels in enumerate(config.stage_channels, start=1):
            self._add_layer(f'{stage}a', incoming, channels, 3)
            self._add_layer(f'{stage}b', channels, channels, 3)
            incoming = channels
        self._add_layer('Pa', incoming, config.head_channels, 3)
        self._add_layer('Pb', config.head_channels, CELL * CELL + 1, 1)
        self._add_layer('Da', incoming, config.head_channels, 3)
        self._add_layer('Db', config.head_channels, config.descriptor_size, 1)
        self.pool = nn.MaxPool2d(2)

    def _add_layer(self, name: str, incoming: int, outgoing: int, kernel: int) -> None:
        self.add_module(f'conv{name}', nn.Conv2d(incoming, outgoing, kernel, padding=kernel // 2))
        if self.config.normalization != 'none':
            self.add_module(
                f'bn{name}', nn.BatchNorm2d(outgoing, eps=self.config.normalization_eps)
            )

    def _layer(self, name: str, x: torch.Tensor, relu: bool = True) -> torch.Tensor:
        x = getattr(self, f'conv{name}')(x)
        if self.config.normalization == 'before_relu':
            x = getattr(self, f'bn{name}')(x)
        if relu:
            x = torch.relu(x)
        if self.config.normalization == 'after_relu':
            x = getattr(self, f'bn{name}')(x)
        return x

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Return encoder features (B, C, H/8, W/8) of images (B, 1, H, W) in [0, 1]."""
        if (
            image.ndim != 4
            or image.shape[1] != 1
            or image.shape[2] % CELL
            or image.shape[3] % CELL
        ):
            raise ValueError(
                f'the network takes images (B, 1, H, W) with H and W multiples of {CELL}; '
                f'got {tuple(image.shape)}'
            )
        x = image
        for name in ENCODER:
            x = self.encode_layer(name, x)
        return x

    def encode_layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Return the output of a layer of `ENCODER`, max-pooled at the end of stages 1 to 3."""
        x = self._layer(name, x)
        return self.pool(x) if name in ('1b', '2b', '3b') else x

    def detect(self, features: torch.Tensor) -> torch.Tensor:
        """Return detector logits (B, 65, H/8, W/8) of encoder features."""
        return self._layer('Pb', self._layer('Pa', features), relu=False)

    def describe(self, features: torch.Tensor) -> torch.Tensor:
        """Return coarse descriptors (B, D, H/8, W/8), not normalised, of encoder features."""
        return self._layer('Db', self._layer('Da', features), relu=False)

    def forward(self, image: torch.Tensor) -> SuperPointOutput:
        """Return logits and coarse descriptors of images (B, 1, H, W) in [0, 1]."""
        features = self.encode(image)
        return SuperPointOutput(self.detect(features), self.describe(features))


def build_network(network: NetworkArrays) -> SuperPoint:
    """Return a PyTorch network with a copy of the arrays, for inference, on the CPU."""
    model = SuperPoint(network.config)
    # The counters of batch norms are not part of a network for inference.
    state = {name: torch.from_numpy(array.copy()) for name, array in network.arrays.items()}
    model.load_state_dict(state, strict=False)
    return model.eval()


def fold_batch_norm(model: SuperPoint) -> SuperPoint:
    """
    Return an equivalent network of plain convolutions, into which batch norms are folded.

    The result is in evaluation mode, float32 and on the CPU. See `NetworkArrays.fold_batch_norm`.
    """
    return build_network(NetworkArrays.of(model).fold_batch_norm())
