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

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

CELL = 8
"""Side in pixels of a cell, from the three poolings of the encoder."""

SMALLEST_SIDE = 16
"""Shortest supported side of an image in pixels."""

ENCODER = ('1a', '1b', '2a', '2b', '3a', '3b', '4a', '4b')
"""Encoder layers in order; each takes the output of the previous one."""

INPUTS = {
    'conv1a': 'image',
    **{f'conv{name}': f'conv{before}' for before, name in pairwise(ENCODER)},
    'convPa': 'conv4b',
    'convPb': 'convPa',
    'convDa': 'conv4b',
    'convDb': 'convDa',
}
"""Input of each convolution: another convolution, or the image."""

NORMALIZATIONS = ('none', 'before_relu', 'after_relu')


@dataclass(frozen=True)
class SuperPointConfig:
    """
    Channels and normalisation of a network.

    Raises ValueError that names the field, its value and what it may be.

    Attributes:
        stage_channels: channels of the encoder's four stages of two 3x3 convolutions each.
        head_channels: channels of the hidden layer of both heads.
        descriptor_size: length D of a descriptor.
        normalization: 'none' (plain convolutions, as in weight files), 'before_relu' (conv -> BN
            -> ReLU, for training; `fold_batch_norm` removes it) or 'after_relu' (conv -> ReLU ->
            BN; cannot be folded exactly at padded borders).
        normalization_eps: epsilon of the batch norm.

    """

    stage_channels: tuple[int, int, int, int] = (64, 64, 128, 128)
    head_channels: int = 256
    descriptor_size: int = 256
    normalization: str = 'none'
    normalization_eps: float = 1e-5

    def __post_init__(self):
        object.__setattr__(self, 'stage_channels', tuple(self.stage_channels))
        widths = (*self.stage_channels, self.head_channels, self.descriptor_size)
        if len(self.stage_channels) != 4 or not all(
            isinstance(width, int) and 0 < width <= 4096 for width in widths
        ):
            raise ValueError(
                'stage_channels must be four whole numbers, head_channels and descriptor_size one '
                f'each, all from 1 to 4096; got {self.stage_channels}, {self.head_channels} and '
                f'{self.descriptor_size}'
            )
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(
                f'normalization must be one of {NORMALIZATIONS}, got {self.normalization!r}'
            )
        if not 0 < self.normalization_eps < 1:
            raise ValueError(
                f'normalization_eps must lie between 0 and 1, got {self.normalization_eps}'
            )


PAPER = SuperPointConfig()
"""Network of the paper: 1.30 M parameters, 26.05 GMAC at 640x480."""

COMPACT = SuperPointConfig(
    stage_channels=(16, 32, 64, 128), head_channels=128, descriptor_size=128
)
"""Network for CPUs and small boards: 0.61 M parameters, 5.47 GMAC at 640x480."""

SMALL = replace(COMPACT, descriptor_size=64)
"""The compact network with descriptors of half the length."""

CONFIGURATIONS = {'paper': PAPER, 'compact': COMPACT, 'small': SMALL}


class SuperPointOutput(NamedTuple):
    """
    Output of the network for a batch of images: one vector for each cell of 8x8 pixels.

    `logits` has shape (B, 65, H/8, W/8): the 64 pixels of the cell in row order, then the dustbin
    "no interest point". `descriptors` has shape (B, D, H/8, W/8) and is not normalised.
    """

    logits: torch.Tensor
    descriptors: torch.Tensor


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


def fold_batch_norm(model: SuperPoint) -> SuperPoint:
    """
    Return an equivalent network of plain convolutions, into which batch norms are folded.

    The result is in evaluation mode, float32 and on the CPU. Raises ValueError for 'after_relu'
    networks: their batch norm shifts values after the ReLU but not the zero padding of the next
    convolution, so that no plain convolution is equivalent at the border of the image.
    """
    config = model.config
    if config.normalization == 'after_relu':
        raise ValueError(
            'batch norm after ReLU cannot be folded exactly; run the network without folding '
            "(only normalization 'before_relu' can be folded)"
        )
    folded = SuperPoint(replace(config, normalization='none', normalization_eps=1e-5))
    state = {name: value.detach().cpu().double() for name, value in model.state_dict().items()}
    result = {}
    for name in (key[: -len('.weight')] for key in folded.state_dict() if key.endswith('.weight')):
        weight, bias = state[f'{name}.weight'], state[f'{name}.bias']
        if config.normalization == 'before_relu':
            norm = name.replace('conv', 'bn')
            variance = state[f'{norm}.running_var'] + config.normalization_eps
            scale = state[f'{norm}.weight'] / variance.sqrt()
            weight = weight * scale[:, None, None, None]
            bias = (bias - state[f'{norm}.running_mean']) * scale + state[f'{norm}.bias']
        result[f'{name}.weight'], result[f'{name}.bias'] = weight.float(), bias.float()
    folded.load_state_dict(result)
    return folded.eval()
