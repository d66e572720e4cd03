# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is timed on the same frames: detectors of the package and the plain baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
import time
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch

from superpoint_ros.benchmark.plain_superpoint import PlainDetector
from superpoint_ros.data.sequences.image_files import (
    convert_color,
    evenly_spaced,
    find_photographs,
    load_images,
)
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.engines.engine import create_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.features import Features
from superpoint_ros.model.config import CONFIGURATIONS
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import build_network, SuperPoint
from superpoint_ros.model.weights import read_weights
from superpoint_ros.resources import find_weights

FRAME_STAGES = ('preprocessing', 'hessian', 'network', 'keypoints', 'descriptors', 'message')
"""Stages of a frame in order; the last is not part of the Detector. On CUDA the whole graph, with
all that follows the network, counts as 'network'."""

BASELINE = 'baseline'
"""The `engine` of the plain baseline."""

PAUSE = 0.03
"""
Seconds of rest before each turn.

The threads of the previous candidate keep spinning for some milliseconds and would take processor
time from the next one.
"""

LOWEST_THRESHOLD = 1e-5
"""Detection threshold with which a frame has more keypoints than any benchmark asks for."""

MAX_PHOTOGRAPHS = 8
"""Number of photographs that are used of a folder."""


def read_photographs(
    folder: str | Path | None = None, skipped: list[Path] | None = None
) -> list[np.ndarray]:
    """
    Return the photographs of the package, or at most `MAX_PHOTOGRAPHS` of a folder, uint8 BGR.

    Files that cannot be read are skipped as in `read_each`. Raises NotADirectoryError if there is
    no such folder, ValueError if it has no images.
    """
    chosen = evenly_spaced(find_photographs(folder), MAX_PHOTOGRAPHS)
    return list(load_images(chosen, color=True, skipped=skipped))


def frames_of(photographs: Sequence[np.ndarray], size: tuple[int, int]) -> list[np.ndarray]:
    """Return the centre of each photograph as a frame (width, height), without distortion."""
    width, height = size
    frames = []
    for photograph in photographs:
        full_height, full_width = photograph.shape[:2]
        scale = min(full_width / width, full_height / height)
        part_width, part_height = round(width * scale), round(height * scale)
        x, y = (full_width - part_width) // 2, (full_height - part_height) // 2
        part = photograph[y : y + part_height, x : x + part_width]
        interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
        frames.append(cv2.resize(part, size, interpolation=interpolation))
    return frames


