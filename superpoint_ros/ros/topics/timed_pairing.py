# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of messages in a node, where a timer delivers those that have waited too long."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

from superpoint_ros.ros.topics.pairing import MessagePair, Pairing

_SHORTEST_PERIOD = 1_000_000  # nanoseconds; a timer without a period would always be ready


class TimedPairing:
    """
    A `Pairing` of a node between `start` and `stop`; each call of `add` or of its timer delivers.

    `deliver` gets the pairs that are complete, and messages without a partner.
    """

    def __init__(
        self,
        node: Node,
        tolerance: float,
        wait: float,
        deliver: Callable[[list[MessagePair]], None],
    ):
        self._node, self._deliver = node, deliver
        self._pairs = Pairing(tolerance, wait)
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to pair, without messages of an earlier start."""
        self._pairs.clear()
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may be paused
        self._timer = self._node.create_timer(1.0, self._release, clock=clock)
        self._timer.cancel()

    def stop(self) -> None:
        """Forget the messages that wait."""
        self._pairs.clear()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def add(self, side: int, item: Any, stamp: int, now: float) -> None:
        """Add a message of topic `side`, with a stamp in nanoseconds."""
        self._deliver(self._pairs.add(side, item, stamp, now))
        if self._timer is not None and self._timer.is_canceled():
            self._set_timer(now)

    def trouble(self) -> str:
        """Return why there have been no pairs lately, as the end of a sentence; may be empty."""
        return self._pairs.trouble(time.monotonic())

    def _release(self) -> None:
        """Deliver the messages that have waited too long for a partner."""
        now = time.monotonic()
        self._deliver(self._pairs.expire(now))
        self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        """Make the timer call `_release` when a message has waited too long."""
        seconds = self._pairs.due(now)
        if seconds is None:
            self._timer.cancel()
        else:
            self._timer.timer_period_ns = max(int(seconds * 1e9), _SHORTEST_PERIOD)
            self._timer.reset()
