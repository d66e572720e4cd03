"""
One thread that works on the newest frames, however fast they come.

Callbacks put frames in and return at once; a frame that is still waiting when the next of its
camera comes is dropped and counted. Nothing here knows ROS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import threading
from typing import Any

Batch = list[tuple[str, Any]]


class Worker:
    """
    Call `process` with the newest frame of each camera, in one thread of its own.

    `process` gets a list of (camera, frame), at most one of each camera, those that came first
    standing first. Where it raises, `report` gets the exception and the thread goes on with the
    next frames; both run in that thread.
    """

    def __init__(
        self,
        process: Callable[[Batch], None],
        report: Callable[[Exception], None],
        name: str = 'worker',
    ):
        self._process = process
        self._report = report
        self._condition = threading.Condition()
        self._waiting: dict[str, Any] = {}
        self._received: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._failures = 0
        self._stopping = False
        # A daemon: an inference that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, camera: str, frame: Any) -> None:
        """Store the frame as the camera's newest; count one that it overtakes as dropped."""
        with self._condition:
            if self._stopping:
                return
            self._received[camera] += 1
            # The place in the queue is the overtaken frame's, so that no camera starves another.
            self._dropped[camera] += camera in self._waiting
            self._waiting[camera] = frame
            self._condition.notify()

    def received(self, camera: str) -> int:
        """Return how many frames of the camera came."""
        with self._condition:
            return self._received[camera]

    def dropped(self, camera: str) -> int:
        """Return how many frames of the camera were overtaken while they waited."""
        with self._condition:
            return self._dropped[camera]

    @property
    def failures(self) -> int:
        """Return how often `process` raised."""
        with self._condition:
            return self._failures

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
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                batch = list(self._waiting.items())
                self._waiting.clear()
            try:
                self._process(batch)
            except Exception as error:  # noqa: BLE001 - one bad frame must not end the rest
                with self._condition:
                    self._failures += 1
                self._report(error)
