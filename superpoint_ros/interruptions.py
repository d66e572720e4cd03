# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Ctrl-C and SIGTERM that libraries turn into other errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
