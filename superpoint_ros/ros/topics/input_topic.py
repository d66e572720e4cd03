# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The topics that nodes receive: subscriptions with statistics, a watchdog and diagnostics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

from superpoint_ros.common.wording import counted
from superpoint_ros.ros.diagnostics import input_status, MAX_DROPPED, MAX_LOST
from superpoint_ros.ros.frame_statistics import FrameStatistics, Summary, WINDOW
from superpoint_ros.ros.messages.image_messages import stamp_nanoseconds
from superpoint_ros.ros.node_log import REPEAT, ThrottledWarnings
from superpoint_ros.ros.topics.calibration_topic import CalibrationTopic
from superpoint_ros.ros.topics.endpoints import subscribe_to
from superpoint_ros.ros.topics.silent_topics import (
    no_publisher,
    publisher_names,
    WATCHDOG_TIMEOUT,
    wrong_qos,
    wrong_types,
)

SHARED = 30.0
"""Seconds after which several publishers are reported: one that was killed is seen for 20 s."""

MAX_AGE = 60.0
"""Seconds; a stamp that is older, or as far in the future, is from another clock."""

_FIRST_DATE = 10**18
"""Nanoseconds from 1970 to 2001; earlier stamps are no dates."""

_NO_COUNT = 2**31 - 1
"""Number of messages that Fast DDS reports as lost, in addition, with the message that follows the
loss of a message of several fragments (eProsima/Fast-DDS#6366)."""


