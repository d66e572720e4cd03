# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A narrower network from a wider one: which channels it can do without.

What a channel is worth is what the network says differently without it, measured, not guessed from
its weights. Layer by layer, from the image on, those that are worth least are silenced, a quarter
of them at a time, since what one is worth depends on which others are left.
"""

from __future__ import annotations

from collections.abc import Sequence
import copy
import logging

import torch
import torch.nn.functional as F

from superpoint_ros.model.pruning import HIDDEN, remove_dead_channels
from superpoint_ros.model.superpoint import ENCODER, SuperPoint, SuperPointConfig, SuperPointOutput

ROUNDS = 4
"""Rounds in which a layer's channels are silenced, in equal parts."""

_log = logging.getLogger(__name__)


def narrow(source: SuperPoint, config: SuperPointConfig, images: torch.Tensor) -> SuperPoint:
    """
    Return a network with those channels of `source` that are worth most in each layer.

    Its stages and heads are not wider than `config` says. `source` has plain convolutions, and is
    left as it is; layers that have no more channels keep them all. `images` are (B, 1, H, W) in
    [0, 1]: what channels are worth is measured on them. The result says nearly the same only after
    some training.
    """
    result = copy.deepcopy(source)
    widths = [width for width in config.stage_channels for _ in range(2)]
    widths += [config.head_channels] * 2
    with torch.inference_mode():
        said = [source(image[None]) for image in images]
        for name, width in zip(HIDDEN, widths, strict=True):
            if getattr(result, name).out_channels > width:
                _silence(result, name, width, images, said)
    return remove_dead_channels(result)


def _silence(
    model: SuperPoint,
    name: str,
    width: int,
    images: torch.Tensor,
    said: Sequence[SuperPointOutput],
) -> None:
    """Silence all channels of a layer but the `width` that are worth most."""
    layer = getattr(model, name)
    place = HIDDEN.index(name)
    inputs = [_features(model, ENCODER[:place], image[None]) for image in images]
    heard = list(range(layer.out_channels))
    surplus = len(heard) - width
    for number in range(ROUNDS):
        worths = []
        for channel in heard:
            weight, bias = layer.weight[channel].clone(), layer.bias[channel].clone()
            _mute(layer, [channel])
            worths.append(_difference(model, place, inputs, said))
            layer.weight[channel], layer.bias[channel] = weight, bias
        order = torch.tensor(worths).argsort(stable=True).tolist()
        until = surplus * (number + 1) // ROUNDS
        least = {heard[index] for index in order[: until - (layer.out_channels - len(heard))]}
        _mute(layer, sorted(least))
        heard = [channel for channel in heard if channel not in least]
    _log.info('%s keeps %d of its %d channels', name, width, layer.out_channels)


def _mute(layer: torch.nn.Conv2d, channels: list[int]) -> None:
    layer.weight[channels] = 0
    layer.bias[channels] = 0


def _features(model: SuperPoint, layers: Sequence[str], x: torch.Tensor) -> torch.Tensor:
    """Return what some of the encoder's layers, one after the other, make of their input."""
    for name in layers:
        x = model.encode_layer(name, x)
    return x


def _difference(
    model: SuperPoint, first: int, inputs: Sequence[torch.Tensor], said: Sequence[SuperPointOutput]
) -> float:
    """
    Return how far what the network says now is from what it said.

    `inputs` are what layer number `first` of the encoder gets, or the heads, which come after it.
    It is the mean over cells of the divergence (Kullback, Leibler) of the detector's
    probabilities, plus one less the cosine of the descriptors.
    """
    total = 0.0
    for x, before in zip(inputs, said, strict=True):
        features = _features(model, ENCODER[first:], x)
        old, new = (
            logits.log_softmax(dim=1) for logits in (before.logits, model.detect(features))
        )
        total += (old.exp() * (old - new)).sum(dim=1).mean().item()
        cosine = F.cosine_similarity(before.descriptors, model.describe(features), dim=1)
        total += 1 - cosine.mean().item()
    return total
