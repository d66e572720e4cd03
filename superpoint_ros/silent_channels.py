# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Channels that say nothing: how a network of a standard's widths runs with fewer.

A channel whose weights are zero, and whose bias is no greater, is zero after the ReLU wherever it
looks, so that nothing changes where it is left out. That is how weights keep the widths that other
programs expect, and cost only what they use of them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch

from superpoint_ros.network import fold_batch_norm, SuperPoint, SuperPointConfig

STAGES = ('1', '2', '3', '4')
HEADS = ('P', 'D')

HIDDEN = tuple(f'conv{stage}{half}' for stage in STAGES for half in 'ab') + ('convPa', 'convDa')
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
    layers of a stage, and both heads, stay as wide as the wider of the two. `model` itself comes
    back where no channel can go, and where it has batch norms.
    """
    config = model.config
    if config.normalization != 'none':
        return model
    heard = {name: _heard_channels(getattr(model, name)) for name in HIDDEN}
    narrow = replace(
        config,
        stage_channels=tuple(
            max(len(heard[f'conv{stage}a']), len(heard[f'conv{stage}b'])) for stage in STAGES
        ),
        head_channels=max(len(heard[f'conv{head}a']) for head in HEADS),
    )
    if narrow == config:
        return model
    kept = {
        name: _with_others(heard[name], getattr(model, name).out_channels, width)
        for name, width in widths(narrow).items()
    }
    result = SuperPoint(narrow).eval()
    with torch.no_grad():
        for name, source, incoming in _layers(model):
            inputs = kept.get(incoming, slice(None))
            outputs = kept.get(name, slice(None))
            target = getattr(result, name)
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
        for name, source, _ in _layers(model):
            target = getattr(result, name)
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


def widths(config: SuperPointConfig) -> dict[str, int]:
    """Return how many channels each hidden layer of a network has."""
    stages = dict(zip(STAGES, config.stage_channels, strict=True))
    return {name: stages.get(name[-2], config.head_channels) for name in HIDDEN}


def _layers(model: SuperPoint) -> list[tuple[str, torch.nn.Conv2d, str]]:
    """Return each convolution with its name and that of the one that it hears."""
    before = {'conv1a': ''}
    before |= {name: earlier for earlier, name in pairwise(HIDDEN[: 2 * len(STAGES)])}
    for head in HEADS:
        before |= {f'conv{head}a': 'conv4b', f'conv{head}b': f'conv{head}a'}
    return [(name, getattr(model, name), earlier) for name, earlier in before.items()]


def _heard_channels(layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return the indices of a layer's channels that are not silent."""
    silent = (layer.weight == 0).flatten(1).all(dim=1) & (layer.bias <= 0)
    return (~silent).nonzero()[:, 0]


def _with_others(heard: torch.Tensor, channels: int, width: int) -> torch.Tensor:
    """Return the indices of `width` channels in order: those heard, and silent ones if fewer."""
    silent = torch.ones(channels, dtype=torch.bool)
    silent[heard] = False
    others = silent.nonzero()[:, 0][: width - len(heard)]
    return torch.cat([heard, others]).sort().values
