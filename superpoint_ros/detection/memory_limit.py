# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Limit of the memory that a large image may take.

Linux grants more memory than there is, and ends a process without a message when it is used up. A
frame of the compact network takes 100 (int8) to 190 (float32) bytes per pixel, 2.7 GB for an image
of 24 megapixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
import resource
import threading

LARGE = 16_000_000
"""Pixels from which the memory is limited. Fewer take at most a few GB, and the limit costs time:
0.2 ms for each image."""

_MEMORY = Path('/proc/meminfo')
_GROUP = Path('/sys/fs/cgroup')

_alone = threading.Lock()


@contextmanager
def limit_memory(pixels: int) -> Iterator[None]:
    """
    Make allocations fail inside this context that exceed the available memory of the machine.

    PyTorch, OpenVINO, ONNX Runtime and NumPy then raise errors, and can go on with a smaller
    image. Nothing is limited for fewer than `LARGE` pixels, nor where the available memory is
    unknown. The limit is that of the process; threads enter one after the other.
    """
    available = _available_memory() if pixels >= LARGE else None
    if available is None:
        yield
        return
    with _alone:
        before, most = resource.getrlimit(resource.RLIMIT_DATA)
        limits = [limit for limit in (before, most) if limit != resource.RLIM_INFINITY]
        limit = min([_used_memory() + available, *limits])
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def _used_memory() -> int:
    """Return the number of bytes that count towards the limit: private writable pages."""
    return int(Path('/proc/self/statm').read_text().split()[5]) * resource.getpagesize()


def _available_memory() -> int | None:
    """Return the number of bytes that can still be used, None where Linux does not say it."""
    try:
        machine = _numbers(_MEMORY)
        available = (machine['MemAvailable:'] + machine['SwapFree:']) * 1024
    except (OSError, LookupError):
        return None
    with suppress(OSError, ValueError, LookupError):  # a container without a limit: 'max'
        most = int((_GROUP / 'memory.max').read_text())
        used = int((_GROUP / 'memory.current').read_text())
        cached = _numbers(_GROUP / 'memory.stat')['file']
        available = min(available, most - used + cached)
    return max(available, 0)


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in each line, by name."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows}
