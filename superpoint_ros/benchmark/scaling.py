"""Time and memory against the image's area, and time against the number of keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.benchmark.contenders import alternate, Execution, make_contender, Network
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

_PHOTOGRAPHS = 3
_FEWEST_ROUNDS = 3
_AFTER = ('decoding', 'sampling', 'message')


def measure_scaling(plan: Plan, progress: Progress) -> list[dict]:
    """
    Return for each network and execution what changes with the plan's sizes and with keypoints.

    Frames have the plan's keypoints, those smaller than `USUAL` fewer in proportion. Exponents are
    slopes of lines through logarithms; 1 is linear. Memory is what frames add to the process.
    """
    use_threads(plan.threads)
    photographs = read_photographs(plan.images)[:_PHOTOGRAPHS]
    return [
        _measure(plan, network, execution, photographs, progress)
        for network in plan.networks
        for execution in plan.executions
    ]


def _measure(plan, network: Network, execution: Execution, photographs, progress) -> dict:
    model = network.load()
    areas = []
    for size in plan.sizes:
        progress(f'{network.name} at {size[0]}x{size[1]}')
        areas.append(_at_size(plan, network, model, execution, size, photographs))
    keypoints = []
    frames = frames_of(photographs, USUAL)
    for count in KEYPOINTS:
        progress(f'{network.name} with {count} keypoints')
        keypoints.append(_with_keypoints(plan, model, execution, count, frames))
    pixels = [width * height for width, height in plan.sizes]
    memory = [each['memory']['frame'] for each in areas if each['memory']]
    contender = make_contender(execution, model, plan.keypoints, plan.threads)
    engine = contender.detector.engine
    return {
        'network': network.name,
        'engine': engine.name,
        'precision': engine.precision,
        'device': contender.detector.device,
        'areas': areas,
        'area_exponent': exponent(pixels, [each['frame']['p50'] for each in areas]),
        'memory_exponent': exponent(pixels, memory) if memory else None,
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


def _at_size(plan, network: Network, model, execution: Execution, size: Size, photographs) -> dict:
    """Return times and memory of frames of a size."""
    share = size[0] * size[1] / (USUAL[0] * USUAL[1])
    count = max(1, round(plan.keypoints * min(share, 1.0)))
    rounds = max(_FEWEST_ROUNDS, round(plan.rounds * min(1 / share, 1.0)))
    frames = frames_of(photographs, size)
    contender = make_contender(execution, model, count, plan.threads)
    contender.prepare(frames)
    [measured] = alternate([contender], frames, rounds, warm_up=1)
    memory = None
    if plan.memory:
        threshold = contender.thresholds[0]
        memory = measure_memory(network, execution, frames[0], threshold, count, plan.threads)
    return {
        'size': list(size),
        'keypoints': float(np.mean([found for _, found in measured])),
        **summary_of([times for times, _ in measured]),
        'memory': memory._asdict() if memory else None,
        'bytes_per_pixel': memory.frame / (size[0] * size[1]) if memory else None,
    }


def _with_keypoints(plan, model, execution: Execution, count: int, frames) -> dict:
    """Return times of frames with so many keypoints."""
    contender = make_contender(execution, model, count, plan.threads)
    contender.prepare(frames)
    rounds = max(_FEWEST_ROUNDS, plan.rounds // 2)
    [measured] = alternate([contender], frames, rounds, warm_up=1)
    times = [each for each, _ in measured]
    after = [sum(each.stages.get(stage, 0.0) for stage in _AFTER) for each in times]
    return {
        'keypoints': float(np.mean([found for _, found in measured])),
        **summary_of(times),
        'after': percentiles(after),
    }
