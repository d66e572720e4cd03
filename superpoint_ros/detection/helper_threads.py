# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Threads that compute a part of a frame while the calling thread computes another.

Linux may wake a thread on the core of the thread that wakes it, even if others are idle: in a
virtual machine it takes an idle core for one that the host has taken away. The helper then waits
for milliseconds, until its caller sleeps or the load is balanced. So helpers may run on all cores
but that of their caller.
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

    Return the function that waits for it, and returns its result or raises its error. The started
    function must not wait for other helpers, which may all be busy.
    """
    return _helpers().start(function)


@cache
def _helpers() -> _Helpers:
    return _Helpers()


class _Helpers:
    """The helper threads of this process, and the cores that they may run on."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(HELPERS, 'superpoint', self._register)
        self._threads: list[int] = []
        self._cores: set[int] = set()  # empty: as the threads inherited them

    def start(self, function: Callable[[], _Result]) -> Callable[[], _Result]:
        """Start a function, see `start_in_helper`."""
        self._keep_off_this_core()
        return self._pool.submit(function).result

    def _register(self) -> None:
        thread = threading.get_native_id()
        self._threads.append(thread)
        _place(thread, self._cores)

    def _keep_off_this_core(self) -> None:
        """Let the helpers run on the cores of the calling thread, except the present one."""
        read = _core_reader()
        if read is None:
            return
        cores = os.sched_getaffinity(0) - {read()}
        if cores and cores != self._cores:
            self._cores = cores
            for thread in self._threads.copy():
                _place(thread, cores)


def _place(thread: int, cores: set[int]) -> None:
    if cores:
        with suppress(OSError):  # the cores of the process have just been changed
            os.sched_setaffinity(thread, cores)


@cache
def _core_reader() -> Callable[[], int] | None:
    """Return the function that returns the core of the calling thread, None if there is none."""
    if not hasattr(os, 'sched_setaffinity'):  # not Linux
        return None
    return getattr(ctypes.CDLL(None), 'sched_getcpu', None)
