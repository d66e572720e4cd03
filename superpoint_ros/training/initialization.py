# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Weights to start from: a run's checkpoint or a weight file, of this network or of another width.

A narrower network is widened so that the wider one computes almost the same from the first step
on, and has only the rest to learn. Source: Chen, Goodfellow, Shlens, "Net2Net: Accelerating
Learning via Knowledge Transfer", ICLR 2016, section 3 (Net2WiderNet). A wider one is narrowed to
the channels that matter most (`narrowing`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from superpoint_ros.model.pruning import remove_dead_channels
from superpoint_ros.model.superpoint import fold_batch_norm, INPUTS, SuperPoint, SuperPointConfig
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training.channel_selection import narrow
from superpoint_ros.training.checkpoints import read_checkpoint

LOGITS = 'convPb'
"""The layer whose outputs have a meaning each, and are never copied."""

COPIES_NOISE = 0.1
"""Standard deviation of what copied weights differ by, relative to the layer's weights."""

DESCRIPTOR_NOISE = 0.5
"""The same for the descriptors: without it half of their length would stay a copy of the rest."""


def start_from(
    network: SuperPoint, path: Path, images: torch.Tensor, narrowed: bool = False
) -> None:
    """
    Give `network`, which has batch norms to be trained, the weights of a file.

    The file is a checkpoint of a training run (`.ckpt`) or a weight file, of a network with as
    many or fewer channels that are not silent; where `narrowed`, its stages may have more. Batch
    norms of a checkpoint of the same network are taken as they are; otherwise they are made so
    that, on `images` (B, 1, H, W) in [0, 1], they change nothing.

    Raises FileNotFoundError or ValueError that says what the file is not.
    """
    if path.suffix == '.ckpt':
        source = _network_of_checkpoint(path)
        if source.config == network.config:
            network.load_state_dict(source.state_dict())
            return
        source = fold_batch_norm(source)
    else:
        source, _ = load_weights(path)
        if source.config.normalization != 'none':
            raise ValueError(
                f'{path} has batch norms that cannot be folded: no start for training'
            )
    source = remove_dead_channels(source)
    try:
        if narrowed:
            source = _narrow(source, network.config, images)
        widened = widen(source, network.config)
    except ValueError as error:
        raise ValueError(f'{path} is no start for this network: {error}') from error
    network.load_state_dict(widened.state_dict(), strict=False)
    calibrate_batch_norm(network, images)


def _network_of_checkpoint(path: Path) -> SuperPoint:
    """Return the network, with its batch norms, that a run's checkpoint holds."""
    state = read_checkpoint(path).get('state_dict')
    prefix = 'network.'
    if state is None or f'{prefix}conv1a.weight' not in state:
        raise ValueError(
            f'{path} is no checkpoint of a training run, such as its checkpoints/last.ckpt'
        )
    state = {name.removeprefix(prefix): value for name, value in state.items()}
    config = SuperPointConfig(
        stage_channels=tuple(state[f'conv{stage}a.weight'].shape[0] for stage in (1, 2, 3, 4)),
        head_channels=state['convPa.weight'].shape[0],
        descriptor_size=state['convDb.weight'].shape[0],
        normalization='before_relu',
    )
    network = SuperPoint(config)
    network.load_state_dict(state)
    return network


def _narrow(source: SuperPoint, config: SuperPointConfig, images: torch.Tensor) -> SuperPoint:
    """Return a network that is not wider than `config` says; its descriptors may not be longer."""
    # Told at once, and not after the minutes that narrowing takes.
    _origins('convDb', source.config.descriptor_size, config.descriptor_size)
    return narrow(source, config, images)


def widen(source: SuperPoint, config: SuperPointConfig, seed: int = 0) -> SuperPoint:
    """
    Return a network, as wide as `config` says, that computes what `source` does.

    It has plain convolutions, and differs by a little noise. Channels are copied, and what leaves
    the copies is split among them at random, which adds up to the same and keeps copies from
    learning the same. Raises ValueError where `config` has fewer channels anywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    result = SuperPoint(replace(config, normalization='none')).eval()
    origins = {'image': torch.zeros(1, dtype=torch.long)}
    with torch.no_grad():
        for name, before in INPUTS.items():
            old, new = getattr(source, name), getattr(result, name)
            origins[name] = _origins(name, old.out_channels, new.out_channels)
            incoming, outgoing = origins[before], origins[name]
            _widen_layer(old, new, incoming, outgoing, _noise_of(name), generator)
    return result


def _origins(name: str, old: int, new: int) -> torch.Tensor:
    """Return for each of `new` channels which of the `old` ones it is a copy of, those first."""
    if new < old:
        raise ValueError(f'{name} has {old} channels there, and only {new} here')
    return torch.arange(new) % old


def _noise_of(name: str) -> float:
    """Return how far a layer's copies differ."""
    return {'convDb': DESCRIPTOR_NOISE, LOGITS: 0.0}.get(name, COPIES_NOISE)


def _widen_layer(
    old: nn.Conv2d,
    new: nn.Conv2d,
    incoming: torch.Tensor,
    outgoing: torch.Tensor,
    noise: float,
    generator: torch.Generator,
) -> None:
    """Fill a convolution whose channels are copies of those of another."""
    shares = torch.rand((len(outgoing), len(incoming)), generator=generator) + 0.5
    totals = torch.zeros((len(outgoing), old.in_channels)).index_add_(1, incoming, shares)
    weight = old.weight[outgoing][:, incoming] * (shares / totals[:, incoming])[..., None, None]
    copies = torch.arange(len(outgoing)) >= old.out_channels
    random = torch.randn(weight.shape, generator=generator) * weight.std()
    new.weight.copy_(weight + noise * random * copies[:, None, None, None])
    new.bias.copy_(old.bias[outgoing])


def calibrate_batch_norm(network: SuperPoint, images: torch.Tensor) -> None:
    """
    Make batch norms change nothing: their shift and scale undo what they take from `images`.

    `images` is (B, 1, H, W) in [0, 1].
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(partial(_calibrate)) for norm in norms]
    training = network.training
    network.eval()
    with torch.no_grad():
        network(images)
    network.train(training)
    for hook in hooks:
        hook.remove()


def _calibrate(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
    """Take a batch norm's statistics from its input, and make it the identity."""
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean)
