# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The latency that the node and the middleware add to the Detector's own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
import time

import cv2
import numpy as np

from superpoint_ros.benchmark.candidates import (
    Execution,
    make_detector,
    Network,
    threshold_of,
    WEAKEST,
)
from superpoint_ros.benchmark.frame_times import percentiles, Plan, Progress
from superpoint_ros.benchmark.frames import frames_of, read_photographs
from superpoint_ros.benchmark.memory import use_threads
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.model.weights import save_weights, WeightsMetadata

BLOCK = 8
"""Frames that go through the node, or through the Detector alone, one after another."""


def measure_node(plan: Plan, out: Path, progress: Progress) -> list[dict]:
    """
    Return for each case the time from camera to subscriber beside the Detector's own.

    The node runs in another process; camera and subscriber, and a Detector of its own with the
    same settings, are in this one. Some frames go through the node and then the same frames
    through the Detector, in turn; what is added is the difference of a frame's two times. The
    next frame is sent when the last one's features are there: none has to wait. Times are in
    milliseconds. Raises what `superpoint_ros.ros.testing.latency.Probe` raises.
    """
    use_threads(plan.threads)
    photographs = [
        cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in read_photographs(plan.images)
    ]
    out.mkdir(parents=True, exist_ok=True)
    return [
        _measure(plan, network, execution, frames_of(photographs, size), out, progress)
        for network in plan.networks
        for execution in plan.executions
        for size in plan.sizes
    ]


def _measure(plan, network: Network, execution: Execution, frames, out, progress) -> dict:
    from superpoint_ros.ros.testing.latency import Probe

    height, width = frames[0].shape
    model = network.load()
    detector = make_detector(model, execution, plan.threads, max_keypoints=plan.keypoints)
    engine = detector.engine
    progress(f'{network.name} at {width}x{height} in the node, {engine.name} {engine.precision}')
    threshold = _threshold(detector, frames)
    settings = replace(detector.settings, threshold=threshold)
    weights = out / f'{network.name}.safetensors'
    save_weights(weights, model, WeightsMetadata(recipe='of a benchmark'))
    parameters = {
        'weights': str(weights),
        'engine': execution.engine,
        'precision': execution.precision,
        'device': execution.device,
        'threads': plan.threads,
        'threshold': threshold,
        'max_keypoints': plan.keypoints,
    }
    with Probe(parameters, out) as probe:
        alone_run = partial(detector, settings=settings)
        through, alone = _in_turn(probe.seconds, alone_run, frames, plan.rounds)
        stages = dict(probe.stages)
    weights.unlink()
    pairs = [(a, b) for a, b in zip(through, alone, strict=True) if a is not None]
    if not pairs:
        raise ChildProcessError(f'no image of {width}x{height} came through the node')
    added = [latency - own for latency, own in pairs]
    return {
        'network': network.name,
        'size': [width, height],
        'engine': engine.name,
        'precision': engine.precision,
        'device': detector.device,
        'rounds': len(pairs),
        'lost': len(through) - len(pairs),
        'latency': percentiles([latency for latency, _ in pairs]),
        'detector': percentiles([own for _, own in pairs]),
        'added': percentiles(added),
        'added_ms': [1e3 * each for each in added],
        'node_stages': stages,
    }


def _threshold(detector: Detector, frames) -> float:
    """Return one threshold for all frames; one of two has `max_keypoints` keypoints or more."""
    settings = replace(detector.settings, threshold=WEAKEST)
    return float(np.median([threshold_of(detector(frame, settings=settings)) for frame in frames]))


def _in_turn(
    send: Callable[[np.ndarray], float | None],
    detect: Callable[[np.ndarray], Features],
    frames,
    rounds: int,
) -> tuple[list[float | None], list[float]]:
    """Return the seconds of each frame through the node, and through the Detector alone."""

    def own(frame: np.ndarray) -> float:
        start = time.perf_counter()
        detect(frame)
        return time.perf_counter() - start

    through: list[float | None] = []
    alone: list[float] = []
    for first in range(0, rounds, BLOCK):
        block = [frames[index % len(frames)] for index in range(first, min(first + BLOCK, rounds))]
        for call, times in ((send, through), (own, alone)):
            call(block[0])  # what rested is cold, and does not count
            times += [call(frame) for frame in block]
    return through, alone