class InputTopic(ABC):
    """
    A topic of messages with a header, received between `start` and `stop`.

    It counts what arrives, gets lost and is processed, warns if nothing arrives, and reports all
    that in the diagnostics. Subclasses handle the messages; a thread that processes them may call
    `age` and `report_bad_message`, all else belongs to the executor's thread. `name` is the topic
    as users remap it, `topic` another one that is received instead; by default none.
    """

    content = 'messages'
    """What the messages are, in plural, for log messages."""

    points = 'keypoints'
    """What the points are called whose number in the last message is in the diagnostics."""

    pauses = 'it is paused or blocked, or was killed a moment ago'
    """Why a publisher that was received publishes nothing any more, for log messages."""

    speed_advice = ''
    """What increases the rate of processing, for log messages; may be empty."""

    loss_advice = ''
    """A further remedy for lost messages, for log messages; may be empty."""

    def __init__(
        self, node: Node, message_type: type, name: str, qos: QoSProfile, topic: str = ''
    ):
        self.node = node
        # rclpy throttles per logger and line of code: each topic needs its own logger.
        self.logger = get_logger(node.get_logger().name)
        self._warnings = ThrottledWarnings(self.logger)
        self.statistics = FrameStatistics(time.monotonic())
        self._name, self._unresolved = name, topic or name
        self.topic = node.resolve_topic_name(self._unresolved)
        """Full name of the topic, after remapping. rclpy would remap it again, if it is given
        this name."""
        self.suffix = ''
        """What follows the topic in the diagnostics, for names that differ; may be empty."""
        self._type, self._qos = message_type, qos
        self.calibration: CalibrationTopic | None = None
        """Calibration that is received together with the messages; None for none."""
        self._subscription = None
        self._is_started = False
        self._last_arrival = time.monotonic()
        self._missing = ''
        self._last_report = -math.inf
        self._shared_since: float | None = None
        self._last_stamp: int | None = None
        self._clock_troubles: set[str] = set()

    @abstractmethod
    def _receive(self, message: Any) -> None:
        """Handle a message; called by the executor."""

    def start(self) -> None:
        """Begin to receive, with new statistics."""
        self._is_started = True
        self.statistics = FrameStatistics(time.monotonic())
        if self.calibration:
            self.calibration.start()
        self._subscribe()  # even if nothing is wanted yet: a wrong QoS override is an error now
        self.follow_demand()

    def stop(self) -> None:
        """Stop receiving."""
        self._is_started = False
        self.follow_demand()
        if self.calibration:
            self.calibration.stop()

    def is_wanted(self) -> bool:
        """Return whether the messages are of use at present."""
        return True

    def follow_demand(self) -> None:
        """Subscribe or unsubscribe, depending on whether messages are wanted."""
        wanted = self._is_started and self.is_wanted()
        if wanted and self._subscription is None:
            self._subscribe()
        elif not wanted and self._subscription is not None:
            self.node.destroy_subscription(self._subscription)
            self._subscription = None
            self._missing = ''

    def _subscribe(self) -> None:
        self._last_arrival = time.monotonic()
        self._subscription = subscribe_to(
            *(self.node, self._type, self._unresolved, self._on_message, self._qos),
            name=self._name,
            message_lost=self._on_lost,
        )

    def _on_message(self, message: Any) -> None:
        self._last_arrival = time.monotonic()
        self._receive(message)

    def _on_lost(self, event) -> None:
        self.statistics.add_lost(time.monotonic(), event.total_count_change % _NO_COUNT)

    def age(self, message: Any) -> float | None:
        """Return the seconds since a message's stamp; None if it is 0 or from another clock."""
        stamp = stamp_nanoseconds(message)
        last, self._last_stamp = self._last_stamp, stamp
        if not stamp:
            if last == 0:  # one alone may be the start of a simulation
                self.logger.warning(
                    f'the stamps on {self.topic} are 0: no latency is measured, tracks are not '
                    'refined, and keypoints get no depths; set header.stamp in the driver',
                    once=True,
                )
            return None
        now = self.node.get_clock().now().nanoseconds
        seconds = (now - stamp) * 1e-9
        if now and abs(seconds) <= MAX_AGE:
            return seconds
        trouble = self._clock_advice(now, stamp)
        if trouble not in self._clock_troubles:
            self._clock_troubles.add(trouble)
            self.logger.info(
                f'latency is not measured: stamps on {self.topic} differ by {seconds:.0f} s from '
                f"the node's clock ({trouble})"
            )
        return None

    def _clock_advice(self, now: int, stamp: int) -> str:
        """Return why a stamp is far from the node's clock, which is at `now`, and the remedy."""
        if self.node.get_clock().ros_time_is_active:
            reason = '/clock has another time' if now else 'no time has arrived on /clock'
            return f'use_sim_time is true, but {reason}'
        if stamp < _FIRST_DATE:
            return (
                'for a simulation set use_sim_time:=true; otherwise the driver stamps with '
                'another clock, such as the time since the computer was started'
            )
        if stamp > now:
            return 'the stamps are in the future: the clocks of two computers differ'
        return (
            'for a bag played with --clock set use_sim_time:=true; otherwise the clocks of two '
            'computers differ'
        )

    def report_bad_message(self, error: ValueError, reason: str) -> None:
        """
        Count a message that cannot be used; `reason` is a word for the counter.

        The first message of each reason is logged, then at most one per `REPEAT` seconds.
        """
        now = time.monotonic()
        count = self.statistics.add_bad_frame(now, reason, str(error))
        # rclpy's throttle does not count what another line has logged.
        if count == 1 or now - self._last_report >= REPEAT:
            self._last_report = now
            self.logger.warning(
                f'skipped a message of {self.topic} ({reason}, {count} so far): {error}'
            )

    def watch(self) -> None:
        """Check the topic and log what is wrong; to be called about once per second."""
        if self.calibration:
            self.calibration.watch()
        self.follow_demand()
        was_missing, self._missing = self._missing, self._missing_reason()
        if self._missing:
            self._warnings.warn(self._missing)
        elif was_missing and self._subscription is not None:
            self.logger.info(f'receiving {self.content} on {self.topic}')
        self._check_publishers()
        summary = self.statistics.summary(time.monotonic())
        if summary.lately_lost > MAX_LOST:
            self.logger.warning(
                f'{summary.lately_lost:.0%} of the {self.content} on {self.topic} are lost on the '
                'way to this node. Possible remedies: start publisher and node with '
                'dds_profile:=large_images; if the publisher is reliable, set '
                f'qos_overrides.{self.topic}.subscription.reliability to reliable'
                f'{self.loss_advice}',
                once=True,
            )
        # In the first seconds, frames are dropped while code is compiled and caches are filled.
        is_settled = time.monotonic() > self.statistics.start + WINDOW
        if is_settled and summary.lately_dropped > MAX_DROPPED:
            self._report_drops(summary)

    def _check_publishers(self) -> None:
        """Log once that several publishers have shared the topic for a while."""
        if self._subscription is None or self.node.count_publishers(self._unresolved) < 2:
            self._shared_since = None
            return
        now = time.monotonic()
        self._shared_since = self._shared_since or now
        if now - self._shared_since >= SHARED:
            publishers = self.node.get_publishers_info_by_topic(self._unresolved)
            self.logger.warning(
                f'{len(publishers)} publishers of {self.topic} ({publisher_names(publishers)}): '
                f'their {self.content} are processed as those of one. End all but one, or '
                'separate them by namespaces',
                once=True,
            )

    def _report_drops(self, summary: Summary) -> None:
        """Log once that most messages are dropped, and which stage of the processing is slow."""
        medians = {name: p50 for name, (p50, _) in summary.stages.items() if name != 'waiting'}
        slowest = max(medians, key=medians.get, default='')
        reason = f'; {slowest} takes {1e3 * medians[slowest]:.0f} ms' if slowest else ''
        self.logger.warning(
            f'{summary.lately_dropped:.0%} of the {self.content} on {self.topic} are dropped: '
            f'{summary.rate_in:.1f} per second arrive, {summary.rate:.1f} are processed'
            f'{reason}{self.speed_advice}',
            once=True,
        )

    def _missing_reason(self) -> str:
        """Return why nothing arrives, as far as it is known; empty if something does."""
        silent_for = time.monotonic() - self._last_arrival
        if self._subscription is None or silent_for < WATCHDOG_TIMEOUT:
            return ''
        return (
            f'no {self.content} on {self.topic} for {WATCHDOG_TIMEOUT:.0f} s: {self._diagnose()}'
        )

    def _diagnose(self) -> str:
        publishers = self.node.get_publishers_info_by_topic(self._unresolved)
        if not publishers:
            return no_publisher(self.node, self._type, self._name, self._remap_target)
        return (
            wrong_types(publishers, self._type)
            or wrong_qos(publishers, self._subscription.qos_profile)
            or self._why_publishers_are_not_received(publishers)
        )

    def _why_publishers_are_not_received(self, publishers: Sequence[TopicEndpointInfo]) -> str:
        """Return why nothing comes from publishers that fit."""
        summary = self.statistics.summary(time.monotonic())
        there = f'{counted(len(publishers), "publisher")} ({publisher_names(publishers)})'
        if summary.lately_lost > MAX_LOST:
            return f'the messages of {there} are lost on the way'
        if summary.received:
            return f'{there}, but no more messages arrive: {self.pauses}'
        return (
            f'{there}, but no message has arrived: nothing was published, or it comes from '
            'another container or user, with which Fast DDS cannot share memory (set '
            'FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for this node)'
        )

    def _remap_target(self, topic: str) -> str:
        """Return what the user must remap the input to, to receive a topic."""
        return topic

    def trouble(self) -> str:
        """Return what is wrong besides missing or lost messages; empty if nothing is."""
        return ''

    def note(self) -> str:
        """Return a remark for the diagnostics of a topic that has no trouble; may be empty."""
        return '' if self._is_started else 'not active'

    def status(
        self, hardware: str = '', values: Mapping[str, object] | None = None
    ) -> DiagnosticStatus:
        """Return the diagnostics of the topic, with values of the node before its own."""
        return input_status(
            f'{self.node.get_fully_qualified_name().lstrip("/")}: {self.topic}{self.suffix}',
            hardware,
            self.statistics.summary(time.monotonic()),
            self._missing or (self.trouble() if self._is_started else ''),
            self.note(),
            values,
            self.points,
        )
