# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Configurations of the SuperPoint network, the names of its layers, and the form of its output.

This module does not need PyTorch, whose import takes a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

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

KERNEL_SIZES = {name: 1 if name in ('convPb', 'convDb') else 3 for name in INPUTS}
"""Height and width of the kernel of each convolution."""

HIDDEN = (*(f'conv{name}' for name in ENCODER), 'convPa', 'convDa')
"""Layers followed by a ReLU; only their channels can be dead."""

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

    logits: torch.Tensor | np.ndarray
    descriptors: torch.Tensor | np.ndarray
