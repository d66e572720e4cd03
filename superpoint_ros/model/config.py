# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Configurations of the SuperPoint network, the names of its layers, and the form of its output.

This module does not need PyTorch, whose import takes a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import NamedTuple, TYPE_CHECKING

from superpoint_ros.common.settings_table import setting, SettingsGroup

if TYPE_CHECKING:
    import numpy as np
    import torch

CELL = 8
"""Side in pixels of a cell: the encoder halves the image three times."""

DUSTBIN = CELL * CELL
"""Class of a cell without a keypoint; the classes before it are the pixels in row order."""

FINE_CELL = 4
"""Side in pixels of the squares of fine descriptors."""

SMALLEST_SIDE = 16
"""Shortest supported side of an image in pixels."""

WIDTH = (1, 4096)
"""Smallest and largest number of channels of a layer."""


class Layer(NamedTuple):
    """
    A convolution of the network, what precedes and what follows it.

    Attributes:
        source: name of the layer whose output is its input, or 'image'.
        channels: number of its output channels.
        kernel_size: height and width of its kernel; the padding keeps the size of the input.
        stride: stride of the convolution in both directions.
        relu: whether a ReLU follows; only then can channels be dead.
        pooled: whether a max pooling of 2x2 pixels of its input precedes.

    """

    source: str
    channels: int
    kernel_size: int = 3
    stride: int = 1
    relu: bool = True
    pooled: bool = False


@dataclass(frozen=True)
class SuperPointConfig(SettingsGroup):
    """Layers, channels and normalization of a network."""

    stage_channels: tuple[int, int, int, int] = setting(
        (64, 64, 128, 128),
        "Channels of the encoder's four stages of 3x3 convolutions.",
        range=WIDTH,
    )
    head_channels: tuple[int, int] | int = setting(
        (256, 256),
        'Channels of the hidden layers of the detector head and of the descriptor head; a single '
        'number counts for both.',
        range=WIDTH,
    )
    descriptor_size: int = setting(256, 'Length D of a descriptor.', range=WIDTH)
    normalization: str = setting(
        'none',
        "'none' (plain convolutions, as in weight files), 'before_relu' (conv -> BN -> ReLU, for "
        "training; `fold_batch_norm` removes it) or 'after_relu' (conv -> ReLU -> BN; cannot be "
        'folded exactly at padded borders).',
        choices=('none', 'before_relu', 'after_relu'),
    )
    normalization_eps: float = setting(1e-5, 'Epsilon of the batch norm.', above=0, below=1)
    stage_layers: tuple[int, int, int, int] = setting(
        (2, 2, 2, 2), 'Convolutions of each stage.', range=(1, 4)
    )
    downsampling: str = setting(
        'pooling',
        "'pooling' (max pooling of 2x2 pixels after the last layer of stages 1 to 3, as in the "
        "paper) or 'stride' (the last layer of these stages has a stride of 2).",
        choices=('pooling', 'stride'),
    )
    fine_channels: int = setting(
        0,
        'Hidden channels of the fine part of the descriptors, which reads the last layer of the '
        "encoder with a quarter of the image's size; 0 for none, as in the paper.",
        range=(0, 4096),
    )

    def __post_init__(self):
        if isinstance(self.head_channels, int):
            object.__setattr__(self, 'head_channels', (self.head_channels,) * 2)
        for name in ('stage_channels', 'stage_layers', 'head_channels'):
            if isinstance(getattr(self, name), list):  # of JSON
                object.__setattr__(self, name, tuple(getattr(self, name)))
        super().__post_init__()

    @property
    def stages(self) -> list[list[str]]:
        """Return the names of the layers of each stage, such as conv1a and conv1b."""
        return [
            [f'conv{stage}{letter}' for letter in ascii_lowercase[:count]]
            for stage, count in enumerate(self.stage_layers, start=1)
        ]

    @property
    def encoder(self) -> list[str]:
        """Return the names of the encoder's layers; each takes the output of the previous one."""
        return [name for stage in self.stages for name in stage]

    @property
    def layers(self) -> dict[str, Layer]:
        """Return all layers by name, each after its source."""
        layers: dict[str, Layer] = {}
        source, quarter, cell = 'image', '', 1
        for number, (names, channels) in enumerate(
            zip(self.stages, self.stage_channels, strict=True), start=1
        ):
            for name in names:
                halves = number < 4 and name == names[-1]
                stride = 2 if halves and self.downsampling == 'stride' else 1
                pooled = number > 1 and name == names[0] and self.downsampling == 'pooling'
                layers[name] = Layer(source, channels, stride=stride, pooled=pooled)
                source = name
                cell *= 2 if pooled else stride
                if cell == FINE_CELL:
                    quarter = name
        outputs = DUSTBIN + 1, self.descriptor_size
        for head, hidden, channels in zip('PD', self.head_channels, outputs, strict=True):
            layers[f'conv{head}a'] = Layer(source, hidden)
            layers[f'conv{head}b'] = Layer(f'conv{head}a', channels, kernel_size=1, relu=False)
        if self.fine_channels:
            layers['convFa'] = Layer(quarter, self.fine_channels)
            layers['convFb'] = Layer('convFa', self.descriptor_size, kernel_size=1, relu=False)
        return layers

    @property
    def form(self) -> str:
        """Return in words what two networks that differ in their channels alone have in common."""
        fine = ' and fine descriptors' if self.fine_channels else ''
        return f'{self.stage_layers} layers with {self.downsampling}{fine}'

    @property
    def outputs(self) -> dict[str, str]:
        """Return the layer of each part of the output, by its name in `SuperPointOutput`."""
        outputs = {'logits': 'convPb', 'descriptors': 'convDb', 'fine': 'convFb'}
        return {part: layer for part, layer in outputs.items() if layer in self.layers}

    @property
    def hidden(self) -> list[str]:
        """Return the names of the layers followed by a ReLU."""
        return [name for name, layer in self.layers.items() if layer.relu]


