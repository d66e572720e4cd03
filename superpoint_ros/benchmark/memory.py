# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The memory that a detector needs, measured in a process that does nothing else."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
import re
from typing import NamedTuple

import cv2
import numpy as np
import torch

from superpoint_ros.benchmark.candidates import Contender, Execution, make_contender, Network

FRAMES = 3
"""Frames that are looked at: the first one fills caches."""

WARM_UP = 64
"""Pixels along each side of the part of a frame that is looked at first, which loads libraries."""

_STATUS = Path('/proc/self/status')
_RESET_PEAK = '5'  # Linux, Documentation/filesystems/proc.rst, clear_refs


class Memory(NamedTuple):
    """
    Bytes of memory, on CUDA those of the device.

    `process` is the peak of the whole process, with libraries and weights; `frame` is what frames
    add to what the process held when the detector had looked at a very small one.
    """

    process: int
    frame: int


def measure_memory(
    network: Network,
    execution: Execution,
    frame: np.ndarray,
    threshold: float,
    keypoints: int,
    threads: int,
) -> Memory | None:
    """
    Return the memory that frames like this one need; None where the system does not tell.

    `threshold` is the frame's, see `OurContender.prepare`.
    """
    if not _STATUS.is_file():
        return None
    arguments = (network, execution, frame, threshold, keypoints, threads)
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        return pool.submit(_measure, *arguments).result()


def _measure(network, execution, frame, threshold, keypoints, threads) -> Memory:
    """Return the memory that this process comes to need."""
    use_threads(threads)
    contender = make_contender(execution, network.load(), keypoints, threads)
    contender.thresholds = [threshold]
    contender(0, np.ascontiguousarray(frame[:WARM_UP, :WARM_UP]))
    if execution.device.startswith('cuda'):
        loaded = torch.cuda.memory_allocated()
        _look_at(contender, frame)
        return Memory(torch.cuda.max_memory_reserved(), torch.cuda.max_memory_allocated() - loaded)
    loaded = _status('VmRSS')
    # What loading took at its peak does not count.
    Path('/proc/self/clear_refs').write_text(_RESET_PEAK)
    _look_at(contender, frame)
    peak = _status('VmHWM')
    return Memory(peak, peak - loaded)


def _look_at(contender: Contender, frame: np.ndarray) -> None:
    for _ in range(FRAMES):
        contender(0, frame)


def use_threads(threads: int) -> None:
    """Have PyTorch and OpenCV use so many threads in this process."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _status(name: str) -> int:
    """Return a number of bytes that the system tells of this process."""
    found = re.search(rf'{name}:\s+(\d+) kB', _STATUS.read_text())
    return 1024 * int(found[1]) if found else 0
