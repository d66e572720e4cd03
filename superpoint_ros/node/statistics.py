"""What a camera's frames took, over the last few seconds: rates, times and their percentiles."""

from __future__ import annotations

from collections import Counter, deque
import threading
from typing import NamedTuple

import numpy as np

WINDOW = 10.0
"""Seconds that a summary looks back."""

_MOST = 4096


class Summary(NamedTuple):
    """
    Say how a camera fares.

    `rate` is in frames published per second, `inference` and `latency` are (p50, p99) in seconds
    and None where nothing was measured, `bad_frames` counts unreadable frames by reason since the
    start, `published` all frames since then, and `keypoints` is the last frame's number.
    """

    rate: float
    inference: tuple[float, float] | None
    latency: tuple[float, float] | None
    published: int
    keypoints: int
    bad_frames: dict[str, int]

    def __str__(self) -> str:
        """Return the summary in a line."""
        parts = [f'{self.published} frames published, lately {self.rate:.1f} a second']
        for name, times in (('inference', self.inference), ('latency', self.latency)):
            if times:
                parts.append(
                    f'{name} {times[0] * 1e3:.1f} ms (p50), {times[1] * 1e3:.1f} ms (p99)'
                )
        if self.bad_frames:
            counts = ', '.join(
                f'{name} {count}' for name, count in sorted(self.bad_frames.items())
            )
            parts.append(f'bad frames: {counts}')
        return '; '.join(parts)


class FrameStatistics:
    """
    Gather times of one camera's frames; all methods may be called from any thread.

    `now` is in seconds of any clock that never goes back, the same one throughout.
    """

    def __init__(self, now: float):
        self._lock = threading.Lock()
        self._start = now
        self._frames: deque[tuple[float, float, float | None]] = deque(maxlen=_MOST)
        self._bad: Counter[str] = Counter()
        self._published = 0
        self._keypoints = 0

    def add_frame(
        self, now: float, inference: float, latency: float | None, keypoints: int
    ) -> None:
        """Count a published frame; `latency` is the time since its stamp, None if unknown."""
        with self._lock:
            self._frames.append((now, inference, latency))
            self._published += 1
            self._keypoints = keypoints

    def add_bad_frame(self, reason: str) -> int:
        """Count a frame that could not be read; return how many there were of the reason."""
        with self._lock:
            self._bad[reason] += 1
            return self._bad[reason]

    def summary(self, now: float) -> Summary:
        """Return what was gathered, rates and times over the last `WINDOW` seconds."""
        with self._lock:
            recent = [frame for frame in self._frames if frame[0] > now - WINDOW]
            latencies = [frame[2] for frame in recent if frame[2] is not None]
            span = min(max(now - self._start, 1e-3), WINDOW)
            return Summary(
                len(recent) / span,
                _percentiles([frame[1] for frame in recent]),
                _percentiles(latencies),
                self._published,
                self._keypoints,
                dict(self._bad),
            )


def _percentiles(values: list[float]) -> tuple[float, float] | None:
    """Return the median and the 99th percentile, None of no values."""
    if not values:
        return None
    p50, p99 = np.percentile(values, [50, 99])
    return float(p50), float(p99)
