# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The machine that a measurement runs on, its peak rate, and the work of a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
import platform

import cv2
import psutil
import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from superpoint_ros.detection.threads import core_count, set_thread_count
from superpoint_ros.model.config import CELL, SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint

PEAK_SIDES = (256, 512, 1024, 2048)
"""Sides of the square matrices whose products give the peak rate of the machine."""

_LIBRARIES = ('torch', 'openvino')
_INSTRUCTIONS = ('avx2', 'avx512_f', 'avx512_bf16', 'avx512_vnni', 'amx_bf16', 'amx_int8')
_LONG = 0.5  # seconds; larger matrices are not tried after a product that took longer


def use_threads(threads: int) -> None:
    """Limit detection, PyTorch and OpenCV to this number of threads in this process."""
    set_thread_count(threads)
    cv2.setNumThreads(threads)


def describe_machine(threads: int) -> dict:
    """Return what times depend on: processor, cores, load, libraries."""
    # Older versions of PyTorch have no such function.
    processor = getattr(torch.cpu, 'get_capabilities', dict)()
    instructions = [name for name in _INSTRUCTIONS if processor.get(name)]
    return {
        'processor': processor.get('cpu_name') or platform.processor() or platform.machine(),
        'instructions': ', '.join(instructions) or torch.backends.cpu.get_cpu_capability(),
        'cores': core_count(),
        'threads': threads,
        'load': psutil.getloadavg()[0],
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'versions': {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def multiply_adds(config: SuperPointConfig, size: tuple[int, int]) -> int:
    """Return the multiply-adds of the network for one image (width, height), padded to cells."""
    width, height = (-(-side // CELL) * CELL for side in size)
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        SuperPoint(config)(torch.zeros(1, 1, height, width))
    return counter.get_total_flops() // 2


def peak_rate(
    precision: str, device: torch.device, sides: Sequence[int] = PEAK_SIDES
) -> float | None:
    """
    Return the highest rate of large matrix products, in multiply-adds per second.

    `precision` is 'float32', 'bfloat16', 'float16' or 'int8'. The result is None if PyTorch cannot
    multiply matrices of this precision on the device.
    """
    best = 0.0
    try:
        for side in sides:
            timer = _product(precision, device, side)
            seconds = min(timer.timeit(1).mean for _ in range(3))
            best = max(best, side**3 / seconds)
            if seconds > _LONG:
                break
    except (AttributeError, RuntimeError):
        return None
    return best


def _product(precision: str, device: torch.device, side: int) -> Timer:
    """Return a timer of the product of two square matrices."""
    generator = torch.Generator().manual_seed(0)
    if precision == 'int8':
        values = torch.randint(-127, 128, (2, side, side), dtype=torch.int8, generator=generator)
    else:
        values = torch.randn((2, side, side), generator=generator)
    a, b = values.to(device, getattr(torch, precision))
    multiply = torch._int_mm if precision == 'int8' else torch.matmul
    return Timer(
        'multiply(a, b)',
        globals={'multiply': multiply, 'a': a, 'b': b},
        num_threads=torch.get_num_threads(),
    )
