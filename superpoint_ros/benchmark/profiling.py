# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What part of a function's time each of the functions takes that it calls."""

from __future__ import annotations

from collections.abc import Callable
import cProfile
from pathlib import Path
import pstats

SMALL = 0.01
"""Share of the time below which parts are put together."""

LARGE = 0.5
"""Share of the time from which on a part of the same file is shown by its own parts."""

REST = 'the rest'

_Key = tuple[str, int, str]

_WRAPPERS = frozenset({'decorate_context', 'inner'})  # of PyTorch's and contextlib's decorators


def shares_of(work: Callable[[], object], function: str, module: str) -> dict[str, float]:
    """
    Return the shares of a function's time that the functions take which it calls, largest first.

    `work` is run under the profiler; `function` is a name in the file `module`. Generators within
    the function count as itself. A part of the same file that takes most of the time is shown by
    its parts. Own time and small parts are the rest. Raises ValueError where the function was not
    called.
    """
    profiler = cProfile.Profile()
    profiler.runcall(work)
    stats = pstats.Stats(profiler)
    stats.calc_callees()
    # Of several functions of that name the one in which most of the time is spent.
    named = [key for key in stats.stats if key[2] == function and Path(key[0]).name == module]
    if not named:
        raise ValueError(f'{function} of {module} was not called')
    root = max(named, key=lambda key: stats.stats[key][3])
    total = stats.stats[root][3]
    shares: dict[str, float] = {}
    for part, seconds in _parts(stats, root).items():
        inner = _parts(stats, part) if part[0] == root[0] and seconds > LARGE * total else {}
        small = sum(value for value in inner.values() if value < SMALL * total)
        if len(inner) < 2 or small > LARGE * seconds:
            inner = {part: seconds}
        for key, value in inner.items():
            if value >= SMALL * total:
                shares[_label(key)] = shares.get(_label(key), 0.0) + value / total
    shares = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return {**shares, REST: max(1 - sum(shares.values()), 0.0)}


def _parts(stats: pstats.Stats, caller: _Key) -> dict[_Key, float]:
    """Return the seconds of each function that this one calls."""
    seconds: dict[_Key, float] = {}
    seen = {caller}
    waiting = [caller]
    while waiting:
        for callee, (_, _, own, cumulative) in stats.all_callees[waiting.pop()].items():
            if _is_passed_through(callee, own, cumulative):
                if callee not in seen:
                    seen.add(callee)
                    waiting.append(callee)
            else:
                seconds[callee] = seconds.get(callee, 0.0) + cumulative
    return seconds


def _is_passed_through(callee: _Key, own: float, cumulative: float) -> bool:
    """Return whether its calls are the caller's: a generator's, a decorator's, those of next()."""
    file, _, name = callee
    if file == '~':
        return name.startswith('<built-in') and cumulative > 1.5 * own
    return name.startswith('<') or name in _WRAPPERS


def _label(callee: _Key) -> str:
    """Return the function's name as a reader knows it."""
    file, _, name = callee
    if file == '~':
        return name.strip('<>').removeprefix('built-in method ').removeprefix('method ')
    return name.strip('_')
