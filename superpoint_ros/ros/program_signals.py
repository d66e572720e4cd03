# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The effect of SIGINT and SIGTERM on a node's program, from its first import to its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import ctypes
import os
import signal
import sys
import threading
from types import FrameType

_START_LIMIT = 1.5
"""Seconds that a start may take after a signal: nodes end within two."""

_RETRY = 0.02
"""Seconds after which a signal during an import is sent again."""


class Signals:
    """
    Handlers of SIGINT and SIGTERM, whose effect depends on the progress of the program.

    During imports nothing needs cleaning up, and an exception in the middle of an import would be
    printed: the process ends at once. While the node starts, KeyboardInterrupt ends the start,
    after an import that is in progress; if that takes longer than `_START_LIMIT`, or the exception
    is swallowed, as by a compiler, the process ends. Later they end the main thread's `wait`.

    `wait` reads a pipe to which Python's handler in C writes a byte for each signal. A queue or an
    event would not do: a signal just before the main thread blocks would be handled only after it
    has woken up, and a handler that interrupts another would wait for its lock forever.
    """

    def __init__(self):
        self.has_received = False
        """Whether there was a signal."""
        self._act: Callable[[], None] = exit_now
        self._limit = threading.Timer(_START_LIMIT, exit_now)
        self._limit.daemon = True
        self._wakeups, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._receive)

    def begin_start(self) -> None:
        """Let signals end the start by KeyboardInterrupt from now on, no longer the process."""
        self._act = self._interrupt

    def end_start(self) -> None:
        """Let signals end `wait` from now on."""
        self._limit.cancel()
        self._act = self.stop

    def stop(self) -> None:
        """End the present call of `wait`, or the next one."""
        with suppress(BlockingIOError):  # full: there is enough to end it
            os.write(self._wakeup, b'.')

    def wait(self) -> None:
        """Wait for a signal, or for `stop`."""
        os.read(self._wakeups, 1)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.has_received = True
        if self._act != self._interrupt:
            self._act()
            return
        if not self._limit.is_alive():
            self._limit.start()
        if _is_importing(frame):
            # C++ code of PyTorch imports modules, too, and ends the process if that raises.
            again = threading.Timer(_RETRY, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        self._act = self.stop  # a second signal must not interrupt the clean-up
        self.stop()  # if the exception is swallowed, as in a destructor, spinning ends at once
        sys.unraisablehook = lambda unraisable: None  # which would print it there
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a frame belongs to an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith('<frozen importlib'):
            return True
        frame = frame.f_back
    return False


def exit_now(status: int = 0) -> None:
    """End the process at once, without Python's teardown."""
    with suppress(RuntimeError):  # of a handler that has interrupted a write
        for stream in filter(None, (sys.stderr, sys.stdout)):  # None: closed at the start
            stream.flush()
    ctypes.CDLL(None).fflush(None)  # what ROS has logged
    os._exit(status)
