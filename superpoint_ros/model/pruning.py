# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Channels that say nothing: how a network of a standard's widths runs with fewer.

A channel whose weights are zero, and whose bias is no greater, is zero after the ReLU wherever it
looks, so that nothing changes where it is left out. That is how weights keep the widths that other
programs expect, and cost only what they use of them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from superpoint_ros.model.superpoint import (
    ENCODER,
    fold_batch_norm,
    INPUTS,
    SuperPoint,
    SuperPointConfig,
)

STAGES = ('1', '2', '3', '4')

HIDDEN = (*(f'conv{name}' for name in ENCODER), 'convPa', 'convDa')
"""Layers that a ReLU follows, whose channels may be silent."""


def lean(model: SuperPoint) -> SuperPoint:
    """
    Return the network as engines run it: batch norms folded where they can be, nothing silent.

    `model` is left as it is, and may come back.
    """
    if model.config.normalization == 'before_relu':
        model = fold_batch_norm(model)
    return without_silent_channels(model)


def without_silent_channels(model: SuperPoint) -> SuperPoint:
    """
    Return a network of plain convolutions, in evaluation mode, that leaves silent channels out.

    Its outputs are those of `model`, which has plain convolutions too, in exact arithmetic. Both
    layers of a stage, and both heads, stay as wide as the wider of the two, and one channel at the
    least. `model` itself comes
    back where no channel can go, and where it has batch norms.
    """
    config = model.config
    if config.normalization != 'none':
        return model
    heard = {name: _heard_channels(getattr(model, name)) for name in HIDDEN}
    narrow = replace(
        config,
        stage_channels=tuple(_widest(heard, f'conv{stage}a', f'conv{stage}b') for stage in STAGES),
        head_channels=_widest(heard, 'convPa', 'convDa'),
    )
    if narrow == config:
        return model
    result = SuperPoint(narrow).eval()
    kept = {
        name: _with_others(heard[name], getattr(model, name), getattr(result, name))
        for name in HIDDEN
    }
    with torch.no_grad():
        for name, before in INPUTS.items():
            source, target = getattr(model, name), getattr(result, name)
            outputs, inputs = (kept.get(layer, slice(None)) for layer in (name, before))
            target.weight.copy_(source.weight[outputs][:, inputs])
            target.bias.copy_(source.bias[outputs])
    return result


def with_silent_channels(model: SuperPoint, config: SuperPointConfig) -> SuperPoint:
    """
    Return a network as wide as `config` says that computes what `model` does.

    Both have plain convolutions; the channels that `model` has not are silent, the last of their
    layer. Raises ValueError where `config` is narrower anywhere or has other descriptors.
    """
    result = SuperPoint(replace(config, normalization='none')).eval()
    with torch.no_grad():
        for name in INPUTS:
            source, target = getattr(model, name), getattr(result, name)
            if any(a > b for a, b in zip(source.weight.shape, target.weight.shape, strict=True)):
                raise ValueError(
                    f'{name} has {tuple(source.weight.shape[:2])} channels out and in, more than '
                    f'{tuple(target.weight.shape[:2])}'
                )
            if name in ('convPb', 'convDb') and source.out_channels != target.out_channels:
                raise ValueError(
                    f'descriptors of {source.out_channels} numbers are none of '
                    f'{target.out_channels}'
                )
            outgoing, incoming = source.weight.shape[:2]
            target.weight.zero_()
            target.bias.zero_()
            target.weight[:outgoing, :incoming] = source.weight
            target.bias[:outgoing] = source.bias
    return result


def _widest(heard: dict[str, torch.Tensor], *names: str) -> int:
    """Return how many channels layers of one width need, one at the least."""
    return max(1, *(len(heard[name]) for name in names))


def _heard_channels(layer: nn.Conv2d) -> torch.Tensor:
    """Return the indices of a layer's channels that are not silent."""
    silent = (layer.weight == 0).flatten(1).all(dim=1) & (layer.bias <= 0)
    return (~silent).nonzero()[:, 0]


def _with_others(heard: torch.Tensor, source: nn.Conv2d, target: nn.Conv2d) -> torch.Tensor:
    """Return in order which channels of a layer go into another: those heard, and silent ones."""
    silent = torch.ones(source.out_channels, dtype=torch.bool)
    silent[heard] = False
    others = silent.nonzero()[:, 0][: target.out_channels - len(heard)]
    return torch.cat([heard, others]).sort().values
