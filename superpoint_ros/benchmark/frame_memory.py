# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Memory that a frame needs, measured in a new process."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
import re
from typing import NamedTuple

import numpy as np
import psutil
import torch

from superpoint_ros.benchmark.candidates import Execution, make_candidate, NetworkSource
from superpoint_ros.benchmark.machine import use_threads

_MEMORY_FRAMES = 3  # frames of a memory measurement: the first one fills caches
_SMALL_SIDE = 64  # pixels; a frame of this size loads all libraries before memory is measured
_STATUS = Path('/proc/self/status')
_RESET_PEAK = '5'  # Linux, Documentation/filesystems/proc.rst, clear_refs


class Memory(NamedTuple):
    """
    Memory in bytes, on CUDA that of the device.

    `process` is the peak of the whole process, with libraries and weights; `frame` is what a frame
    adds to the memory of the process after a very small frame.
    """

    process: int
    frame: int


def measure_memory(
    network: NetworkSource,
    execution: Execution,
    frame: np.ndarray,
    threshold: float,
    keypoints: int,
    threads: int,
) -> Memory | None:
    """
    Return the memory for a frame, measured in a new process; None on systems other than Linux.

    `threshold` is the one of this frame, see `TimedDetector.prepare`.
    """
    if not _STATUS.is_file():
        return None
    arguments = (network, execution, frame, threshold, keypoints, threads)
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        return pool.submit(_measure_memory, *arguments).result()


def _measure_memory(
    network: NetworkSource,
    execution: Execution,
    frame: np.ndarray,
    threshold: float,
    keypoints: int,
    threads: int,
) -> Memory:
    """Return the memory that this process needs for the frame."""
    use_threads(threads)
    candidate = make_candidate(execution, network.load(), keypoints, threads)
    candidate.thresholds = [threshold]
    candidate(0, np.ascontiguousarray(frame[:_SMALL_SIDE, :_SMALL_SIDE]))
    is_cuda = execution.device.startswith('cuda')
    loaded = torch.cuda.memory_allocated() if is_cuda else psutil.Process().memory_info().rss
    # The peak while loading does not count. psutil can neither read nor reset the peak on Linux.
    Path('/proc/self/clear_refs').write_text(_RESET_PEAK)
    for _ in range(_MEMORY_FRAMES):
        candidate(0, frame)
    if is_cuda:
        return Memory(torch.cuda.max_memory_reserved(), torch.cuda.max_memory_allocated() - loaded)
    peak = 1024 * int(re.search(r'VmHWM:\s+(\d+) kB', _STATUS.read_text())[1])
    return Memory(peak, peak - loaded)
