# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of messages of two topics that belong together by their stamps, without rclpy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import math
from typing import Any, NamedTuple

SILENCE = 1.0
"""Default seconds without a message of one topic after which those of the other do not wait."""

UNANSWERED = 3
"""Number of messages of the other topic that must have come meanwhile: cameras may be slow."""

TROUBLE = 2.0
"""Seconds without a pair after which the reason is reported."""

_COMPARED = 20  # stamps of each topic since the last pair that explain how they differ


class _Waiting(NamedTuple):
    """Message that waits, its stamp in nanoseconds and the time of its arrival in seconds."""

    item: Any
    stamp: int
    arrival: float


MessagePair = tuple[Any, Any]
"""The items of topics 0 and 1, one of them None if it has no partner."""


class Pairing:
    """
    Queue of two topics, 0 and 1, that pairs messages whose stamps differ little.

    `tolerance` is the largest difference of the stamps of a pair, `wait` the longest time that a
    message waits for its partner, both in seconds. Each message is returned exactly once: in a
    pair, or with None as its partner. Messages do not wait while the other topic has been silent
    for `silence` seconds.

    Messages with the stamp 0 have no partner: those of a driver that sets no stamps would be
    paired with any other, and after a lost one with the next one for good.
    """

    def __init__(self, tolerance: float, wait: float, silence: float = SILENCE):
        self._tolerance, self._wait, self._silence = round(tolerance * 1e9), wait, silence
        self._waiting: tuple[deque[_Waiting], ...] = (deque(), deque())
        self._stamps: tuple[deque[int], ...] = (deque(maxlen=_COMPARED), deque(maxlen=_COMPARED))
        self.clear()

    def clear(self) -> None:
        """Forget all messages."""
        for queue in (*self._waiting, *self._stamps):
            queue.clear()
        self._arrivals = [-math.inf] * 2
        self._unanswered = [0, 0]  # messages since the last one of the other topic
        self._last_pair, self._first_arrival = -math.inf, math.inf

    def add(self, side: int, item: Any, stamp: int, now: float) -> list[MessagePair]:
        """Add a message with a stamp in nanoseconds; return the pairs that are complete now."""
        self._arrivals[side] = now
        self._unanswered[side] += 1
        self._unanswered[1 - side] = 0
        self._first_arrival = min(self._first_arrival, now)
        self._stamps[side].append(stamp)
        others = self._waiting[1 - side]
        if not stamp:
            return [_alone(item, side), *self.expire(now)]
        near = [each for each in others if abs(each.stamp - stamp) <= self._tolerance]
        if not near:
            self._waiting[side].append(_Waiting(item, stamp, now))
            return self.expire(now)
        partner = min(near, key=lambda each: abs(each.stamp - stamp))
        others.remove(partner)
        self._last_pair = now
        for stamps in self._stamps:
            stamps.clear()
        pair = (item, partner.item) if side == 0 else (partner.item, item)
        # Older messages would be overtaken: they wait no longer.
        oldest = min(stamp, partner.stamp)
        overtaken = self._release(lambda each, _: each.stamp < oldest)
        return [*overtaken, pair, *self.expire(now)]

    def expire(self, now: float) -> list[MessagePair]:
        """Return the messages that have waited too long, each with None as its partner."""
        # A topic without any message is silent a while after the other has begun.
        last = [max(arrival, self._first_arrival) for arrival in self._arrivals]

        def is_due(each: _Waiting, side: int) -> bool:
            is_alone = (
                self._unanswered[side] >= UNANSWERED and now - last[1 - side] > self._silence
            )
            return is_alone or now - each.arrival >= self._wait

        return self._release(is_due)

    def due(self, now: float) -> float | None:
        """Return the seconds until a waiting message has waited too long; None without any."""
        arrivals = [each.arrival for queue in self._waiting for each in queue]
        return max(min(arrivals) + self._wait - now, 0.0) if arrivals else None

    def trouble(self, now: float) -> str:
        """Return why there have been no pairs lately, as the end of a sentence; may be empty."""
        is_early = now - self._first_arrival < TROUBLE
        if is_early or now - self._last_pair < TROUBLE or now - self._arrivals[0] >= TROUBLE:
            return ''
        if now - self._arrivals[1] >= TROUBLE:
            return 'none arrives'
        # Both topics have arrived since the last pair: there are stamps of both.
        if not all(stamps[-1] for stamps in self._stamps):
            return 'stamps are 0; set header.stamp in the driver'
        gap = min(abs(a - b) for a in self._stamps[0] for b in self._stamps[1])
        if gap <= self._tolerance:
            return f'none arrives within {self._wait:g} s (pair_wait)'
        return (
            f'stamps differ by at least {gap * 1e-6:.1f} ms; '
            f'{self._tolerance * 1e-6:.1f} ms are allowed (pair_tolerance)'
        )

    def _release(self, is_due: Callable[[_Waiting, int], bool]) -> list[MessagePair]:
        """Remove and return the waiting messages that are due, oldest stamp first."""
        due = []
        for side, waiting in enumerate(self._waiting):
            due += [(each, side) for each in waiting if is_due(each, side)]
        for each, side in due:
            self._waiting[side].remove(each)
        due.sort(key=lambda entry: (entry[0].stamp, entry[1]))
        return [_alone(each.item, side) for each, side in due]


def _alone(item: Any, side: int) -> MessagePair:
    """Return the item of a topic without a partner."""
    return (None, item) if side else (item, None)
