# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector in use, and its replacement by one with other weights while the node works."""

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
from superpoint_ros.engines.engine import create_engine
from superpoint_ros.files import default_weights
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights, WeightsMetadata

CHECK_TIMEOUT = 0.03
"""Seconds for which setting the parameter waits for a weight file to be read and checked."""


class _WeightFile:
    """A weight file, '' for the shipped one, that a thread reads; `content` is a future."""

    def __init__(self, weights: str):
        self.weights = weights
        self.path = Path(weights) if weights else default_weights()
        self.content: Future[tuple[SuperPoint, WeightsMetadata]] = Future()
        threading.Thread(target=self._read, name='weights', daemon=True).start()

    def _read(self) -> None:
        try:
            self.content.set_result(load_weights(self.path))
        except Exception as error:  # noqa: BLE001 - raised again by `result`
            self.content.set_exception(error)


class ModelSlot:
    """
    The detector in use, with hot swap of its weights.

    Read `detector` once per batch: it may be replaced at any time. `weights` is its weight file as
    given, empty for the shipped one. `device`, `precision`, `engine` and `threads` are those of
    `Detector.from_weights`.
    """

    def __init__(
        self,
        device: str = 'auto',
        precision: str = 'auto',
        engine: str = 'auto',
        threads: int = 0,
    ):
        self.detector: Detector | None = None
        self.weights = ''
        self._execution = (device, precision, engine, threads)
        self._checked: _WeightFile | None = None
        self._building = threading.Lock()
        self._request = 0  # a replacement with an older number has been overtaken
        self._refusal = ''
        self._thread: threading.Thread | None = None

    def check(self, weights: str) -> None:
        """
        Read a weight file, empty for the shipped one, and keep its content for `replace`.

        Raises WeightsError, FileNotFoundError or OSError if it cannot be used. It returns after
        `CHECK_TIMEOUT` seconds at the latest; if reading takes longer, `replace` reports errors.
        """
        file = _WeightFile(weights)
        futures.wait([file.content], CHECK_TIMEOUT)
        if file.content.done():
            file.content.result()
        self._checked = file

    def load(self, weights: str) -> None:
        """
        Load a weight file and run its network once.

        Raises what `check` raises, and ValueError for device or precision.
        """
        self._request += 1
        self._refusal = ''
        self.detector, self.weights = self._build(_WeightFile(weights)), weights

    def replace(self, weights: str, on_success: Callable[[], None]) -> None:
        """
        Replace the detector as soon as one with these weights is ready; return at once.

        A thread makes the new network and runs it once while the old one is still in use, then
        calls `on_success`. If that fails, the old one stays and `take_refusal` says why. Of
        several calls the last counts.
        """
        file, self._checked = self._checked, None
        if file is None or file.weights != weights:
            file = _WeightFile(weights)
        self._request += 1
        self._thread = threading.Thread(
            target=self._replace, args=(self._request, file, on_success), name='swap', daemon=True
        )
        self._thread.start()

    def _replace(self, request: int, file: _WeightFile, on_success: Callable[[], None]) -> None:
        futures.wait([file.content])  # outside of the lock: a slow disk delays no other file
        with self._building:
            if request != self._request:
                return
            try:
                detector = self._build(file)
            except Exception as error:  # noqa: BLE001 - CUDA's errors are of many types
                if request == self._request:
                    self._refusal = f'the weights {file.weights} cannot be used: {error}'
                return
            if request == self._request:
                self.detector, self.weights = detector, file.weights
                on_success()

    def take_refusal(self) -> str:
        """Return why the last replacement failed, and forget it; empty if it did not."""
        refusal, self._refusal = self._refusal, ''
        return refusal

    def stop(self, timeout: float) -> bool:
        """Return whether no thread makes a network any more, after waiting `timeout` seconds."""
        self._request += 1
        end = time.monotonic() + timeout
        if self._checked is not None:
            futures.wait([self._checked.content], timeout)
        if self._thread is None:
            return True
        self._thread.join(max(end - time.monotonic(), 0.0))
        return not self._thread.is_alive()

    def clear(self) -> None:
        """Free the network and its memory."""
        self._request += 1
        self.detector = self._checked = None
        self.free_memory()

    def free_memory(self) -> None:
        """Return CUDA memory that torch caches."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _build(self, file: _WeightFile) -> Detector:
        """Return a detector with the weights of a file, after running it once."""
        model, metadata = file.content.result()
        engine = create_engine(model, *self._execution)
        size = model.config.descriptor_size
        detector = Detector(engine, size, DetectionSettings(), metadata, file.path)
        detector.warm_up()
        return detector
