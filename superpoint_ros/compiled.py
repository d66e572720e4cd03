# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
