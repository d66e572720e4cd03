# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network that the node uses, and how it is replaced by another while the node works."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from pathlib import Path
import threading
import time

import torch

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.selection import create_engine
from superpoint_ros.files import default_weights
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights, WeightsMetadata

PATIENCE = 0.03
"""Seconds for which a call to set weights waits for the verdict on the file."""


class _Reading:
    """A weight file, '' for the shipped one, that a thread reads; `content` is a future."""

    def __init__(self, weights: str):
        self.path = Path(weights) if weights else default_weights()
        self.content: Future[tuple[SuperPoint, WeightsMetadata]] = Future()
        threading.Thread(target=self._read, name='reading', daemon=True).start()

    def _read(self) -> None:
        try:
            self.content.set_result(load_weights(self.path))
        except Exception as error:  # noqa: BLE001 - raised again to whoever asks for the content
            self.content.set_exception(error)


class NetworkSlot:
    """
    Hold the detector in use; whoever reads `detector` once works with one network throughout.

    `device`, `precision`, `engine` and `threads` are those of `Detector.from_weights`.
    """

    def __init__(
        self,
        device: str = 'auto',
        precision: str = 'auto',
        engine: str = 'auto',
        threads: int = 0,
    ):
        self.detector: Detector | None = None
        self._execution = (device, precision, engine, threads)
        self._reading: _Reading | None = None
        self._building = threading.Lock()
        self._calls = 0
        self._epoch = 0
        self._thread: threading.Thread | None = None

    def check(self, weights: str) -> None:
        """
        Read a weight file, empty for the shipped one, and keep what was read for its use.

        Raises WeightsError, FileNotFoundError or OSError where it cannot be used. It returns after
        `PATIENCE` seconds at the latest: on a machine so busy, or of a disk so slow, that reading
        takes longer, what is wrong is told by `replace`.
        """
        reading = _Reading(weights)
        futures.wait([reading.content], PATIENCE)
        if reading.content.done():
            reading.content.result()  # raises what was wrong
        self._reading = reading

    def load(self, weights: str) -> None:
        """
        Use a weight file from now on, after running its network once.

        Raises what `check` raises, and ValueError for device or precision.
        """
        self._epoch += 1
        self.detector = self._build(_Reading(weights))

    def replace(
        self, weights: str, done: Callable[[], None], failed: Callable[[Exception], None]
    ) -> None:
        """
        Use a weight file, which was checked before, as soon as it is ready; return at once.

        A thread makes its network and runs it once while the old one goes on working. Then that
        thread calls `done`; or `failed`, and the old one stays. Of several calls the last counts.
        """
        reading, self._reading = self._reading or _Reading(weights), None
        self._calls += 1
        arguments = (self._epoch, self._calls, reading, done, failed)
        self._thread = threading.Thread(
            target=self._replace, args=arguments, name='weights', daemon=True
        )
        self._thread.start()

    def _replace(self, epoch: int, call: int, reading: _Reading, done, failed) -> None:
        futures.wait([reading.content])  # a slow disk holds up no other file
        with self._building:
            if epoch != self._epoch or call != self._calls:
                return
            try:
                detector = self._build(reading)
            except Exception as error:  # noqa: BLE001 - CUDA's errors are of many types
                if epoch == self._epoch and call == self._calls:
                    failed(error)
                return
            if epoch == self._epoch:
                self.detector = detector
                done()

    def stop(self, timeout: float) -> bool:
        """Return whether no thread makes a network any more, within `timeout` seconds."""
        self._epoch += 1
        end = time.monotonic() + timeout
        if self._reading is not None:
            futures.wait([self._reading.content], timeout)
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(max(end - time.monotonic(), 0.0))
        return self._thread is None or not self._thread.is_alive()

    def clear(self) -> None:
        """Let go of the network and of its memory."""
        self._epoch += 1
        self.detector = None
        self._reading = None
        self.free_memory()

    def free_memory(self) -> None:
        """Give back to CUDA what torch only keeps for later."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _build(self, reading: _Reading) -> Detector:
        """Return a detector of a weight file, after running it once."""
        model, metadata = reading.content.result()
        engine = create_engine(model, *self._execution)
        size = model.config.descriptor_size
        detector = Detector(engine, size, DetectionSettings(), metadata, reading.path)
        detector.warm_up()
        return detector