PAPER = SuperPointConfig()
"""Network of the paper: 1.30 M parameters, 26.05 GMAC at 640x480."""

LARGE = replace(PAPER, fine_channels=128)
"""The paper's network with fine descriptors: 1.48 M parameters, 29.5 GMAC at 640x480."""

COMPACT = SuperPointConfig(
    stage_channels=(16, 32, 64, 128), head_channels=128, descriptor_size=128, fine_channels=64
)
"""Network for CPUs and small boards: 0.66 M parameters, 6.34 GMAC at 640x480."""

SMALL = replace(COMPACT, descriptor_size=64)
"""The compact network with descriptors of half the length."""

NANO = SuperPointConfig(
    stage_channels=(16, 32, 64, 64),
    head_channels=(32, 64),
    descriptor_size=64,
    stage_layers=(1, 1, 1, 2),
    downsampling='stride',
    fine_channels=16,
)
"""Network for the cheapest CPUs: 0.16 M parameters, 0.95 GMAC at 640x480."""

CONFIGURATIONS = {'paper': PAPER, 'large': LARGE, 'compact': COMPACT, 'small': SMALL, 'nano': NANO}


class SuperPointOutput(NamedTuple):
    """
    Output of the network for a batch of images.

    Attributes:
        logits: (B, 65, H/8, W/8), a vector for each cell of 8x8 pixels: the 64 pixels of the cell
            in row order, then the dustbin "no interest point".
        descriptors: (B, D, H/8, W/8), not normalised: a vector for each cell.
        fine: (B, D, H/4, W/4), a vector for each square of 4x4 pixels, which is added to the
            descriptors before they are normalised; None if the network has no such part.
        fine_projection: None, or float32 (C + 1, D): then `fine` has the C hidden channels, from
            which the last layer with these weights, its bias in the last row, makes D. This
            layer is linear, so it may be computed after the interpolation, at keypoints alone.

    """

    logits: torch.Tensor | np.ndarray
    descriptors: torch.Tensor | np.ndarray
    fine: torch.Tensor | np.ndarray | None = None
    fine_projection: np.ndarray | None = None

    @property
    def parts(self) -> tuple[torch.Tensor | np.ndarray, ...]:
        """Return the parts that the network has."""
        return tuple(part for part in self[:3] if part is not None)

    def apply(self, function: Callable) -> SuperPointOutput:
        """Return the output with a function applied to each part that the network has."""
        parts = (part if part is None else function(part) for part in self[:3])
        return SuperPointOutput(*parts, fine_projection=self.fine_projection)
