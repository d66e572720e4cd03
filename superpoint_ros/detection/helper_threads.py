# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Threads that compute a part of a frame while the calling thread computes another.

Linux may start a thread on the core of the thread that wakes it, even if other cores are idle: in
a virtual machine, it does not distinguish an idle core from one that the host has preempted. The
helper then waits for milliseconds, until its caller sleeps or the load is balanced. Therefore,
helpers may run on all cores except that of their caller.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import ctypes
from functools import cache
import os
import threading
from typing import TypeVar

HELPERS = 8
"""Largest number of helper threads of a process."""

_Result = TypeVar('_Result')


def start_in_helper(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """
    Start a function without arguments in a helper thread.

    Return a function that waits until it ends, and returns its result or raises its error. The
    started function must not wait for other helpers, because all of them may be busy.
    """
    return _helpers().start(function)


@cache
def _helpers() -> _Helpers:
    return _Helpers()


class _Helpers:
    """Pool of the helper threads of this process, and the cores on which they may run."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(HELPERS, 'superpoint', self._register)
        self._threads: list[int] = []
        self._cores: set[int] = set()  # empty: those that the threads inherited

    def start(self, function: Callable[[], _Result]) -> Callable[[], _Result]:
        """Start a function, see `start_in_helper`."""
        self._exclude_current_core()
        return self._pool.submit(function).result

    def _register(self) -> None:
        """Add the calling thread to the helpers."""
        thread = threading.get_native_id()
        self._threads.append(thread)
        _set_cores(thread, self._cores)

    def _exclude_current_core(self) -> None:
        """Allow the helpers the cores of the calling thread, except that on which it runs now."""
        current_core = _core_reader()
        if current_core is None:
            return
        cores = os.sched_getaffinity(0) - {current_core()}
        if cores and cores != self._cores:
            self._cores = cores
            for thread in self._threads.copy():
                _set_cores(thread, cores)


def _set_cores(thread: int, cores: set[int]) -> None:
    """Set the cores on which a thread, by its native number, may run; keep them if empty."""
    if cores:
        with suppress(OSError):  # another program has just changed the cores of the process
            os.sched_setaffinity(thread, cores)


@cache
def _core_reader() -> Callable[[], int] | None:
    """Return the function that returns the core of the calling thread, None if there is none."""
    if not hasattr(os, 'sched_setaffinity'):  # not Linux
        return None
    return getattr(ctypes.CDLL(None), 'sched_getcpu', None)
