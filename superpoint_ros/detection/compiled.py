# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The decorator of loops that Numba compiles for the processor that they run on.

A sequence of NumPy or OpenCV operations reads and writes the whole image once per operation, which
takes most of their time; a compiled loop reads and writes it once.

Machine code is cached next to the module or in the user's cache. The first call compiles for some
seconds (`Detector.warm_up`). The cache is renewed when the module or the processor changes, but
not when another module does. So compiled functions call only those of their own module, and get
constants of other modules as arguments, except the size of a cell, which the network fixes.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import njit

_OPTIONS = {
    'nogil': True,
    'error_model': 'numpy',
    # Sums may be evaluated in any order, so that they can be vectorized.
    'fastmath': {'contract', 'nsz', 'reassoc'},
}


def compiled(function: Callable) -> Callable:
    """Return a function that is compiled at its first call."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder is writable
        return njit(**_OPTIONS)(function)
