"""The network that the node uses, and how it is replaced by another while the node works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import threading

import torch

from superpoint_ros.decoding import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines import create_engine
from superpoint_ros.network import SuperPoint
from superpoint_ros.resources import default_weights
from superpoint_ros.weights import load_weights, WeightsMetadata


class NetworkSlot:
    """
    Hold the detector in use; whoever reads `detector` once works with one network throughout.

    `device`, `precision` and `engine` are those of `Detector.from_weights`.
    """

    def __init__(self, device: str = 'auto', precision: str = 'auto', engine: str = 'auto'):
        self.detector: Detector | None = None
        self._execution = (device, precision, engine)
        self._checked: tuple[Path, SuperPoint, WeightsMetadata] | None = None
        self._building = threading.Lock()
        self._calls = 0
        self._epoch = 0
        self._thread: threading.Thread | None = None

    def check(self, weights: str) -> None:
        """
        Read a weight file, empty for the shipped one, and keep what was read for its use.

        Raises WeightsError, FileNotFoundError or OSError where it cannot be used.
        """
        path = Path(weights) if weights else default_weights()
        self._checked = (path, *load_weights(path))

    def load(self, weights: str) -> None:
        """
        Use a weight file from now on, after running its network once.

        Raises what `check` raises, and ValueError for device or precision.
        """
        self._epoch += 1
        self.check(weights)
        self.detector = self._build()

    def replace(
        self, weights: str, done: Callable[[], None], failed: Callable[[Exception], None]
    ) -> None:
        """
        Use a weight file, which was checked before, as soon as it is ready; return at once.

        A thread makes its network and runs it once while the old one goes on working. Then that
        thread calls `done`; or `failed`, and the old one stays. Of several calls the last counts.
        """
        if self._checked is None:
            self.check(weights)
        self._calls += 1
        arguments = (self._epoch, self._calls, done, failed)
        self._thread = threading.Thread(
            target=self._replace, args=arguments, name='weights', daemon=True
        )
        self._thread.start()

    def _replace(self, epoch: int, call: int, done, failed) -> None:
        with self._building:
            if epoch != self._epoch or call != self._calls:
                return
            try:
                detector = self._build()
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
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def clear(self) -> None:
        """Let go of the network and of its memory."""
        self._epoch += 1
        self.detector = None
        self._checked = None
        self.free_memory()

    def free_memory(self) -> None:
        """Give back to CUDA what torch only keeps for later."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _build(self) -> Detector:
        """Return a detector of the file that was checked last, after running it once."""
        path, model, metadata = self._checked
        engine = create_engine(model, *self._execution)
        size = model.config.descriptor_size
        detector = Detector(engine, size, DetectionSettings(), metadata, path)
        detector.warm_up()
        return detector
