# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The machine that a measurement runs on, and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
import platform

import cv2
import psutil
import torch
from torch.utils.benchmark import Timer

from superpoint_ros.detection.threads import core_count, set_thread_count

PEAK_SIDES = (256, 512, 1024, 2048)
"""Sides of the square matrices whose products give the peak rate of the machine."""

COPIED = {'cpu': 1 << 26, 'cuda': 1 << 28}
"""Bytes of the tensor whose copying gives the bandwidth. With its copy it is larger than the
caches. A longer copy on a CPU would not end within the time slice of a busy machine."""

_LIBRARIES = ('torch', 'openvino')
_INSTRUCTIONS = ('avx2', 'avx512_f', 'avx512_bf16', 'avx512_vnni', 'amx_bf16', 'amx_int8')
_COPIES = 20
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


def memory_bandwidth(device: str, size: int = 0) -> float:
    """
    Return the bytes per second, read and written, of the fastest of some copies of a tensor.

    The tensor has `size` bytes, by default those of `COPIED`.
    """
    size = size or COPIED[device.partition(':')[0]]
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    timer = Timer(
        'target.copy_(source)',
        globals={'source': source, 'target': target},
        num_threads=torch.get_num_threads(),
    )
    return 2 * size / min(timer.timeit(1).mean for _ in range(_COPIES))
