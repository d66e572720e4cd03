# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Ctrl-C and SIGTERM as exceptions, also where libraries turn them into other errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
import signal
import sys
import threading
from types import FrameType


@contextmanager
def raised_interruptions() -> Iterator[None]:
    """
    Raise the KeyboardInterrupt that caused an error inside this context instead of the error.

    A library in C++ that is interrupted while it is imported raises ImportError.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from None


class Terminated(KeyboardInterrupt):
    """The end of the work by SIGTERM, which removes unfinished files as Ctrl-C does."""


@contextmanager
def raising_signals() -> Iterator[list[KeyboardInterrupt]]:
    """
    Let SIGINT raise KeyboardInterrupt and SIGTERM `Terminated`, unless they have other handlers.

    Gives a list of the exceptions that were raised: C++ code may replace them by others. A signal
    whose exception the interpreter has to ignore, in a finalizer, is sent again after a moment.
    """
    raised: list[KeyboardInterrupt] = []
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if threading.current_thread() is not threading.main_thread():
        usual = {}
    usual = {number: each for number, each in usual.items() if signal.getsignal(number) == each}

    def end(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)  # timeout(1) sends it twice
        raised.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise raised[-1]

    def ignore(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_value not in raised:
            report(unraisable)
            return
        terminated = isinstance(unraisable.exc_value, Terminated)
        number = signal.SIGTERM if terminated else signal.SIGINT
        signal.signal(number, end)
        timers.append(threading.Timer(0.01, os.kill, (os.getpid(), number)))
        timers[-1].start()

    report, timers = sys.unraisablehook, list[threading.Timer]()
    for number in usual:
        signal.signal(number, end)
    sys.unraisablehook = ignore
    try:
        yield raised
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = report
        for number, handler in usual.items():
            signal.signal(number, handler)
