# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Errors by which libraries report a lack of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OUT_OF_MEMORY = 'not enough memory'

_LACKS_MEMORY = (
    "can't allocate memory",  # torch on a CPU
    'cannot allocate memory',  # the system
    'out of memory',  # torch on CUDA
    'failed to allocate',  # OpenVINO and OpenCV
    'insufficient memory',  # OpenCV
    'bad_alloc',  # C++
)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of Python, NumPy, OpenCV, torch or OpenVINO means lack of memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _LACKS_MEMORY)


@contextmanager
def naming_lack_of_memory(path: str | Path) -> Iterator[None]:
    """Replace an error of lacking memory by a ValueError that names the image at this path."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = f'{path}: {OUT_OF_MEMORY}; --max-image-size reduces large images'
        raise ValueError(reason) from error
