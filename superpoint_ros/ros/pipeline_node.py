# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the nodes have in common that turn one topic into another: tracker and odometry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
import time
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time

from superpoint_ros.ros.diagnostics import camera_status
from superpoint_ros.ros.frame_statistics import FrameStatistics
from superpoint_ros.ros.lifecycle_node import ManagedNode
from superpoint_ros.ros.messages.camera_info import Calibration
from superpoint_ros.ros.parameters import LifecycleSettings, Parameters
from superpoint_ros.ros.throttle import Throttle
from superpoint_ros.ros.topic_watchdog import reason_of_silence

SILENCE = 5.0
"""Seconds without a message after which the node says so."""

_REPEAT = 10.0

Result = TransitionCallbackReturn


class PipelineNode(ManagedNode, ABC):
    """
    Be a managed node with one input, a calibration, live settings and diagnostics.

    Subclasses declare what they have of their own, then call `begin`. They give `offer` (make the
    publishers), `withdraw` (destroy them), `process` (work on a message; a ValueError is that of a
    bad one) and `details` (a trouble or '', and values for the diagnostics). The work is done in
    the executor's callback: it takes some milliseconds. Inputs are subscribed reliably.
    """

    def __init__(
        self,
        name: str,
        groups: Iterable[type],
        input_type: type,
        input_topic: str,
        stage: str,
        **options,
    ):
        super().__init__(name, **options)
        try:
            self.parameters = Parameters(self, (LifecycleSettings, *groups))
        except BaseException:
            self.destroy_node()
            raise
        self.overridable = QoSOverridingOptions.with_default_policies()
        self.throttle = Throttle(_REPEAT)
        self._input = (input_type, input_topic)
        self._stage = stage
        self._subscription = None
        self._last_arrival = time.monotonic()
        self._silent = False
        self.statistics = FrameStatistics(time.monotonic())

    def begin(self) -> None:
        """Declare what all have, and start by itself if the parameter `autostart` says so."""
        try:
            self.calibration = Calibration(self, 'camera_info')
            self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
            clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
            self.create_timer(1.0, self._watch, clock=clock)
            if self.parameters.of(LifecycleSettings).autostart:
                for trigger in (self.trigger_configure, self.trigger_activate):
                    if trigger() != Result.SUCCESS:
                        raise RuntimeError('the node could not be activated')
        except BaseException:
            self.destroy_node()
            raise

    @abstractmethod
    def offer(self) -> str:
        """Return the output's topic, after making the publishers and forgetting all."""

    @abstractmethod
    def withdraw(self) -> None:
        """Destroy the publishers."""

    @abstractmethod
    def process(self, message: Any) -> int:
        """Return how many points were published for a message."""

    @abstractmethod
    def details(self) -> tuple[str, dict[str, object]]:
        """Return what is amiss, or '', and values for the diagnostics."""

    @property
    def input_topic(self) -> str:
        """Return the full name of the input's topic, remapped as the user asked."""
        return self.resolve_topic_name(self._input[1])

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Offer the topics."""
        topic = self.offer()
        self.get_logger().info(f'from {self.input_topic} to {topic}')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let messages in."""
        self.statistics = FrameStatistics(time.monotonic())
        self._last_arrival = time.monotonic()
        self.calibration.start()
        self._subscription = self.create_subscription(
            self._input[0],
            self._input[1],
            self._receive,
            QoSProfile(depth=10),
            qos_overriding_options=self.overridable,
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let no more messages in."""
        self._end_input()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remove the topics."""
        self.withdraw()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all work."""
        self._end_input()
        self.withdraw()
        return super().on_shutdown(state)

    def _end_input(self) -> None:
        self.calibration.stop()
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def stop(self) -> bool:
        """Return True: between two messages there is no work to end."""
        self.get_logger().info(f'{self.input_topic}: {self.statistics.summary(time.monotonic())}')
        return True

    def _receive(self, message: Any) -> None:
        """Work on a message, and measure that."""
        now = self._last_arrival = time.monotonic()
        self.statistics.add_arrival(now, overtakes=False)
        start = time.perf_counter()
        try:
            count = self.process(message)
        except ValueError as error:
            bad = self.statistics.add_bad_frame(time.monotonic(), 'content')
            if self.throttle.ready('bad'):
                self.get_logger().warning(f'skipped a message ({bad} so far): {error}')
            return
        except Exception as error:  # noqa: BLE001 - one message must not end the node
            self._report(error)
            return
        stages = {self._stage: time.perf_counter() - start}
        self.statistics.add_frame(time.monotonic(), stages, self._age(message.header), count)

    def _report(self, error: Exception) -> None:
        """Log that the work on a message failed; the node goes on with the next."""
        bad = self.statistics.add_bad_frame(time.monotonic(), 'failure')
        if self.throttle.ready('failure'):
            text = ' '.join(str(error).split())
            self.get_logger().error(f'a message failed ({bad} so far): {text}')
            self.get_logger().debug(''.join(traceback.format_exception(error)))

    def _age(self, header) -> float | None:
        """Return the seconds since the stamp, None where it has none."""
        if not (header.stamp.sec or header.stamp.nanosec):
            return None
        age = self.get_clock().now() - Time.from_msg(header.stamp, ClockType.ROS_TIME)
        return age.nanoseconds * 1e-9

    def _trouble(self) -> str:
        """Return why nothing comes, '' where something does."""
        if self._subscription is None or time.monotonic() - self._last_arrival < SILENCE:
            return ''
        kind = f'sensor_msgs/msg/{self._input[0].__name__}'
        name = self._input[1]
        reason = reason_of_silence(self, self.input_topic, kind, name, name)
        return f'nothing on {self.input_topic} for {SILENCE:.0f} s: {reason}'

    def _watch(self) -> None:
        """Say so where messages stay away, and publish the diagnostics."""
        trouble = self._trouble()
        if trouble and self.throttle.ready('silence'):
            self.get_logger().warning(trouble)
        elif self._silent and not trouble:
            self.get_logger().info(f'messages come on {self.input_topic}')
        self._silent = bool(trouble)
        amiss, values = self.details()
        active = self._subscription is not None
        name = f'{self.get_fully_qualified_name().lstrip("/")}: {self.input_topic}'
        status = camera_status(
            name,
            '',
            self.statistics.summary(time.monotonic()),
            trouble or (amiss if active else ''),
            '' if active else 'not active',
        )
        values = {'state': self.state, **values}
        status.values = [
            *(KeyValue(key=key, value=str(value)) for key, value in values.items()),
            *status.values,
        ]
        self._publish_status(status)

    def _publish_status(self, status: DiagnosticStatus) -> None:
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
