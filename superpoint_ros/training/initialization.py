# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Initialization of a network from a checkpoint or a weight file, of the same or of another width.

A narrower network is widened: the wider one computes almost the same from the first step on.
Source: Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR
2016, section 3 (Net2WiderNet). A wider network is narrowed by channel selection
(`superpoint_ros.training.channel_selection`). Longer descriptors are projected onto their
principal components.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import dense_descriptors
from superpoint_ros.model.config import CONFIGURATIONS, SuperPointConfig
from superpoint_ros.model.network_arrays import widths_of
from superpoint_ros.model.pruning import remove_dead_channels
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import find_weights
from superpoint_ros.training.channel_selection import check_same_stages, select_channels
from superpoint_ros.training.checkpoints import read_checkpoint

COPY_NOISE = 0.03
"""
Standard deviation of the noise on copied weights, relative to the weights of the layer.

Measured on the compact weights, widened to the paper's network: a matching accuracy of .820
instead of .821; with noise of .1, and .5 for descriptors, .811.
"""

DESCRIPTOR_NOISE = 0.15
"""The same for descriptors: without it, half of the components would stay copies of the others."""

NEW_SHARE = 0.1
"""Factor on the random weights of the last layer of new fine descriptors."""


def initialize_from(
    network: SuperPoint, path: str | Path, images: torch.Tensor, narrow: bool = False
) -> None:
    """
    Give `network`, which has trainable batch norms or none, the weights of a file.

    The file is a checkpoint of a training run (`.ckpt`), a weight file or the name of a shipped
    one (see `find_weights`), of a network with as many or fewer live channels; with `narrow`, its
    stages and heads may have more. Its descriptors may be longer: their principal components on
    `images` are kept. They may lack a fine part.
    Batch norms of a checkpoint of the same network are kept; otherwise they become the identity
    on `images` (B, 1, H, W) in [0, 1].

    Raises FileNotFoundError, or ValueError that names the file and the reason.
    """
    path = find_weights(path)
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
                f'cannot initialize from {path}: it has batch norms that cannot be folded'
            )
    source = remove_dead_channels(source)
    try:
        if narrow:
            source = select_channels(source, network.config, images)
        if source.config.descriptor_size > network.config.descriptor_size:
            source = project_descriptors(source, network.config.descriptor_size, images)
        widened = widen(source, network.config)
    except ValueError as error:
        raise ValueError(f'cannot initialize this network from {path}: {error}') from error
    network.load_state_dict(widened.state_dict(), strict=False)
    calibrate_batch_norm(network, images)


def _network_of_checkpoint(path: Path) -> SuperPoint:
    """Return the network in the checkpoint of a run, with its batch norms if it has any."""
    checkpoint = read_checkpoint(path)
    state = checkpoint.get('state_dict')
    prefix = 'network.'
    if state is None or f'{prefix}conv1a.weight' not in state:
        raise ValueError(
            f'{path} is not a checkpoint of a training run, such as its checkpoints/last.ckpt'
        )
    state = {name.removeprefix(prefix): value for name, value in state.items()}
    config = replace(
        CONFIGURATIONS[checkpoint['recipe']['network']],
        **widths_of(state),
        normalization='before_relu' if 'bn1a.weight' in state else 'none',
    )
    network = SuperPoint(config)
    network.load_state_dict(state)
    return network


def widen(source: SuperPoint, config: SuperPointConfig) -> SuperPoint:
    """
    Return a network with the widths of `config` that computes almost the same as `source`.

    Both have the same layers, plain convolutions. Channels are copied with a little noise; the
    weights that read the copies are split at random into parts that add up to the original, so
    that copies learn different things. New fine descriptors begin with small random weights; those
    of `source` are left out if `config` has none. Raises ValueError if `config` has fewer channels
    anywhere, or other layers.
    """
    fine_channels = source.config.fine_channels
    check_same_stages(source.config, config)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        result = SuperPoint(replace(config, normalization='none')).eval()
    origins = {'image': torch.zeros(1, dtype=torch.long)}
    with torch.no_grad():
        if config.fine_channels and not fine_channels:
            result.convFb.weight.mul_(NEW_SHARE)
            result.convFb.bias.zero_()
        for name, layer in config.layers.items():
            if not hasattr(source, name):
                continue
            old, new = getattr(source, name), getattr(result, name)
            origins[name] = _origins(name, old.out_channels, new.out_channels)
            noise = DESCRIPTOR_NOISE if name in ('convDb', 'convFb') else COPY_NOISE
            _widen_layer(old, new, origins[layer.source], origins[name], noise, generator)
    return result


def _origins(name: str, old: int, new: int) -> torch.Tensor:
    """Return for each of `new` channels the one of the `old` channels that it copies."""
    if new < old:
        raise ValueError(f'{name} has {old} channels there, and only {new} here')
    return torch.arange(new) % old


def _widen_layer(
    old: nn.Conv2d,
    new: nn.Conv2d,
    incoming: torch.Tensor,
    outgoing: torch.Tensor,
    noise: float,
    generator: torch.Generator,
) -> None:
    """Fill a convolution with copies of the channels of another."""
    shares = torch.rand((len(outgoing), len(incoming)), generator=generator) + 0.5
    totals = torch.zeros((len(outgoing), old.in_channels)).index_add_(1, incoming, shares)
    weight = old.weight[outgoing][:, incoming] * (shares / totals[:, incoming])[..., None, None]
    copies = torch.arange(len(outgoing)) >= old.out_channels
    random = torch.randn(weight.shape, generator=generator) * weight.std()
    new.weight.copy_(weight + noise * random * copies[:, None, None, None])
    new.bias.copy_(old.bias[outgoing])


def calibrate_batch_norm(network: SuperPoint, images: torch.Tensor) -> None:
    """
    Make batch norms the identity: shift and scale undo their statistics on `images`.

    `images` is (B, 1, H, W) in [0, 1].
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_calibrate) for norm in norms]
    training = network.training
    network.eval()
    with torch.no_grad():
        network(images)
    network.train(training)
    for hook in hooks:
        hook.remove()


def _calibrate(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
    """Take the statistics of a batch norm from its input, and make it the identity."""
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean)


def project_descriptors(source: SuperPoint, size: int, images: torch.Tensor) -> SuperPoint:
    """
    Return the network with descriptors of `size` components that keep most of the similarities.

    They are the first principal components, without subtraction of a mean, of the unit descriptors
    of `source` on `images` (B, 1, H, W) in [0, 1].
    """
    with torch.no_grad():
        descriptors = F.normalize(dense_descriptors(source.eval()(images)), dim=1).transpose(0, 1)
        descriptors = descriptors.flatten(1).double()
        directions = torch.linalg.eigh(descriptors @ descriptors.T).eigenvectors
        projection = directions[:, -size:].flip(1).T.float()
        result = SuperPoint(replace(source.config, descriptor_size=size)).eval()
        state = source.state_dict()
        for name in {'convDb', 'convFb'} & source.config.layers.keys():
            weight = state[f'{name}.weight']
            state[f'{name}.weight'] = torch.einsum('ij,jkxy->ikxy', projection, weight)
            state[f'{name}.bias'] = projection @ state[f'{name}.bias']
        result.load_state_dict(state)
    return result
