# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Instructions of the processor, as Linux reports them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_INT8 = ('avx512_vnni', 'avx_vnni')
"""x86 instructions that multiply and add int8 at several times the rate of float32. Processors
with the matrix units of AMX have them, too."""


@cache
def cpu_flags() -> frozenset[str]:
    """Return the flags of the first processor in /proc/cpuinfo; none on other systems."""
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, flags = line.partition(':')
        if name.strip() in ('flags', 'Features'):
            return frozenset(flags.split())
    return frozenset()


def has_fast_int8() -> bool:
    """Return whether int8 is faster than bfloat16 and float32 in OpenVINO; false if unknown."""
    return not cpu_flags().isdisjoint(_INT8)
