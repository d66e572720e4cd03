# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Standard streams whose loss does not end the work of a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import sys
from typing import Any, TextIO


def open_closed_streams() -> None:
    """
    Open /dev/null in place of each standard stream that is closed.

    Otherwise the next files or pipes would get its number, and libraries would write messages for
    standard error into them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number


class LastingStream:
    """
    A text stream that discards all text after one of the `lost` errors of writing.

    Characters that its encoding lacks, as in names of files, are escaped. Everything else is that
    of the stream.
    """

    def __init__(self, stream: TextIO, lost: type[OSError]):
        self._stream, self._lost = stream, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text."""
        try:
            return self._keep(self._stream.write, text)
        except UnicodeEncodeError as error:
            shown = text.encode(error.encoding, 'backslashreplace').decode(error.encoding)
            return self._keep(self._stream.write, shown)

    def flush(self) -> None:
        """Write what is buffered."""
        self._keep(self._stream.flush)

    def _keep(self, call: Callable, *args: str) -> Any:
        """Return the result of the call; after a lost error, that of another one to /dev/null."""
        try:
            return call(*args)
        except self._lost:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            return call(*args)
        except OSError as error:
            error.filename = 'standard output'
            raise


@contextmanager
def lasting_streams() -> Iterator[None]:
    """
    Let work inside this context continue if the reader of its output, such as `head`, ends.

    Text to streams that are closed (None) is discarded, and so is text to standard error that
    cannot be written, for instance to a full disk.
    """
    open_closed_streams()
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open('w') as nowhere:
        sys.stdout = LastingStream(sys.stdout or nowhere, BrokenPipeError)
        sys.stderr = LastingStream(sys.stderr or nowhere, OSError)
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.stdout, sys.stderr = before
