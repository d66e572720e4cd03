# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Shares of a function's time that the functions which it calls take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import inspect

from pyinstrument import Profiler
from pyinstrument.frame import Frame as ProfiledFrame

REST = 'rest'
"""Name of the own time of a function together with its small parts."""

SMALL = 0.01
"""Share of time below which a part is counted as rest."""

LARGE = 0.5
"""Share of time above which a part of the same file is split into its own parts."""

_SAMPLING_INTERVAL = 0.001  # seconds between two samples of the profiler

_BUILT_IN = '<built-in>'  # file of C functions in the profile

_WRAPPERS = frozenset({'decorate_context', 'inner'})  # of decorators in PyTorch and contextlib


def shares_of(work: Callable[[], object], function: Callable) -> dict[str, float]:
    """
    Return the share of a function's time that each function takes that it calls, largest first.

    `work` runs under a sampling profiler (cProfile loses outer frames on Python 3.12). A part of
    the same file that takes most of the time is replaced by the functions that it calls. The own
    time of the function and small parts are the rest. Raises ValueError if the function was not
    called.
    """
    code = inspect.unwrap(function).__code__
    with Profiler(interval=_SAMPLING_INTERVAL) as profiler:
        work()
    root = profiler.last_session.root_frame()
    calls = [
        frame
        for frame in _frames_below([root] if root else [])
        if frame.function == code.co_name and frame.file_path == code.co_filename
    ]
    if not calls:
        raise ValueError(f'{function.__qualname__} was not called')
    total = _seconds(calls)
    shares: dict[str, float] = {}
    for key, part in _parts(calls).items():
        is_split = key[0] == code.co_filename and _seconds(part) > LARGE * total
        inner = _parts(part) if is_split else {}
        if all(file == _BUILT_IN for file, _ in inner):
            inner = {key: part}
        for (_, name), frames in inner.items():
            label = name.strip('_')
            shares[label] = shares.get(label, 0.0) + _seconds(frames) / total
    large = {name: share for name, share in shares.items() if share >= SMALL}
    large = dict(sorted(large.items(), key=lambda item: -item[1]))
    return {**large, REST: max(1 - sum(large.values()), 0.0)}


def _frames_below(frames: Iterable[ProfiledFrame]) -> Iterator[ProfiledFrame]:
    for frame in frames:
        yield frame
        yield from _frames_below(frame.children)


def _parts(frames: Iterable[ProfiledFrame]) -> dict[tuple[str, str], list[ProfiledFrame]]:
    """Return the called functions by file and name; generators and decorators are skipped."""
    parts: dict[tuple[str, str], list[ProfiledFrame]] = {}
    for frame in frames:
        for child in frame.children:
            if child.is_synthetic:  # own time
                continue
            name = child.function
            if name.startswith('<') or name in _WRAPPERS:
                for key, inner in _parts([child]).items():
                    parts.setdefault(key, []).extend(inner)
            else:
                parts.setdefault((child.file_path, name), []).append(child)
    return parts


def _seconds(frames: Iterable[ProfiledFrame]) -> float:
    return sum(frame.time for frame in frames)
