# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a network has to compute, and how fast this machine can compute at all."""

from __future__ import annotations

from collections.abc import Sequence
import time

import torch

from superpoint_ros.model.superpoint import CELL, SuperPointConfig

PEAK_SIDES = (256, 512, 1024, 2048)
"""Sides of the square matrices whose products are tried for the machine's peak."""

_LONG = 0.5  # seconds of a product after which larger ones are not tried

_KERNEL = 9  # places of a 3x3 convolution


def multiply_adds(config: SuperPointConfig, size: tuple[int, int]) -> int:
    """Return the network's multiply-adds for one image of (width, height), padded to cells."""
    width, height = (-(-side // CELL) * CELL for side in size)
    total, incoming = 0, 1
    for stage, channels in enumerate(config.stage_channels):
        pixels = (width >> stage) * (height >> stage)
        total += pixels * _KERNEL * channels * (incoming + channels)
        incoming = channels
    cells = width // CELL * (height // CELL)
    heads = 2 * _KERNEL * incoming * config.head_channels
    heads += config.head_channels * (CELL * CELL + 1 + config.descriptor_size)
    return total + cells * heads


def peak_rate(
    precision: str, device: torch.device, sides: Sequence[int] = PEAK_SIDES
) -> float | None:
    """
    Return the multiply-adds per second of a large matrix product, the best of a few.

    The precision is 'float32', 'bfloat16', 'float16' or 'int8'. None is returned for one that
    PyTorch does not multiply on this device.
    """
    best = 0.0
    try:
        for side in sides:
            multiply = _product(precision, device, side)
            seconds = min(_seconds(multiply, device) for _ in range(3))
            best = max(best, side**3 / seconds)
            if seconds > _LONG:
                break
    except (AttributeError, RuntimeError):
        return None
    return best


def _product(precision: str, device: torch.device, side: int):
    """Return a function that multiplies two matrices; raises where there is none."""
    generator = torch.Generator().manual_seed(0)
    if precision == 'int8':
        numbers = torch.randint(-127, 128, (2, side, side), dtype=torch.int8, generator=generator)
        a, b = numbers.to(device)
        return lambda: torch._int_mm(a, b)
    numbers = torch.randn((2, side, side), generator=generator)
    a, b = numbers.to(device, getattr(torch, precision))
    return lambda: a @ b


def _seconds(multiply, device: torch.device) -> float:
    """Return the time of a product."""
    synchronise = torch.cuda.synchronize if device.type == 'cuda' else _nothing
    synchronise()
    start = time.perf_counter()
    multiply()
    synchronise()
    return time.perf_counter() - start


def _nothing() -> None:
    """Wait for nothing: on the CPU a product is there when it returns."""
