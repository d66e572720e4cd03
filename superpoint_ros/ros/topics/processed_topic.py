# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Topics whose messages are processed in the executor's callback: tracker and odometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from superpoint_ros.ros.node_log import error_text, log_failure, REPEAT
from superpoint_ros.ros.topics.calibration_topic import CalibrationTopic
from superpoint_ros.ros.topics.input_topic import InputTopic

_QUEUE = 2
"""Number of messages that wait while one is processed in a callback.

With ten, poses were late by up to 1.5 s (99 %) while other programs used the processors, and by
0.3 s with two; as many were processed."""


class ProcessedTopic(InputTopic):
    """
    An input whose messages are processed at once, in the executor's callback.

    `process` returns how many points it published, None if it published no message; a ValueError
    means that the message is bad. `trouble` returns what is wrong besides missing messages, empty
    if nothing is. `stage` names the work in the statistics, `points` the points.
    The topic is received reliably. While a message is processed, the newest ones wait, as many as
    `_QUEUE`, and older ones are dropped; parameters `qos_overrides` change that.
    """

    pauses = (
        'it is not active, lacks its own inputs or calibration (see its log), or was killed a '
        'moment ago'
    )
    speed_advice = '. To process more, reduce max_keypoints of the detector'

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        process: Callable[[Any], int | None],
        trouble: Callable[[], str],
        calibration: CalibrationTopic,
        *,
        stage: str,
        points: str,
    ):
        super().__init__(node, message_type, topic, QoSProfile(depth=_QUEUE))
        self.content, self.points = topic, points
        self.calibration = calibration
        self._stage, self._process, self._trouble = stage, process, trouble
        self._number: int | None = None  # of the last message, counted by its publisher
        self._is_comparable = True  # whether the last gap was in the numbers of one publisher

    def trouble(self) -> str:
        """Return what is wrong besides missing messages; empty if nothing is."""
        return self._trouble()

    def _subscribe(self) -> None:
        self._number = None
        super()._subscribe()

    # rclpy passes `info` because of the second argument.
    def _on_message(self, message: Any, info: Mapping[str, Any]) -> None:
        self._count_dropped(info['publication_sequence_number'])
        super()._on_message(message)

    def _count_dropped(self, number: int | None) -> None:
        """
        Count the messages that the queue has dropped since the last one.

        `number` is that of this message; the middleware may not have any. Gaps in the numbers say
        nothing if messages may be lost on the way, nor if there are several publishers: then not
        even the first gap after all but one have ended.
        """
        last, self._number = self._number, number
        if last is None or number is None or number <= last + 1:
            return
        reliability = self._subscription.qos_profile.reliability
        was_comparable, self._is_comparable = (
            self._is_comparable,
            reliability == QoSReliabilityPolicy.RELIABLE
            and self.node.count_publishers(self.topic) == 1,
        )
        if was_comparable and self._is_comparable:
            for _ in range(number - last - 1):
                self.statistics.add_arrival(time.monotonic(), replaces=True)

    def _receive(self, message: Any) -> None:
        self.statistics.add_arrival(time.monotonic(), replaces=False)
        start = time.perf_counter()
        try:
            count = self._process(message)
        except ValueError as error:
            self.report_bad_message(error, 'content')
            return
        except Exception as error:  # noqa: BLE001 - one message must not end the node
            problem = error_text(error)
            count = self.statistics.add_bad_frame(time.monotonic(), 'failure', problem)
            log_failure(self.logger, f'{self._stage} failed ({count} so far)', error, REPEAT)
            return
        if count is None:
            return
        stages = {self._stage: time.perf_counter() - start}
        now = time.monotonic()
        self.statistics.add_frame(now, stages, self.age(message), count)
