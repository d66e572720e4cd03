# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The roofline of a network: the least time that arithmetic and memory allow.

Source: Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for
Multicore Architectures", CACM 2009.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from superpoint_ros.model.config import CELL, SuperPointConfig

COPIED = {'cpu': 1 << 26, 'cuda': 1 << 28}
"""Bytes of the tensor whose copying gives the bandwidth. With its copy it is larger than the
caches. A longer copy on a CPU would not end within the time slice of a busy machine."""

_BYTES = {'float32': 4, 'bfloat16': 2, 'float16': 2, 'int8': 1}
_COPIES = 20


def memory_bandwidth(device: str, size: int = 0) -> float:
    """
    Return the bytes per second, read and written, of the fastest of some copies of a tensor.

    The tensor has `size` bytes, by default those of `COPIED`.
    """
    from torch.utils.benchmark import Timer  # needs setuptools, which not every machine has

    size = size or COPIED[device.partition(':')[0]]
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    timer = Timer(
        'target.copy_(source)',
        globals={'source': source, 'target': target},
        num_threads=torch.get_num_threads(),
    )
    return 2 * size / min(timer.timeit(1).mean for _ in range(_COPIES))


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
