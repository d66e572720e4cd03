# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector in use, and its replacement by one with other weights while the node works."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
import sys
import threading
from typing import NamedTuple

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.engine import create_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.weights import read_weights, WeightsMetadata
from superpoint_ros.resources import find_weights

CHECK_TIMEOUT = 0.03
"""Seconds for which setting the parameter waits for a weight file to be read and checked."""


class _WeightFile(NamedTuple):
    """A weight file that is being read: its name as given, '' for the shipped one, and content."""

    weights: str
    path: Path
    content: Future[tuple[NetworkArrays, WeightsMetadata]]


class ModelSlot:
    """
    The detector in use, with hot swap of its weights.

    One thread calls the methods, another one makes new detectors. Read `detector` once per batch:
    it may be replaced at any time. `weights` is its weight file as given, empty for the shipped
    one. `execution` determines how networks run; its `weights` are not used.
    """

    def __init__(self, execution: ExecutionSettings):
        self.detector: Detector | None = None
        self.weights = ''
        self._execution = execution
        # One lasting thread each: with a new thread for each file, memory grew by 100 MB within
        # 20 files, as torch and the allocator keep memory for each thread.
        self._readers = ThreadPoolExecutor(1, 'weights')
        self._builders = ThreadPoolExecutor(1, 'swap')
        self._checked: _WeightFile | None = None
        self._swap: Future[None] | None = None
        self._lock = threading.Lock()  # of what a finished replacement changes, if it is wanted
        self._request = 0  # replacements with an older number are obsolete
        self._refusal = ''

    def check(self, weights: str) -> None:
        """
        Read a weight file, empty for the shipped one, and keep its content for `replace`.

        Raises WeightsError, FileNotFoundError or OSError if it cannot be used. It returns after
        `CHECK_TIMEOUT` seconds at the latest; if reading takes longer, `replace` reports errors.
        """
        file = self._read(weights)
        futures.wait([file.content], CHECK_TIMEOUT)
        if file.content.done():
            file.content.result()
        self._checked = file

    def load(self, weights: str) -> None:
        """
        Load a weight file and run its network once.

        Raises what `check` raises, and ValueError for device or precision.
        """
        self._supersede()
        self._refusal = ''
        self.detector, self.weights = self._build(self._read(weights)), weights

    def replace(self, on_success: Callable[[Detector], None]) -> None:
        """
        Replace the detector as soon as one with the weights checked last is ready; return at once.

        A thread makes the new network and runs it once while the old one is still in use, then
        calls `on_success` with the new detector. If that fails, the old one stays and
        `take_refusal` returns why. Of several calls the last counts. Without a detector, nothing
        is made.
        """
        request = self._supersede()
        self._refusal = ''
        if self.detector is None:
            return
        file, self._checked, self._swap = self._checked, None, Future()
        # The reader passes it on after the file: a slow disk does not occupy the builder.
        self._readers.submit(
            self._builders.submit, self._replace, request, file, on_success, self._swap
        )

    def _supersede(self) -> int:
        """Make all replacements so far obsolete; return the number of the next one."""
        with self._lock:
            self._request += 1
            return self._request

    def _read(self, weights: str) -> _WeightFile:
        """Return a weight file, which a thread begins to read."""
        path = find_weights(weights)
        return _WeightFile(weights, path, self._readers.submit(read_weights, path))

    def _replace(
        self,
        request: int,
        file: _WeightFile,
        on_success: Callable[[Detector], None],
        swap: Future[None],
    ) -> None:
        """Replace the detector by one with a file that was read, and mark the swap as done."""
        try:
            if request != self._request:
                return
            detector = self._build(file)
            with self._lock:
                if request != self._request:
                    return
                self.detector, self.weights = detector, file.weights
            on_success(detector)
        except Exception as error:  # noqa: BLE001 - CUDA's errors are of many types
            with self._lock:
                if request == self._request:
                    self._refusal = f'the weights {file.weights} cannot be used: {error}'
        finally:
            swap.set_result(None)

    def take_refusal(self) -> str:
        """Return why the last replacement failed, and forget it; empty if it did not."""
        with self._lock:
            refusal, self._refusal = self._refusal, ''
        return refusal

    def stop(self, timeout: float) -> bool:
        """Return whether no file is read and no network made, after waiting `timeout` seconds."""
        self._supersede()
        content = self._checked.content if self._checked else None
        return not futures.wait(filter(None, (content, self._swap)), timeout).not_done

    def clear(self) -> None:
        """Free the network and its memory."""
        self._supersede()
        self.detector = self._checked = None
        self.free_memory()

    def free_memory(self) -> None:
        """Return CUDA memory that PyTorch caches, if CUDA still works."""
        torch = sys.modules.get('torch')  # not imported on a CPU
        if torch and torch.cuda.is_available():
            with suppress(RuntimeError):  # of CUDA, whose failures are reported where they occur
                torch.cuda.empty_cache()

    def _build(self, file: _WeightFile) -> Detector:
        """Return a detector with the weights of a file, after running it once."""
        network, metadata = file.content.result()
        engine = create_engine(network, self._execution)
        size = network.config.descriptor_size
        detector = Detector(engine, size, DetectionSettings(), metadata, file.path)
        detector.warm_up()
        return detector
