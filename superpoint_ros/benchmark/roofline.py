# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The work of a network, and its roofline: the least time that arithmetic and memory allow.

Source: Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for
Multicore Architectures", CACM 2009.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from superpoint_ros.model.config import CELL, SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint

_BYTES = {'float32': 4, 'bfloat16': 2, 'float16': 2, 'int8': 1}


def multiply_adds(config: SuperPointConfig, size: tuple[int, int]) -> int:
    """Return the multiply-adds of the network for one image (width, height), padded to cells."""
    width, height = (-(-side // CELL) * CELL for side in size)
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        SuperPoint(config)(torch.zeros(1, 1, height, width))
    return counter.get_total_flops() // 2


def network_traffic(config: SuperPointConfig, size: tuple[int, int], precision: str) -> int:
    """
    Return the bytes that the network moves for one image (width, height), padded to cells.

    Each convolution and each pooling reads its input and its weights once and writes its output
    once; the image has one byte per pixel, the two outputs have four per number. Operations that
    are fused, or whose data stay in a cache, move less.
    """
    width, height = (-(-side // CELL) * CELL for side in size)
    unit = _BYTES[precision]
    layers = config.layers
    channels, pixels = {'image': 1}, {'image': width * height}
    total = width * height
    for name, layer in layers.items():
        incoming, before = channels[layer.source], pixels[layer.source]
        if layer.pooled:
            total += incoming * before * unit * 5 // 4
            before //= 4
        after = before // layer.stride**2
        read = 0 if layer.source == 'image' else incoming * before * unit
        weights = layer.channels * incoming * layer.kernel_size**2 * unit
        written = layer.channels * after * (unit if layer.relu else 4)
        total += read + weights + written
        channels[name] = layer.channels
        pixels[name] = after
    return total


class Roofline(NamedTuple):
    """
    The time of a network relative to the machine's limits.

    Attributes:
        share_of_peak: rate of arithmetic relative to the machine's peak; None if it is unknown.
        share_of_bandwidth: bytes per second relative to the machine's bandwidth.
        limit: least time in milliseconds that both allow.
        bound: 'arithmetic' or 'memory', whichever needs more time.

    """

    share_of_peak: float | None
    share_of_bandwidth: float
    limit: float
    bound: str


def roofline(
    multiply_adds: float, traffic: int, milliseconds: float, peak: float | None, bandwidth: float
) -> Roofline:
    """Return the roofline of a network that takes a time on a machine of a peak and bandwidth."""
    arithmetic = 1e3 * multiply_adds / peak if peak else 0.0
    memory = 1e3 * traffic / bandwidth
    return Roofline(
        arithmetic / milliseconds if peak else None,
        memory / milliseconds,
        max(arithmetic, memory),
        'arithmetic' if arithmetic > memory else 'memory',
    )