class NetworkSource(NamedTuple):
    """The name of a network and its weight file; without a file, the weights are random."""

    name: str
    weights: str = ''

    def load(self) -> NetworkArrays:
        """
        Return the network; raise what `read_weights` raises.

        Without a weight file, `name` is that of a configuration, and the random weights are the
        same every time.
        """
        if self.weights:
            return read_weights(find_weights(self.weights))[0]
        if self.name not in CONFIGURATIONS:
            raise ValueError(
                f'unknown network {self.name}: choose from {", ".join(CONFIGURATIONS)}, or give '
                'a weight file'
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = SuperPoint(CONFIGURATIONS[self.name]).eval()
            with torch.no_grad():
                # With the default initialization, all pixels have nearly the same probability.
                for name, parameter in model.named_parameters():
                    if name.endswith('weight'):
                        torch.nn.init.kaiming_normal_(parameter)
        return NetworkArrays.of(model)


class Execution(NamedTuple):
    """How a network is run: fields of `ExecutionSettings`, or the engine `BASELINE`."""

    engine: str
    precision: str = 'float32'
    device: str = 'cpu'


class FrameTime(NamedTuple):
    """Seconds from a uint8 BGR frame to `Features`, and the seconds of each stage."""

    frame: float
    stages: dict[str, float]


@dataclass
class Rounds:
    """Times of a candidate, and the number of keypoints that it found, in each round."""

    times: list[FrameTime] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> np.ndarray:
        """Return the time of the frame in each round."""
        return np.array([each.frame for each in self.times])

    @property
    def keypoints(self) -> float:
        """Return the mean number of keypoints."""
        return float(np.mean(self.counts))


class Stopwatch:
    """Sums of seconds by stage; `synchronize` is called before each reading of the clock."""

    def __init__(self, synchronize: Callable[[], None] = lambda: None):
        self._synchronize = synchronize
        self.seconds: dict[str, float] = {}

    def now(self) -> float:
        """Return the time in seconds, after all work on the device."""
        self._synchronize()
        return time.perf_counter()

    def timed(self, stage: str, function: Callable) -> Callable:
        """Return a function that does the same and adds the time it takes to a stage."""

        def run(*args, **options):
            start = self.now()
            result = function(*args, **options)
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self.now() - start
            return result

        return run


class TimedDetector:
    """A detector with timed stages; each frame has the threshold that gives `keypoints`."""

    def __init__(self, detector: Detector, keypoints: int):
        engine = detector.engine
        self.execution = Execution(engine.name, engine.precision, detector.device)
        settings = replace(detector.settings, max_keypoints=keypoints)
        self.detector = Detector(detector.engine, detector.descriptor_size, settings)
        is_cuda = self.detector.device.startswith('cuda')
        self._watch = Stopwatch(torch.cuda.synchronize if is_cuda else lambda: None)
        # Detectors have no stopwatch, which would cost time in every use. Instead, methods of this
        # detector and its pipeline, which nothing else uses, are replaced by timed ones.
        pipeline = self.detector.pipeline
        steps = [(self.detector, 'preprocessing', 'preprocess')]
        steps += [(pipeline, stage, name) for stage, name in pipeline.STEPS.items()]
        for owner, stage, name in steps:
            setattr(owner, name, self._watch.timed(stage, getattr(owner, name)))
        make_message = _message_maker()
        self._make_message = make_message and self._watch.timed('message', make_message)
        self.thresholds: list[float] = []

    def with_keypoints(self, keypoints: int) -> TimedDetector:
        """Return a timed detector for another number of keypoints, with the same network."""
        return TimedDetector(self.detector, keypoints)

    def prepare(self, frames: Sequence[np.ndarray]) -> None:
        """Find the threshold of each frame; this also warms up."""
        self.thresholds = [threshold_of(self._detect(frame, LOWEST_THRESHOLD)) for frame in frames]

    def _detect(self, frame: np.ndarray, threshold: float) -> Features:
        settings = replace(self.detector.settings, threshold=threshold)
        return self.detector(frame, settings=settings)

    def __call__(self, index: int, frame: np.ndarray) -> tuple[FrameTime, Features]:
        """Return the time and the features of the prepared frame with this index."""
        self._watch.seconds.clear()
        start = self._watch.now()
        features = self._detect(frame, self.thresholds[index])
        seconds = self._watch.now() - start
        if self._make_message:
            self._make_message(features)
        return FrameTime(seconds, dict(self._watch.seconds)), features


class TimedBaseline:
    """The plain baseline, timed as a whole."""

    def __init__(self, network: NetworkArrays, keypoints: int, device: str = 'cpu'):
        self.execution = Execution(BASELINE, 'float32', device)
        settings = DetectionSettings()
        self._baseline = PlainDetector(
            build_network(network), settings.nms_radius, keypoints, settings.border_margin, device
        )
        self.thresholds: list[float] = []

    def prepare(self, frames: Sequence[np.ndarray]) -> None:
        """Find the threshold of each frame; this also warms up."""
        self.thresholds = [
            threshold_of(self._baseline(convert_color(frame, color=False), LOWEST_THRESHOLD))
            for frame in frames
        ]

    def __call__(self, index: int, frame: np.ndarray) -> tuple[FrameTime, Features]:
        """Return the time and the features of the prepared frame with this index."""
        start = time.perf_counter()
        features = self._baseline(convert_color(frame, color=False), self.thresholds[index])
        return FrameTime(time.perf_counter() - start, {}), features


class TimedCandidate(Protocol):
    """Anything that is timed in alternation."""

    def __call__(self, index: int, frame: np.ndarray) -> tuple[FrameTime, Sized]:
        """Return the time and the keypoints of a prepared frame with its index."""


def make_candidate(
    execution: Execution, network: NetworkArrays, keypoints: int, threads: int
) -> TimedDetector | TimedBaseline:
    """Return a candidate that runs the network; raise ValueError if it cannot be run like this."""
    if execution.engine == BASELINE:
        return TimedBaseline(network, keypoints, execution.device)
    return TimedDetector(make_detector(network, execution, threads), keypoints)


def make_detector(
    network: NetworkArrays, execution: Execution, threads: int, **settings
) -> Detector:
    """Return a detector that runs the network; raise ValueError if it cannot be run like this."""
    engine = create_engine(network, ExecutionSettings(**execution._asdict(), threads=threads))
    return Detector(engine, network.config.descriptor_size, DetectionSettings(**settings))


def threshold_of(features: Features) -> float:
    """Return the threshold that keeps exactly these features."""
    lowest = float(features.scores.min()) if len(features) else LOWEST_THRESHOLD
    return min(max(lowest * (1 - 1e-6), LOWEST_THRESHOLD), 1.0)


def alternate(
    candidates: Sequence[TimedCandidate],
    frames: Sequence[Sequence[np.ndarray]],
    rounds: int,
    warm_up: int,
) -> list[Rounds]:
    """
    Return the rounds of each candidate.

    In a round, every candidate processes one of its prepared `frames`, one after the other with a
    pause between them, so that a temporary slowdown of the machine affects all of them. The order
    changes randomly, so that no candidate always follows the same one. The first `warm_up` rounds
    do not count.
    """
    measured = [Rounds() for _ in candidates]
    random = np.random.default_rng(0)
    for turn in range(-warm_up, rounds):
        for number in random.permutation(len(candidates)):
            index = turn % len(frames[number])
            time.sleep(PAUSE)
            times, features = candidates[number](index, frames[number][index])
            if turn >= 0:
                measured[number].times.append(times)
                measured[number].counts.append(len(features))
    return measured


def _message_maker() -> Callable[[Features], object] | None:
    """Return a function that makes a message of features; None if ROS is not installed."""
    try:
        from superpoint_ros.ros.messages.feature_messages import features_to_message, Header
    except ImportError:
        return None
    header = Header(frame_id='camera')
    return lambda features: features_to_message(features, header)
