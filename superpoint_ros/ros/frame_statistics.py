# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rates, times and counts of the frames of one input, over the last seconds and in total."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
import threading
from typing import NamedTuple

import numpy as np

from superpoint_ros.common.wording import counted

WINDOW = 10.0
"""Seconds that a summary looks back."""

Percentiles = tuple[float, float]
"""The median and the 99th percentile, in seconds."""


class Summary(NamedTuple):
    """
    Performance of one input.

    Attributes:
        rate_in: frames received per second, over the last `WINDOW` seconds like all up to
            `lately_lost`.
        rate: frames published per second.
        stages: times of each stage of the processing.
        latency: time from stamp to publication, None if it was not measured.
        lately_dropped: fraction of the frames received that a newer one replaced.
        lately_bad: fraction of the frames received that could not be used.
        lately_lost: fraction of the frames sent that the middleware lost.
        received, published, dropped, lost: numbers of frames since the start.
        keypoints: number of keypoints of the last frame.
        bad_frames: number of unusable frames by reason.
        problem: why the newest unusable frame of the last `WINDOW` seconds was one; may be empty.

    """

    rate_in: float
    rate: float
    stages: dict[str, Percentiles]
    latency: Percentiles | None
    lately_dropped: float
    lately_bad: float
    lately_lost: float
    received: int
    published: int
    dropped: int
    lost: int
    keypoints: int
    bad_frames: dict[str, int]
    problem: str

    def __str__(self) -> str:
        """Return the summary in a line."""
        parts = [
            f'{counted(self.published, "frame")} published, {self.rate:.1f} per second lately'
        ]
        times = dict(self.stages)
        if self.latency:
            times['latency'] = self.latency
        for name, (p50, p99) in times.items():
            parts.append(f'{name} {p50 * 1e3:.1f} ms (p50), {p99 * 1e3:.1f} ms (p99)')
        if self.bad_frames:
            counts = (f'{name} {count}' for name, count in sorted(self.bad_frames.items()))
            parts.append(f'bad frames: {", ".join(counts)}')
        parts.append(f'dropped {self.dropped} of {self.received} received, lost {self.lost}')
        return '; '.join(parts)


class FrameStatistics:
    """
    Times and counts of one input's frames; all methods may be called from any thread.

    `now` is in seconds of any clock that never goes back, the same one throughout; `start` is the
    first one.
    """

    def __init__(self, now: float):
        self._lock = threading.Lock()
        self.start = now
        self._arrivals: deque[tuple[float, bool]] = deque()
        self._frames: deque[tuple[float, dict[str, float], float | None]] = deque()
        self._recent_bad: deque[tuple[float, str]] = deque()
        self._recent_lost: deque[tuple[float, int]] = deque()
        self._bad: Counter[str] = Counter()
        self._received = self._dropped = self._lost = self._published = self._keypoints = 0

    def add_arrival(self, now: float, replaces: bool) -> None:
        """Count a received frame; `replaces`: whether it replaced one that was waiting."""
        with self._lock:
            _append(self._arrivals, (now, replaces))
            self._received += 1
            self._dropped += replaces

    def add_lost(self, now: float, count: int) -> None:
        """Count frames that were sent, but lost by the middleware."""
        with self._lock:
            _append(self._recent_lost, (now, count))
            self._lost += count

    def add_frame(
        self, now: float, stages: Mapping[str, float], latency: float | None, keypoints: int
    ) -> None:
        """
        Count a published frame.

        `stages` are the seconds that each stage of the processing took, `latency` those since the
        image's stamp, None if unknown.
        """
        with self._lock:
            _append(self._frames, (now, dict(stages), latency))
            self._published += 1
            self._keypoints = keypoints

    def add_bad_frame(self, now: float, reason: str, problem: str = '') -> int:
        """
        Count a frame that could not be used; return how many had this reason so far.

        `reason` is a word for the counter, `problem` the text of the error.
        """
        with self._lock:
            _append(self._recent_bad, (now, problem))
            self._bad[reason] += 1
            return self._bad[reason]

    def summary(self, now: float) -> Summary:
        """Return the summary, with rates and times over the last `WINDOW` seconds."""
        begin = now - WINDOW
        with self._lock:
            frames = [frame for frame in self._frames if frame[0] > begin]
            arrivals = [replaces for time, replaces in self._arrivals if time > begin]
            problems = [problem for time, problem in self._recent_bad if time > begin]
            lost = sum(count for time, count in self._recent_lost if time > begin)
            totals = {
                'received': self._received,
                'published': self._published,
                'dropped': self._dropped,
                'lost': self._lost,
                'keypoints': self._keypoints,
                'bad_frames': dict(self._bad),
            }
        span = min(max(now - self.start, 1e-3), WINDOW)
        names = dict.fromkeys(name for _, stages, _ in frames for name in stages)
        stages = {n: _percentiles([s[n] for _, s, _ in frames if n in s]) for n in names}
        return Summary(
            rate_in=len(arrivals) / span,
            rate=len(frames) / span,
            stages=stages,
            latency=_percentiles([latency for _, _, latency in frames if latency is not None]),
            lately_dropped=sum(arrivals) / max(len(arrivals), 1),
            lately_bad=min(len(problems) / max(len(arrivals), 1), 1.0),
            lately_lost=lost / max(lost + len(arrivals), 1),
            problem=problems[-1] if problems else '',
            **totals,
        )


def _append(entries: deque, entry: tuple) -> None:
    """Append an entry, which begins with its time, and remove those before the window."""
    entries.append(entry)
    while entries[0][0] <= entry[0] - WINDOW:
        entries.popleft()


def _percentiles(values: list[float]) -> Percentiles | None:
    """Return the median and the 99th percentile, None of no values."""
    if not values:
        return None
    p50, p99 = np.percentile(values, [50, 99])
    return float(p50), float(p99)
