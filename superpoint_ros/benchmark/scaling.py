# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Time and memory as functions of the image area, time as a function of the keypoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from superpoint_ros.benchmark.candidates import (
    alternate,
    Execution,
    frames_of,
    make_candidate,
    NetworkSource,
    Rounds,
    TimedDetector,
)
from superpoint_ros.benchmark.frame_memory import measure_memory
from superpoint_ros.benchmark.frame_times import (
    make_each,
    percentiles,
    Progress,
    Size,
    SpeedPlan,
    summary_of,
)
from superpoint_ros.benchmark.machine import use_threads
from superpoint_ros.common.wording import counted
from superpoint_ros.model.network_arrays import NetworkArrays

SIZES: tuple[Size, ...] = (
    (160, 120),
    (320, 240),
    (640, 480),
    (1280, 960),
    (1920, 1080),
    (2560, 1440),
    (3840, 2160),
)

KEYPOINT_COUNTS = (125, 250, 500, 1000, 2000, 4000)

REFERENCE_SIZE: Size = (640, 480)
"""Size at which keypoints are varied. Smaller frames have proportionally fewer keypoints."""

MAX_ROUNDS = 12

_PHOTOGRAPHS = 3
_AFTER = ('hessian', 'keypoints', 'descriptors', 'message')


def measure_scaling(
    plan: SpeedPlan, progress: Progress, counts: Sequence[int] = KEYPOINT_COUNTS
) -> list[dict]:
    """
    Return for each network and execution the times by size and by number of keypoints.

    `counts` are the numbers of keypoints at `REFERENCE_SIZE`. All sizes are measured in
    alternation, and so are all numbers of keypoints. Exponents are the slopes of lines fitted to
    the logarithms; 1 is linear. Memory is what a frame adds to the process. Executions that are
    not possible are skipped. Raises ValueError if none is possible.
    """
    use_threads(plan.threads)
    photographs = plan.photographs[:_PHOTOGRAPHS]

    def make(execution: Execution, model: NetworkArrays) -> TimedDetector:
        return make_candidate(execution, model, plan.keypoints, plan.threads)

    return [
        _measure(plan, network, candidate, photographs, counts, progress)
        for network, _, _, candidate in make_each(plan, make, progress)
    ]


def _measure(
    plan: SpeedPlan,
    network: NetworkSource,
    candidate: TimedDetector,
    photographs: Sequence[np.ndarray],
    counts: Sequence[int],
    progress: Progress,
) -> dict:
    """Return the measurements of one network and execution."""
    progress(f'{network.name} at {counted(len(plan.sizes), "size")}')
    areas = _at_sizes(plan, network, candidate, photographs)
    progress(f'{network.name} with different numbers of keypoints: {len(counts)}')
    keypoints = _with_keypoints(plan, candidate, counts, frames_of(photographs, REFERENCE_SIZE))
    pixels = [width * height for width, height in plan.sizes]
    memory = [each['memory']['frame'] for each in areas if each['memory']]
    return {
        'network': network.name,
        **candidate.execution._asdict(),
        'areas': areas,
        'area_exponent': exponent(pixels, [each['frame']['p50'] for each in areas]),
        'memory_exponent': exponent(pixels, memory) if memory else None,
        'memory_line': line_through(pixels, memory) if memory else None,
        'largest_bytes_per_pixel': areas[int(np.argmax(pixels))]['bytes_per_pixel'],
        'keypoints_size': list(REFERENCE_SIZE),
        'keypoints': keypoints,
        'keypoints_exponent': exponent(
            [each['keypoints'] for each in keypoints],
            [each['after']['p50'] for each in keypoints],
        ),
    }


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the exponent of growth of the values; None for fewer than two different sizes."""
    usable = [(size, value) for size, value in zip(sizes, values, strict=True) if value > 0]
    if len({size for size, _ in usable}) < 2:
        return None
    x, y = np.log(np.array(usable, float).T)
    return float(np.polyfit(x, y, 1)[0])


def line_through(pixels: Sequence[float], needed: Sequence[float]) -> dict[str, float] | None:
    """Return the constant and the bytes per pixel of a fitted line; None for a single size."""
    if len(set(pixels)) < 2:
        return None
    per_pixel, constant = np.polyfit(pixels, needed, 1)
    return {'constant': float(constant), 'per_pixel': float(per_pixel)}


def _at_sizes(
    plan: SpeedPlan,
    network: NetworkSource,
    candidate: TimedDetector,
    photographs: Sequence[np.ndarray],
) -> list[dict]:
    """Return times and memory of frames of each size."""
    candidates, frames = [], []
    for size in plan.sizes:
        share = min(size[0] * size[1] / (REFERENCE_SIZE[0] * REFERENCE_SIZE[1]), 1.0)
        candidates.append(candidate.with_keypoints(max(1, round(plan.keypoints * share))))
        frames.append(frames_of(photographs, size))
    result = []
    for each, own, rounds in _measured(candidates, frames, plan):
        height, width = own[0].shape[:2]
        memory = None
        if plan.memory:
            count = each.detector.settings.max_keypoints
            memory = measure_memory(
                network, each.execution, own[0], each.thresholds[0], count, plan.threads
            )
        result.append(
            {
                'size': [width, height],
                **summary_of(rounds),
                'memory': memory._asdict() if memory else None,
                'bytes_per_pixel': memory.frame / (width * height) if memory else None,
            }
        )
    return result


def _with_keypoints(
    plan: SpeedPlan,
    candidate: TimedDetector,
    counts: Sequence[int],
    frames: Sequence[np.ndarray],
) -> list[dict]:
    """Return times of frames with each number of keypoints."""
    candidates = [candidate.with_keypoints(count) for count in counts]
    result = []
    for _, _, rounds in _measured(candidates, [frames] * len(candidates), plan):
        after = [sum(each.stages.get(stage, 0.0) for stage in _AFTER) for each in rounds.times]
        result.append({**summary_of(rounds), 'after': percentiles(after)})
    return result


def _measured(
    candidates: Sequence[TimedDetector], frames: Sequence[Sequence[np.ndarray]], plan: SpeedPlan
) -> Iterator[tuple[TimedDetector, Sequence[np.ndarray], Rounds]]:
    """Return each candidate with its frames and its measured rounds."""
    for candidate, own in zip(candidates, frames, strict=True):
        candidate.prepare(own)
    measured = alternate(candidates, frames, min(plan.rounds, MAX_ROUNDS), warm_up=1)
    return zip(candidates, frames, measured, strict=True)
