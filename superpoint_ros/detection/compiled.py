# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Loops over pixels and points that Numba compiles for the processor they run on.

A frame's pixels are read from memory and written to it once, and not once for each operation of
NumPy or OpenCV, which is what such operations cost most of their time for.

What is compiled is kept beside the module, or in the user's cache, and made anew when the module
or the processor is another. It takes a few seconds the first time, in a detector's first frame
(`Detector.warm_up`). What a function depends on besides its code, such as the scales of blobs, it
gets as an argument, and it calls compiled functions of its own module alone: what is kept would
not notice that another module has changed.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import njit

_SETTINGS = {
    'nogil': True,
    'error_model': 'numpy',
    # Sums may be added up in any order, several at a time, which is no less exact.
    'fastmath': {'contract', 'nsz', 'reassoc'},
}


def compiled(function: Callable) -> Callable:
    """Return the function as it is compiled, when it is called first."""
    try:
        return njit(cache=True, **_SETTINGS)(function)
    except RuntimeError:  # there is no folder that can be written to
        return njit(**_SETTINGS)(function)
