# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where something was measured."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
import platform
import re

import torch

_LIBRARIES = ('torch', 'openvino')
_INSTRUCTIONS = ('avx2', 'avx512f', 'avx512_bf16', 'avx512_vnni', 'amx_bf16', 'amx_int8')


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # no Linux
        return os.cpu_count() or 1


def describe_machine(threads: int) -> dict:
    """Return what times depend on: processor, cores, load, libraries."""
    cpuinfo = Path('/proc/cpuinfo')
    text = cpuinfo.read_text() if cpuinfo.is_file() else ''
    name = re.search(r'model name\s*: (.*)', text)
    flags = set((re.search(r'flags\s*: (.*)', text) or [' ', ''])[1].split())
    instructions = [each for each in _INSTRUCTIONS if each in flags]
    return {
        'processor': name[1] if name else platform.machine(),
        'instructions': ', '.join(instructions) or 'instructions unknown',
        'cores': usable_cores(),
        'threads': threads,
        'load': os.getloadavg()[0],
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'versions': {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
