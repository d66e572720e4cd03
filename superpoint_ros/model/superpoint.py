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

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from superpoint_ros.model.config import CELL, Layer, PAPER, SuperPointConfig, SuperPointOutput
from superpoint_ros.model.network_arrays import NetworkArrays


class SuperPoint(nn.Module):
    """
    SuperPoint network: gray images to detector logits and descriptors.

    With `fine_channels`, descriptors are the sum of two parts: those of the paper, for cells of
    8x8 pixels, and those of a head of two layers at a quarter of the image's size, which are
    sampled more precisely at a keypoint.

    Images are floating point (B, 1, H, W) with values from 0 to 1; H and W are multiples of 8
    (`Detector` pads images of any size). Other shapes raise ValueError.
    """

    def __init__(self, config: SuperPointConfig = PAPER):
        super().__init__()
        self.config = config
        self._layers = config.layers
        self._last_readers = {layer.source: name for name, layer in self._layers.items()}
        for name, layer in self._layers.items():
            self._add_layer(name, layer)
        self.pool = nn.MaxPool2d(2)

    def _add_layer(self, name: str, layer: Layer) -> None:
        incoming = self._layers[layer.source].channels if layer.source in self._layers else 1
        size = layer.kernel_size
        self.add_module(
            name, nn.Conv2d(incoming, layer.channels, size, layer.stride, padding=size // 2)
        )
        if self.config.normalization != 'none':
            norm = nn.BatchNorm2d(layer.channels, eps=self.config.normalization_eps)
            self.add_module(name.replace('conv', 'bn'), norm)

    def run_layer(self, name: str, outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """
        Return the output of a layer, such as conv1b, after its ReLU.

        `outputs` has that of its source, or the images (B, 1, H, W) under the name 'image'.
        """
        layer = self._layers[name]
        x = outputs[layer.source]
        if layer.pooled:
            x = self.pool(x)
        x = getattr(self, name)(x)
        if self.config.normalization == 'before_relu':
            x = getattr(self, name.replace('conv', 'bn'))(x)
        if layer.relu:
            x = torch.relu(x)
        if self.config.normalization == 'after_relu':
            x = getattr(self, name.replace('conv', 'bn'))(x)
        return x

    def _run_layers(self, image: torch.Tensor, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """Return the outputs of the layers, without those that no other layer still reads."""
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
        outputs = {'image': image}
        for name in names:
            outputs[name] = self.run_layer(name, outputs)
            source = self._layers[name].source
            if self._last_readers[source] == name:
                del outputs[source]
        return outputs

    def detect(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, 65, H/8, W/8) of images alone, without descriptors."""
        return self._run_layers(image, [*self.config.encoder, 'convPa', 'convPb'])['convPb']

    def forward(self, image: torch.Tensor) -> SuperPointOutput:
        """Return logits and descriptors of images (B, 1, H, W) in [0, 1]."""
        return self.output(self._run_layers(image, self._layers))

    def output(self, outputs: Mapping[str, torch.Tensor]) -> SuperPointOutput:
        """Return the output of the network from those of its layers."""
        parts = self.config.outputs
        return SuperPointOutput(**{part: outputs[layer] for part, layer in parts.items()})


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
