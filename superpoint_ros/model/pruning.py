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

from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import build_network, SuperPoint


def remove_dead_channels(model: SuperPoint) -> SuperPoint:
    """
    Return the network without dead channels, in evaluation mode.

    `model` itself is returned if no channel can be removed or if it has batch norms. See
    `NetworkArrays.remove_dead_channels`.
    """
    arrays = NetworkArrays.of(model)
    pruned = arrays.remove_dead_channels()
    return model if pruned is arrays else build_network(pruned)


def add_dead_channels(model: SuperPoint, config: SuperPointConfig) -> SuperPoint:
    """
    Return an equivalent network with the widths of `config`, filled up with dead channels.

    Both have plain convolutions; the dead channels are the last of their layer. Raises ValueError
    if `config` is narrower in any layer, has other layers, or another descriptor size.
    """
    check_same_layers(model.config, config)
    result = SuperPoint(replace(config, normalization='none')).eval()
    with torch.no_grad():
        for name in config.layers:
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


def check_same_layers(source: SuperPointConfig, config: SuperPointConfig) -> None:
    """Raise ValueError if two networks differ in more than their channels and batch norms."""
    if source.form != config.form:
        raise ValueError(f'the networks differ: {source.form}; {config.form}')
