# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a camera's frames took, over the last few seconds: rates, times and their percentiles."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
import threading
from typing import NamedTuple

import numpy as np

WINDOW = 10.0
"""Seconds that a summary looks back."""

_MOST = 16_384

Percentiles = tuple[float, float]
"""The median and the 99th percentile, in seconds."""


class Summary(NamedTuple):
    """
    Say how a camera fares.

    Over the last `WINDOW` seconds: `rate_in` and `rate` are frames that came and that were
    published per second, `stages` are the times of each stage of the work, `latency` is the time
    from the stamp to the publication (None where nothing was measured), and `lately_dropped` and
    `lately_bad` are the parts, 0 to 1, of the frames that were overtaken and that could not be
    read. Since the start: `received`, `published`, `dropped` and, by reason, `bad_frames`.
    `keypoints` is the last frame's number.
    """

    rate_in: float
    rate: float
    stages: dict[str, Percentiles]
    latency: Percentiles | None
    lately_dropped: float
    lately_bad: float
    received: int
    published: int
    dropped: int
    keypoints: int
    bad_frames: dict[str, int]

    def __str__(self) -> str:
        """Return the summary in a line."""
        parts = [f'{self.published} frames published, lately {self.rate:.1f} a second']
        times = dict(self.stages)
        if self.latency:
            times['latency'] = self.latency
        for name, (p50, p99) in times.items():
            parts.append(f'{name} {p50 * 1e3:.1f} ms (p50), {p99 * 1e3:.1f} ms (p99)')
        if self.bad_frames:
            counts = (f'{name} {count}' for name, count in sorted(self.bad_frames.items()))
            parts.append(f'bad frames: {", ".join(counts)}')
        parts.append(f'overtaken while they waited: {self.dropped} of {self.received} that came')
        return '; '.join(parts)


class FrameStatistics:
    """
    Gather times of one camera's frames; all methods may be called from any thread.

    `now` is in seconds of any clock that never goes back, the same one throughout.
    """

    def __init__(self, now: float):
        self._lock = threading.Lock()
        self._start = now
        self._arrivals: deque[tuple[float, bool]] = deque(maxlen=_MOST)
        self._frames: deque[tuple[float, dict[str, float], float | None]] = deque(maxlen=_MOST)
        self._recent_bad: deque[float] = deque(maxlen=_MOST)
        self._bad: Counter[str] = Counter()
        self._received = self._dropped = self._published = self._keypoints = 0

    def add_arrival(self, now: float, overtakes: bool) -> None:
        """Count a frame that came; `overtakes` tells that it took the place of one that waited."""
        with self._lock:
            self._arrivals.append((now, overtakes))
            self._received += 1
            self._dropped += overtakes

    def add_frame(
        self, now: float, stages: Mapping[str, float], latency: float | None, keypoints: int
    ) -> None:
        """
        Count a published frame.

        `stages` are the seconds that each stage of the work took, `latency` those since the
        image's stamp, None if unknown.
        """
        with self._lock:
            self._frames.append((now, dict(stages), latency))
            self._published += 1
            self._keypoints = keypoints

    def add_bad_frame(self, now: float, reason: str) -> int:
        """Count a frame that could not be read; return how many there were of the reason."""
        with self._lock:
            self._recent_bad.append(now)
            self._bad[reason] += 1
            return self._bad[reason]

    def summary(self, now: float) -> Summary:
        """Return what was gathered, rates and times over the last `WINDOW` seconds."""
        begin = now - WINDOW
        with self._lock:
            frames = [frame for frame in self._frames if frame[0] > begin]
            arrivals = [overtakes for time, overtakes in self._arrivals if time > begin]
            bad = sum(time > begin for time in self._recent_bad)
            counts = (self._received, self._published, self._dropped, self._keypoints)
            by_reason = dict(self._bad)
        span = min(max(now - self._start, 1e-3), WINDOW)
        names = dict.fromkeys(name for _, stages, _ in frames for name in stages)
        return Summary(
            len(arrivals) / span,
            len(frames) / span,
            {name: _percentiles([s[name] for _, s, _ in frames if name in s]) for name in names},
            _percentiles([latency for _, _, latency in frames if latency is not None]),
            sum(arrivals) / max(len(arrivals), 1),
            min(bad / max(len(arrivals), 1), 1.0),
            *counts,
            by_reason,
        )


def _percentiles(values: list[float]) -> Percentiles | None:
    """Return the median and the 99th percentile, None of no values."""
    if not values:
        return None
    p50, p99 = np.percentile(values, [50, 99])
    return float(p50), float(p99)
