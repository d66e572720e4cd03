# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The time from starting a program to its first features."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from unittest.mock import patch

import psutil

from superpoint_ros.benchmark.candidates import frames_of, read_photographs
from superpoint_ros.benchmark.frame_times import Progress
from superpoint_ros.common.wording import counted
from superpoint_ros.visualization import write_picture

SIZE = (160, 120)
"""Width and height of the image for `superpoint detect`: a start, not a detection, is measured."""

COMMAND, NODE, COLD_NODE = (
    'superpoint detect',
    'detector node',
    'detector node, nothing compiled yet',
)
_CACHE = 'NUMBA_CACHE_DIR'

Times = tuple[float, float]
"""Seconds that elapsed, and seconds of processor time."""


def measure_start_up(rounds: int, out: Path, progress: Progress) -> list[dict]:
    """
    Return seconds from the start of a program to its end, or to its first features.

    The programs run with the shipped weights and default settings on the CPU. 'elapsed' and
    'processor' are lists of seconds of as many runs; with nothing compiled there is only one run,
    which compiles for several seconds. Without ROS, the nodes are missing. Raises
    ChildProcessError if `superpoint detect` fails, and what
    `superpoint_ros.ros.testing.latency.Probe` raises.
    """
    out.mkdir(parents=True, exist_ok=True)
    results = []

    def measure(name: str, count: int, run: Callable[[], Times]) -> None:
        progress(f'start of {name}, {counted(count, "time")}')
        elapsed, processor = zip(*(run() for _ in range(count)), strict=True)
        results.append({'name': name, 'elapsed': list(elapsed), 'processor': list(processor)})

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, 'image.png')
        [frame, *_] = frames_of(read_photographs(), SIZE)
        write_picture(image, frame)
        _time_command(image)  # compiles, if need be
        measure(COMMAND, rounds, lambda: _time_command(image))
    if find_spec('rclpy'):
        measure(NODE, rounds, lambda: _time_node(out))
        # The node inherits the environment, and compiles into an empty cache.
        with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, {_CACHE: cache}):
            measure(COLD_NODE, 1, lambda: _time_node(out))
    return results


def _time_command(image: Path) -> Times:
    """Return the times of `superpoint detect` with one image."""
    command = [sys.executable, '-m', 'superpoint_ros.cli.main', 'detect', str(image)]
    command += ['--device', 'cpu', '--out', str(image.parent)]
    before = psutil.Process().cpu_times()
    start = time.perf_counter()
    # In the folder of the image: next to a clone of the repository, `python -m` takes that for the
    # package of its name.
    folder = image.parent
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if ended.returncode:
        last = (ended.stderr.strip() or 'without a message').splitlines()[-1]
        raise ChildProcessError(f'{COMMAND} has failed with status {ended.returncode}: {last}')
    after = psutil.Process().cpu_times()
    children = after.children_user + after.children_system
    return elapsed, children - before.children_user - before.children_system


def _time_node(out: Path) -> Times:
    """Return the times until the first features of a detector node arrive."""
    from superpoint_ros.ros.testing.latency import Probe

    with Probe({'device': 'cpu'}, out) as probe:
        return probe.start_seconds, probe.start_processor_seconds
