# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The number of CPU threads of this process.

PyTorch has such a number, too, but is not imported for it: its import takes a second.
"""

from __future__ import annotations

import os
import sys

_chosen = 0  # 0: not chosen


def set_thread_count(count: int) -> None:
    """Choose the number of threads of the detection and, if it is imported, of PyTorch."""
    global _chosen
    _chosen = count
    if torch := sys.modules.get('torch'):
        torch.set_num_threads(count)


def thread_count() -> int:
    """Return the chosen number of threads, else PyTorch's if it is imported, else one per core."""
    if _chosen:
        return _chosen
    if torch := sys.modules.get('torch'):
        return torch.get_num_threads()
    return core_count()


def core_count() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
