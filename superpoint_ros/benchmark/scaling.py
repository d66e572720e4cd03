# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Time and memory against the image's area, and time against the number of keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.benchmark.candidates import (
    alternate,
    Execution,
    make_contender,
    Network,
    OurContender,
)
from superpoint_ros.benchmark.frame_times import percentiles, Plan, Progress, Size, summary_of
from superpoint_ros.benchmark.frames import frames_of, read_photographs
from superpoint_ros.benchmark.memory import measure_memory, use_threads

SIZES: tuple[Size, ...] = (
    (160, 120),
    (320, 240),
    (640, 480),
    (1280, 960),
    (1920, 1080),
    (2560, 1440),
    (3840, 2160),
)

KEYPOINTS = (125, 250, 500, 1000, 2000, 4000)

USUAL: Size = (640, 480)
"""The size at which the number of keypoints changes, and from which on it is all a plan's."""

MOST_ROUNDS = 12

_PHOTOGRAPHS = 3
_AFTER = ('blobs', 'decoding', 'sampling', 'message')


def measure_scaling(
    plan: Plan, progress: Progress, counts: Sequence[int] = KEYPOINTS
) -> list[dict]:
    """
    Return for each network and execution what changes with the plan's sizes and with keypoints.

    `counts` are the numbers of keypoints, at `USUAL`.

    Frames have the plan's keypoints, those smaller than `USUAL` fewer in proportion. All sizes are
    looked at in turn, and so are all numbers of keypoints. Exponents are slopes of lines through
    logarithms; 1 is linear. Memory is what frames add to the process.
    """
    use_threads(plan.threads)
    photographs = read_photographs(plan.images)[:_PHOTOGRAPHS]
    return [
        _measure(plan, network, execution, photographs, counts, progress)
        for network in plan.networks
        for execution in plan.executions
    ]


def _measure(plan, network: Network, execution: Execution, photographs, counts, progress) -> dict:
    model = network.load()
    contender = make_contender(execution, model, plan.keypoints, plan.threads)
    progress(f'{network.name} at {len(plan.sizes)} sizes')
    areas = _at_sizes(plan, network, contender, photographs)
    progress(f'{network.name} with {len(counts)} numbers of keypoints')
    keypoints = _with_keypoints(plan, contender, counts, frames_of(photographs, USUAL))
    pixels = [width * height for width, height in plan.sizes]
    memory = [each['memory']['frame'] for each in areas if each['memory']]
    return {
        'network': network.name,
        **contender.execution._asdict(),
        'areas': areas,
        'area_exponent': exponent(pixels, [each['frame']['p50'] for each in areas]),
        'memory_exponent': exponent(pixels, memory) if memory else None,
        'memory_line': line_through(pixels, memory) if memory else None,
        'largest_bytes_per_pixel': areas[int(np.argmax(pixels))]['bytes_per_pixel'],
        'keypoints_size': list(USUAL),
        'keypoints': keypoints,
        'keypoints_exponent': exponent(
            [each['keypoints'] for each in keypoints],
            [each['after']['p50'] for each in keypoints],
        ),
    }


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the power of the sizes with which the values grow; None of fewer than two."""
    usable = [(size, value) for size, value in zip(sizes, values, strict=True) if value > 0]
    if len({size for size, _ in usable}) < 2:
        return None
    x, y = np.log(np.array(usable, float).T)
    return float(np.polyfit(x, y, 1)[0])


def line_through(pixels: Sequence[float], needed: Sequence[float]) -> dict[str, float] | None:
    """Return bytes that an image takes whatever its size, and those of a pixel."""
    if len(set(pixels)) < 2:
        return None
    per_pixel, constant = np.polyfit(pixels, needed, 1)
    return {'constant': float(constant), 'per_pixel': float(per_pixel)}


def _at_sizes(plan, network: Network, contender: OurContender, photographs) -> list[dict]:
    """Return times and memory of frames of each size."""
    contenders, frames = [], []
    for size in plan.sizes:
        share = min(size[0] * size[1] / (USUAL[0] * USUAL[1]), 1.0)
        contenders.append(contender.with_keypoints(max(1, round(plan.keypoints * share))))
        frames.append(frames_of(photographs, size))
    result = []
    for each, own, rounds in _measured(contenders, frames, plan):
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
                'keypoints': float(np.mean([found for _, found in rounds])),
                **summary_of([times for times, _ in rounds]),
                'memory': memory._asdict() if memory else None,
                'bytes_per_pixel': memory.frame / (width * height) if memory else None,
            }
        )
    return result


def _with_keypoints(plan, contender: OurContender, counts, frames) -> list[dict]:
    """Return times of frames with each number of keypoints."""
    contenders = [contender.with_keypoints(count) for count in counts]
    result = []
    for _, _, rounds in _measured(contenders, [frames] * len(contenders), plan):
        times = [each for each, _ in rounds]
        after = [sum(each.stages.get(stage, 0.0) for stage in _AFTER) for each in times]
        result.append(
            {
                'keypoints': float(np.mean([found for _, found in rounds])),
                **summary_of(times),
                'after': percentiles(after),
            }
        )
    return result


def _measured(contenders: Sequence[OurContender], frames, plan):
    """Return each contender with its frames and what its rounds took."""
    for contender, own in zip(contenders, frames, strict=True):
        contender.prepare(own)
    measured = alternate(contenders, frames, min(plan.rounds, MOST_ROUNDS), warm_up=1)
    return zip(contenders, frames, measured, strict=True)
