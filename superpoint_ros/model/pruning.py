# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Removal of dead channels: run a network of standard width at the cost of the channels in use.

A channel is dead if all its weights are zero and its bias is not positive: its output after the
ReLU is always zero. Weight files keep the widths that other programs expect; engines and exported
graphs run without the dead channels.
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
"""Layers followed by a ReLU; only their channels can be dead."""


def prepare_for_inference(model: SuperPoint) -> SuperPoint:
    """
    Return the network as engines run it: foldable batch norms folded, dead channels removed.

    `model` is not modified; it is returned if there is nothing to do.
    """
    if model.config.normalization == 'before_relu':
        model = fold_batch_norm(model)
    return remove_dead_channels(model)


def remove_dead_channels(model: SuperPoint) -> SuperPoint:
    """
    Return the network without dead channels, in evaluation mode.

    In exact arithmetic its outputs are those of `model`. Both layers of a stage, and both heads,
    keep the width of the wider of the two, and at least one channel. `model` itself is returned if
    no channel can be removed or if it has batch norms.
    """
    config = model.config
    if config.normalization != 'none':
        return model
    live = {name: _live_channels(getattr(model, name)) for name in HIDDEN}
    narrow = replace(
        config,
        stage_channels=tuple(_widest(live, f'conv{stage}a', f'conv{stage}b') for stage in STAGES),
        head_channels=_widest(live, 'convPa', 'convDa'),
    )
    if narrow == config:
        return model
    result = SuperPoint(narrow).eval()
    kept = {
        name: _kept_channels(live[name], getattr(model, name), getattr(result, name))
        for name in HIDDEN
    }
    with torch.no_grad():
        for name, before in INPUTS.items():
            source, target = getattr(model, name), getattr(result, name)
            outputs, inputs = (kept.get(layer, slice(None)) for layer in (name, before))
            target.weight.copy_(source.weight[outputs][:, inputs])
            target.bias.copy_(source.bias[outputs])
    return result


def add_dead_channels(model: SuperPoint, config: SuperPointConfig) -> SuperPoint:
    """
    Return an equivalent network with the widths of `config`, filled up with dead channels.

    Both have plain convolutions; the dead channels are the last of their layer. Raises ValueError
    if `config` is narrower in any layer or has another descriptor size.
    """
    result = SuperPoint(replace(config, normalization='none')).eval()
    with torch.no_grad():
        for name in INPUTS:
            source, target = getattr(model, name), getattr(result, name)
            if any(a > b for a, b in zip(source.weight.shape, target.weight.shape, strict=True)):
                raise ValueError(
                    f'cannot narrow {name} from {tuple(source.weight.shape[:2])} to '
                    f'{tuple(target.weight.shape[:2])} output and input channels'
                )
            if name in ('convPb', 'convDb') and source.out_channels != target.out_channels:
                raise ValueError(
                    f'cannot widen {source.out_channels}-d descriptors to {target.out_channels}-d'
                )
            outgoing, incoming = source.weight.shape[:2]
            target.weight.zero_()
            target.bias.zero_()
            target.weight[:outgoing, :incoming] = source.weight
            target.bias[:outgoing] = source.bias
    return result


def _widest(live: dict[str, torch.Tensor], *names: str) -> int:
    """Return the number of channels that layers of one width need, at least one."""
    return max(1, *(len(live[name]) for name in names))


def _live_channels(layer: nn.Conv2d) -> torch.Tensor:
    """Return the indices of the channels of a layer that are not dead."""
    dead = (layer.weight == 0).flatten(1).all(dim=1) & (layer.bias <= 0)
    return (~dead).nonzero()[:, 0]


def _kept_channels(live: torch.Tensor, source: nn.Conv2d, target: nn.Conv2d) -> torch.Tensor:
    """Return the ascending indices of the kept channels: live ones, filled up with dead ones."""
    dead = torch.ones(source.out_channels, dtype=torch.bool)
    dead[live] = False
    others = dead.nonzero()[:, 0][: target.out_channels - len(live)]
    return torch.cat([live, others]).sort().values
