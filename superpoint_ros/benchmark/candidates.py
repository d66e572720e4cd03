# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is timed: the package's detectors and the plain peer, on the same frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import time
from typing import NamedTuple

import numpy as np
import torch

from superpoint_ros.benchmark.plain_superpoint import gray_of, Peer
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.selection import create_engine
from superpoint_ros.features import Features
from superpoint_ros.model.superpoint import CONFIGURATIONS, SuperPoint
from superpoint_ros.model.weights import load_weights

STAGES = ('conversion', 'padding', 'blobs', 'network', 'decoding', 'sampling', 'message')
"""The stages of a frame in their order; those but the last are the Detector's."""

REST = 0.03
"""Seconds before each turn in which nothing is done: the threads of whoever had the turn before
look out for more work for some milliseconds, and would take processors from the next."""

WEAKEST = 1e-5
"""Least score of a keypoint where frames shall have a certain number of them."""


class Network(NamedTuple):
    """A network to measure: its name, and its weight file, without which weights are random."""

    name: str
    weights: str = ''

    def load(self) -> SuperPoint:
        """
        Return the network; raise what `load_weights` raises.

        Without a file `name` is a configuration's, and its weights are always the same ones.
        """
        if self.weights:
            return load_weights(self.weights)[0]
        if self.name not in CONFIGURATIONS:
            raise ValueError(
                f'there is no network {self.name}: name one of {", ".join(CONFIGURATIONS)}, or '
                'a weight file'
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = SuperPoint(CONFIGURATIONS[self.name]).eval()
            with torch.no_grad():
                # With the initial weights all pixels would be about as probable.
                for name, parameter in model.named_parameters():
                    if name.endswith('weight'):
                        torch.nn.init.kaiming_normal_(parameter)
        return model


class Execution(NamedTuple):
    """How a network is run, in the terms of `create_engine`; the engine 'peer' is the peer."""

    engine: str
    precision: str = 'float32'
    device: str = 'cpu'


PEER = 'peer'


class Times(NamedTuple):
    """Seconds that a frame took, from uint8 BGR to `Features`, and those of each stage."""

    frame: float
    stages: dict[str, float]


class Stopwatch:
    """Add up seconds by stage: a lap's time belongs to the stage that it ends."""

    def __init__(self, synchronise: Callable[[], None] | None = None):
        self._synchronise = synchronise
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self.seconds: dict[str, float] = {}
        self._last = self._now()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap to this stage."""
        now = self._now()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Return the sum of all laps."""
        return sum(self.seconds.values())

    def _now(self) -> float:
        if self._synchronise:
            self._synchronise()
        return time.perf_counter()


class OurContender:
    """A detector whose stages are timed; each frame has the threshold that gives `keypoints`."""

    def __init__(self, detector: Detector, keypoints: int):
        engine = detector.engine
        self.execution = Execution(engine.name, engine.precision, detector.device)
        settings = replace(detector.settings, max_keypoints=keypoints)
        self.detector = Detector(detector.engine, detector.descriptor_size, settings)
        is_cuda = self.detector.device.startswith('cuda')
        self._watch = Stopwatch(torch.cuda.synchronize if is_cuda else None)
        self.detector.on_stage = self._watch.lap
        self._message = _message_maker()
        self.thresholds: list[float] = []

    def with_keypoints(self, keypoints: int) -> OurContender:
        """Return the same for another number of keypoints, which shares the network."""
        return OurContender(self.detector, keypoints)

    def prepare(self, frames: Sequence[np.ndarray]) -> None:
        """Find each frame's threshold, which warms up as well."""
        self.thresholds = [threshold_of(self._detect(frame, WEAKEST)) for frame in frames]

    def _detect(self, frame: np.ndarray, threshold: float) -> Features:
        settings = replace(self.detector.settings, threshold=threshold)
        return self.detector(frame, settings=settings)

    def __call__(self, index: int, frame: np.ndarray) -> tuple[Times, Features]:
        """Return what a frame took, of those that were prepared, and what was found."""
        self._watch.start()
        features = self._detect(frame, self.thresholds[index])
        seconds = self._watch.total
        if self._message:
            self._message(features)
            self._watch.lap('message')
        return Times(seconds, dict(self._watch.seconds)), features


class PeerContender:
    """The peer, timed as a whole."""

    def __init__(self, model: SuperPoint, keypoints: int, device: str = 'cpu'):
        self.execution = Execution(PEER, 'float32', device)
        settings = DetectionSettings()
        self._peer = Peer(
            model, WEAKEST, settings.nms_radius, keypoints, settings.border_margin, device
        )
        self.thresholds: list[float] = []

    def prepare(self, frames: Sequence[np.ndarray]) -> None:
        """Find each frame's threshold, which warms up as well."""
        self._peer.threshold = WEAKEST
        self.thresholds = [threshold_of(self._peer(gray_of(frame))) for frame in frames]

    def __call__(self, index: int, frame: np.ndarray) -> tuple[Times, Features]:
        """Return what a frame took, of those that were prepared, and what was found."""
        self._peer.threshold = self.thresholds[index]
        start = time.perf_counter()
        features = self._peer(gray_of(frame))
        return Times(time.perf_counter() - start, {}), features


Contender = OurContender | PeerContender


def make_contender(
    execution: Execution, model: SuperPoint, keypoints: int, threads: int
) -> Contender:
    """Return what runs the network so; raise ValueError where that cannot be."""
    if execution.engine == PEER:
        return PeerContender(model, keypoints, execution.device)
    return OurContender(make_detector(model, execution, threads), keypoints)


def make_detector(model: SuperPoint, execution: Execution, threads: int, **settings) -> Detector:
    """Return a detector that runs the network so; raise ValueError where that cannot be."""
    engine = create_engine(model, execution.device, execution.precision, execution.engine, threads)
    return Detector(engine, model.config.descriptor_size, DetectionSettings(**settings))


def threshold_of(features: Features) -> float:
    """Return the threshold above which just these features lie."""
    weakest = float(features.scores.min()) if len(features) else WEAKEST
    return min(max(weakest * (1 - 1e-6), WEAKEST), 1.0)


def alternate(
    contenders: Sequence[Contender],
    frames: Sequence[Sequence[np.ndarray]],
    rounds: int,
    warm_up: int,
) -> list[list[tuple[Times, int]]]:
    """
    Return for each contender what each round took, and its number of keypoints.

    In a round each looks at one of its `frames`, which were prepared, one after the other after a
    rest: what slows the machine down for a while slows all. The order is another in each round,
    so that none always follows the same one. The first `warm_up` rounds do not count.
    """
    measured: list[list[tuple[Times, int]]] = [[] for _ in contenders]
    random = np.random.default_rng(0)
    for turn in range(-warm_up, rounds):
        for which in random.permutation(len(contenders)):
            index = turn % len(frames[which])
            time.sleep(REST)
            times, features = contenders[which](index, frames[which][index])
            if turn >= 0:
                measured[which].append((times, len(features)))
    return measured


def _message_maker() -> Callable[[Features], object] | None:
    """Return what makes a message of features; None where ROS is not installed."""
    try:
        from superpoint_ros.ros.messages.feature_messages import features_to_message, Header
    except ImportError:
        return None
    header = Header(frame_id='camera')
    return lambda features: features_to_message(features, header)
