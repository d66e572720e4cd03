# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Selection of the channels that matter most to the output of a network.

The importance of a channel is the measured change of the network's output without it. Layer by
layer, from the image on, the least important channels are removed, a quarter of the surplus at a
time, because the importance of a channel depends on which others are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import copy
from dataclasses import replace
import logging

import torch
from torch import nn
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import dense_descriptors
from superpoint_ros.model.config import SuperPointConfig, SuperPointOutput
from superpoint_ros.model.pruning import check_same_layers, remove_dead_channels
from superpoint_ros.model.superpoint import SuperPoint

ROUNDS = 4
"""Rounds in which the surplus channels of a layer are removed, in equal parts."""

logger = logging.getLogger(__name__)


def check_same_stages(source: SuperPointConfig, config: SuperPointConfig) -> None:
    """Raise ValueError if two networks differ in more than channels and fine descriptors."""
    check_same_layers(*(replace(each, fine_channels=0) for each in (source, config)))


def select_channels(
    source: SuperPoint, config: SuperPointConfig, images: torch.Tensor
) -> SuperPoint:
    """
    Return a network with the most important channels of each layer of `source`.

    Its stages and heads are not wider than those of `config`; narrower ones keep all channels.
    `source` has plain convolutions and is not modified. Importance is measured on `images`
    (B, 1, H, W) in [0, 1]. The result needs training to recover the output of `source`.
    """
    check_same_stages(source.config, config)
    result = copy.deepcopy(source)
    with torch.inference_mode():
        expected = [source(image[None]) for image in images]
        for name in [each for each in config.hidden if each in source.config.layers]:
            width = config.layers[name].channels
            if getattr(result, name).out_channels > width:
                _disable_channels(result, name, width, images, expected)
    return remove_dead_channels(result)


def _disable_channels(
    model: SuperPoint,
    name: str,
    width: int,
    images: torch.Tensor,
    expected: Sequence[SuperPointOutput],
) -> None:
    """Disable all channels of a layer except the `width` most important ones."""
    layer = getattr(model, name)
    names = list(model.config.layers)
    earlier = names[: names.index(name)]
    inputs = [_run_layers(model, earlier, {'image': image[None]}) for image in images]
    live = list(range(layer.out_channels))
    surplus = len(live) - width
    for number in range(ROUNDS):
        importance = []
        for channel in live:
            weight, bias = layer.weight[channel].clone(), layer.bias[channel].clone()
            _disable(layer, [channel])
            importance.append(_output_change(model, inputs, expected))
            layer.weight[channel], layer.bias[channel] = weight, bias
        order = torch.tensor(importance).argsort(stable=True).tolist()
        until = surplus * (number + 1) // ROUNDS
        least = {live[index] for index in order[: until - (layer.out_channels - len(live))]}
        _disable(layer, sorted(least))
        live = [channel for channel in live if channel not in least]
    logger.info('%s keeps %d of its %d channels', name, width, layer.out_channels)


def _disable(layer: nn.Conv2d, channels: list[int]) -> None:
    layer.weight[channels] = 0
    layer.bias[channels] = 0


def _run_layers(
    model: SuperPoint, layers: Iterable[str], known: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the known outputs and those of further layers."""
    outputs = dict(known)
    for name in layers:
        outputs[name] = model.run_layer(name, outputs)
    return outputs


def _output_change(
    model: SuperPoint,
    inputs: Sequence[Mapping[str, torch.Tensor]],
    expected: Sequence[SuperPointOutput],
) -> float:
    """
    Return how much the output of the network differs from the expected one.

    `inputs` are the outputs of the first layers for each image. The result is the mean over cells
    of the Kullback-Leibler divergence of the detector's probabilities, plus 1 - cosine of the
    descriptors.
    """
    total = 0.0
    for known, before in zip(inputs, expected, strict=True):
        later = [name for name in model.config.layers if name not in known]
        after = model.output(_run_layers(model, later, known))
        old, new = (logits.log_softmax(dim=1) for logits in (before.logits, after.logits))
        total += (old.exp() * (old - new)).sum(dim=1).mean().item()
        cosine = F.cosine_similarity(*map(dense_descriptors, (before, after)), dim=1)
        total += 1 - cosine.mean().item()
    return total
