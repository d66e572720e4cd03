# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Latency that the node and the middleware add to the time of the Detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
import time

import cv2
import numpy as np

from superpoint_ros.benchmark.candidates import (
    Execution,
    frames_of,
    LOWEST_THRESHOLD,
    make_detector,
    threshold_of,
)
from superpoint_ros.benchmark.frame_times import make_each, percentiles, Progress, SpeedPlan
from superpoint_ros.benchmark.machine import use_threads
from superpoint_ros.detector import Detector
from superpoint_ros.features import Features
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.weights import save_weights, WeightsMetadata

BLOCK = 8
"""Number of consecutive frames through the node, then through the Detector alone."""


def measure_node(plan: SpeedPlan, out: Path, progress: Progress) -> list[dict]:
    """
    Return for each case the latency from camera to subscriber and the time of the Detector alone.

    The node runs in another process; camera, subscriber and a Detector with the same settings are
    in this one. `BLOCK` frames go through the node, then the same frames through the Detector, and
    so on; the added latency is the difference of the two times of a frame. A frame is sent after
    the features of the previous one have arrived, so that no frame waits. The latency of a node
    that waits as long as the Detector takes (`superpoint_ros.ros.testing.relay_node`) is measured
    in the same way: without that time, it is what rclpy and the middleware take. Times are in
    milliseconds. Executions that are not possible are skipped. Raises ValueError if none is
    possible, and what `superpoint_ros.ros.testing.latency.Probe` raises.
    """
    use_threads(plan.threads)
    photographs = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in plan.photographs]
    out.mkdir(parents=True, exist_ok=True)

    def make(execution: Execution, model: NetworkArrays) -> Detector:
        return make_detector(model, execution, plan.threads, max_keypoints=plan.keypoints)

    results = []
    for network, model, execution, detector in make_each(plan, make, progress):
        weights = out / f'{network.name}.safetensors'
        save_weights(weights, model, WeightsMetadata(recipe='benchmark'))
        try:
            for size in plan.sizes:
                frames = frames_of(photographs, size)
                results.append(_measure(plan, weights, execution, detector, frames, progress))
        finally:
            weights.unlink()
    return results


def _measure(
    plan: SpeedPlan,
    weights: Path,
    execution: Execution,
    detector: Detector,
    frames: Sequence[np.ndarray],
    progress: Progress,
) -> dict:
    """Return the measurements of one case, whose detector has this weight file and execution."""
    from superpoint_ros.ros.testing.latency import Probe

    height, width = frames[0].shape
    name, engine = weights.stem, detector.engine
    progress(f'{name} at {width}x{height} in the node, {engine.name} {engine.precision}')
    threshold = _threshold(detector, frames)
    detect = partial(detector, settings=replace(detector.settings, threshold=threshold))
    parameters = {
        'weights': str(weights),
        'engine': execution.engine,
        'precision': execution.precision,
        'device': execution.device,
        'threads': plan.threads,
        'threshold': threshold,
        'max_keypoints': plan.keypoints,
    }
    with Probe(parameters, weights.parent) as probe:
        through, alone = _alternate_blocks(probe.seconds, detect, frames, plan.rounds)
        stages = dict(probe.stages)
    pause = float(np.median(alone))
    message = {
        'keypoints': plan.keypoints,
        'descriptor_size': detector.descriptor_size,
        'seconds': pause,
    }
    with Probe(message, weights.parent, relay=True) as probe:
        relayed, _ = _alternate_blocks(probe.seconds, detect, frames, plan.rounds)
    if not any(through):
        raise ChildProcessError(f'the node returned no features for images of {width}x{height}')
    return {
        'network': name,
        'size': [width, height],
        'engine': engine.name,
        'precision': engine.precision,
        'device': detector.device,
        **_summary_of(through, alone),
        'relay': percentiles([each - pause for each in relayed if each is not None]),
        'node_stages': stages,
    }


def _summary_of(through: Sequence[float | None], alone: Sequence[float]) -> dict:
    """Return the latencies of frames in seconds, None if lost, and of the Detector alone."""
    pairs = [(a, b) for a, b in zip(through, alone, strict=True) if a is not None]
    added = [latency - own for latency, own in pairs]
    return {
        'rounds': len(pairs),
        'lost': len(through) - len(pairs),
        'latency': percentiles([latency for latency, _ in pairs]),
        'detector': percentiles([own for _, own in pairs]),
        'added': percentiles(added),
        'added_ms': [1e3 * each for each in added],
    }


def _threshold(detector: Detector, frames: Sequence[np.ndarray]) -> float:
    """Return one threshold with which half of the frames reach `max_keypoints`."""
    settings = replace(detector.settings, threshold=LOWEST_THRESHOLD)
    return float(np.median([threshold_of(detector(frame, settings=settings)) for frame in frames]))


def _alternate_blocks(
    send: Callable[[np.ndarray], float | None],
    detect: Callable[[np.ndarray], Features],
    frames: Sequence[np.ndarray],
    rounds: int,
) -> tuple[list[float | None], list[float]]:
    """Return the seconds of each frame through the node and through the Detector alone."""

    def own(frame: np.ndarray) -> float:
        start = time.perf_counter()
        detect(frame)
        return time.perf_counter() - start

    through: list[float | None] = []
    alone: list[float] = []
    for first in range(0, rounds, BLOCK):
        block = [frames[index % len(frames)] for index in range(first, min(first + BLOCK, rounds))]
        for call, times in ((send, through), (own, alone)):
            call(block[0])  # caches are cold after the rest: not counted
            times += [call(frame) for frame in block]
    return through, alone
