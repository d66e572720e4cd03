# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
One thread that works on the newest frames, however fast they come.

Callbacks put frames in and return at once; a frame that is still waiting when the next of its
camera comes is dropped. Nothing here knows ROS.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
import threading
import time
from typing import Any, NamedTuple

Batch = list[tuple[str, Any]]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between a failure and the next try: the first pause, doubled up to the longest."""

_ALIVE = 1.0  # seconds for which a camera that was heard of is waited for
_PATIENCE = 10  # times that frames wait in vain for those of one key before they wait no more


class _Waiting(NamedTuple):
    frame: Any
    key: Hashable


class Worker:
    """
    Call `process` with the newest frame of each camera, in one thread of its own.

    `process` gets a list of (camera, frame), at most one of each camera, those that came first
    standing first. Frames with one key (the time at which they were taken) go together: a frame
    waits up to `gather` seconds for those of the other cameras, unless these have other keys
    anyway.

    Where `process` raises, `report` gets the exception and the thread goes on with the newest
    frames, after a pause that doubles from failure to failure; both run in that thread.
    """

    def __init__(
        self,
        process: Callable[[Batch], None],
        report: Callable[[Exception], None],
        name: str = 'worker',
        gather: float = 0.0,
    ):
        self._process = process
        self._report = report
        self._gather = gather
        self._condition = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._heard: dict[str, tuple[float, Hashable]] = {}
        self._in_vain = 0
        self._failures = 0
        self._failures_in_row = 0
        self._stopping = False
        # A daemon: an inference that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, camera: str, frame: Any, key: Hashable = None) -> bool:
        """Store the frame as the camera's newest; return whether it overtook one that waited."""
        with self._condition:
            if self._stopping:
                return False
            others = (heard[1] for name, heard in self._heard.items() if name != camera)
            if key is not None and key in others:
                self._in_vain = 0
            self._heard[camera] = (time.monotonic(), key)
            overtakes = camera in self._waiting
            # The place in the queue is the overtaken frame's, so that no camera starves another.
            self._waiting[camera] = _Waiting(frame, key)
            self._condition.notify()
            return overtakes

    @property
    def failures(self) -> int:
        """Return how often `process` raised."""
        with self._condition:
            return self._failures

    @property
    def is_failing(self) -> bool:
        """Return whether `process` raised when it was called last."""
        with self._condition:
            return self._failures_in_row > 0

    def stop(self, timeout: float = 2.0) -> bool:
        """
        Return whether the thread has ended, within `timeout` seconds.

        It ends after the frames that it works on; those that wait are let go.
        """
        with self._condition:
            self._stopping = True
            self._waiting.clear()
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            try:
                self._process(batch)
            except Exception as error:  # noqa: BLE001 - one bad frame must not end the rest
                with self._condition:
                    self._failures += 1
                    self._failures_in_row += 1
                self._report(error)
            else:
                with self._condition:
                    self._failures_in_row = 0

    def _next_batch(self) -> Batch | None:
        """Return the newest frames as soon as it is time for them; None when it is over."""
        with self._condition:
            if self._failures_in_row:
                pause = FIRST_PAUSE * 2 ** min(self._failures_in_row - 1, 10)
                self._condition.wait_for(lambda: self._stopping, min(pause, LONGEST_PAUSE))
            self._condition.wait_for(lambda: self._waiting or self._stopping)
            if self._gather and self._in_vain < _PATIENCE:
                complete = self._condition.wait_for(self._is_complete, self._gather)
                self._in_vain = 0 if complete else self._in_vain + 1
            if self._stopping:
                return None
            batch = [(camera, waiting.frame) for camera, waiting in self._waiting.items()]
            self._waiting.clear()
            return batch

    def _is_complete(self) -> bool:
        """Return whether each camera that sends frames has one here, all with one key."""
        if self._stopping:
            return True
        now = time.monotonic()
        alive = {name for name, (heard, _) in self._heard.items() if now - heard < _ALIVE}
        keys = {waiting.key for waiting in self._waiting.values()}
        return alive <= set(self._waiting) and len(keys) == 1
