# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Work on an image that is shared among threads, each of which has some of its rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np

MOST = 8
"""Most stripes that an image is divided into."""

Result = TypeVar('Result')


def in_stripes(
    work: Callable[[int, int], Result], rows: int, least: int, threads: int
) -> list[Result]:
    """
    Return what `work` makes of the rows from its first to before its second argument, in order.

    There are as many stripes as `threads`, but none of fewer rows than `least`. The first one is
    worked on in this thread. Others run beside it where `work` leaves Python's lock alone.
    """
    count = max(min(threads, rows // least, MOST), 1)
    ends = np.linspace(0, rows, count + 1).astype(int).tolist()
    others = [_threads().submit(work, *ends[number : number + 2]) for number in range(1, count)]
    return [work(*ends[:2]), *(other.result() for other in others)]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST - 1, 'stripes')
