# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Times of whole frames: stages, rate, share of the peak, memory, ratio to the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from superpoint_ros.benchmark.candidates import (
    alternate,
    BASELINE,
    Execution,
    FRAME_STAGES,
    frames_of,
    make_candidate,
    NetworkSource,
    read_photographs,
    Rounds,
    TimedBaseline,
    TimedDetector,
)
from superpoint_ros.benchmark.frame_memory import measure_memory
from superpoint_ros.benchmark.machine import (
    memory_bandwidth,
    peak_rate,
    PEAK_SIDES,
    use_threads,
)
from superpoint_ros.benchmark.other_detectors import TimedMethod, TimedOnnx
from superpoint_ros.benchmark.roofline import multiply_adds, network_traffic, roofline
from superpoint_ros.common.wording import counted
from superpoint_ros.model.config import PAPER, SuperPointConfig
from superpoint_ros.model.network_arrays import NetworkArrays

Size = tuple[int, int]

Progress = Callable[[str], None]
"""Function that is called with what is being measured."""

_Made = TypeVar('_Made')


@dataclass(frozen=True)
class SpeedPlan:
    """
    What is measured: each network with each execution at each size.

    Attributes:
        sizes: frames as (width, height).
        networks: networks to run.
        executions: how each network is run.
        methods: detectors of OpenCV, names of `other_detectors.METHODS`.
        onnx: other detectors, see `other_detectors.TimedOnnx`.
        keypoints: number of keypoints of each frame.
        rounds: measured rounds, after the warm-up.
        warm_up: rounds that do not count.
        threads: threads on the CPU.
        photographs: uint8 BGR, by default those of the package.
        memory: whether memory is measured, which starts a process for each case.
        peak_sides: sides of the matrices whose products give the machine's peak.

    """

    sizes: Sequence[Size] = ((640, 480),)
    networks: Sequence[NetworkSource] = (NetworkSource('paper'), NetworkSource('compact'))
    executions: Sequence[Execution] = (Execution('torch'),)
    methods: Sequence[str] = ()
    onnx: Sequence[str | Path] = ()
    keypoints: int = 1000
    rounds: int = 40
    warm_up: int = 3
    threads: int = 1
    photographs: Sequence[np.ndarray] = field(default_factory=read_photographs)
    memory: bool = True
    peak_sides: Sequence[int] = PEAK_SIDES


class _Entry(NamedTuple):
    """A network, its configuration with and without dead channels, and its candidate."""

    network: NetworkSource
    config: SuperPointConfig
    executed: SuperPointConfig
    candidate: TimedDetector | TimedBaseline


def measure_frames(plan: SpeedPlan, progress: Progress) -> dict:
    """
    Return the measurements for JSON: peaks, bandwidths, cases, other methods, what cannot be run.

    `ratio` of a case is the time of the baseline with the same network divided by its own time,
    `ratio_to_paper` uses the baseline with the paper's network if that is measured; both are
    medians over the rounds. `orb_ratio` is the time of a case divided by that of ORB, if that is
    among the plan's methods. `methods` has a case for each of OpenCV's and each ONNX file. Times
    are in milliseconds, rates in multiply-adds per second, memory in bytes. Raises ValueError if
    nothing can be run.
    """
    use_threads(plan.threads)
    skipped: dict[str, str] = {}
    entries = [entry for network in plan.networks for entry in _entries(plan, network, skipped)]
    methods: list[TimedMethod | TimedOnnx]
    methods = [TimedMethod(name, plan.keypoints) for name in plan.methods]
    methods += [TimedOnnx(path, plan.threads) for path in plan.onnx]
    peaks, cases, others = [_peaks(plan, entries)], [], []
    for size in plan.sizes:
        candidates = counted(len(entries) + len(methods), 'candidate')
        progress(f'{candidates} at {size[0]}x{size[1]}')
        frames = frames_of(plan.photographs, size)
        of_size, of_methods = _measure_size(plan, entries, methods, frames, progress)
        cases += of_size
        others += of_methods
        progress('peak rate of the machine')
        peaks.append(_peaks(plan, entries))
    kinds = dict.fromkeys(kind for peak in peaks for kind in peak)
    best = {kind: _highest(peak.get(kind) for peak in peaks) for kind in kinds}
    devices = dict.fromkeys(case['device'] for case in cases)
    bandwidths = {device: memory_bandwidth(device) for device in devices}
    for case in cases:
        peak = best[_kind(case['precision'], case['device'])]
        network = case['stages'].get('network')
        bounds = None
        if network:
            work = case['multiply_adds'], case['traffic'], network['p50']
            bounds = roofline(*work, peak, bandwidths[case['device']])._asdict()
        case['roofline'] = bounds
    return {
        'peaks': best,
        'bandwidths': bandwidths,
        'cases': cases,
        'methods': others,
        'skipped': skipped,
    }


def _highest(rates: Iterable[float | None]) -> float | None:
    """Return the highest known rate: a busy machine seldom reaches its peak."""
    return max((rate for rate in rates if rate is not None), default=None)


def _peaks(plan: SpeedPlan, entries: Sequence[_Entry]) -> dict[str, float | None]:
    """Return the peak rate of each precision in use, in multiply-adds per second."""
    used = dict.fromkeys(each.candidate.execution[1:] for each in entries)
    return {
        _kind(precision, device): peak_rate(precision, torch.device(device), plan.peak_sides)
        for precision, device in used
    }


def _kind(precision: str, device: str) -> str:
    return precision if device == 'cpu' else f'{precision} on {device}'


def _entries(plan: SpeedPlan, network: NetworkSource, skipped: dict[str, str]) -> list[_Entry]:
    """
    Return the baseline and the possible executions of a network; add others to `skipped`.

    All are kept, because they are timed in alternation; `make_each` makes one after the other.
    """
    model = network.load()
    pruned = model.prepare_for_inference().config

    def entry(execution: Execution) -> _Entry:
        candidate = make_candidate(execution, model, plan.keypoints, plan.threads)
        executed = model.config if execution.engine == BASELINE else pruned
        return _Entry(network, model.config, executed, candidate)

    entries = [entry(Execution(BASELINE, 'float32', plan.executions[0].device))]
    for execution in plan.executions:
        try:
            entries.append(entry(execution))
        except (ValueError, ImportError) as error:
            skipped[f'{execution.engine} {execution.precision}'] = str(error)
    if len(entries) == 1:
        reasons = dict.fromkeys(skipped.values())
        raise ValueError(f'nothing can be measured: {"; ".join(reasons)}')
    return entries


def _measure_size(
    plan: SpeedPlan,
    entries: Sequence[_Entry],
    methods: Sequence[TimedMethod | TimedOnnx],
    frames: Sequence[np.ndarray],
    progress: Progress,
) -> tuple[list[dict], list[dict]]:
    """Return one case for each entry and each other method, measured in alternation."""
    for each in entries:
        each.candidate.prepare(frames)
    candidates = [*(each.candidate for each in entries), *methods]
    together = alternate(candidates, [frames] * len(candidates), plan.rounds, plan.warm_up)
    measured, of_methods = together[: len(entries)], together[len(entries) :]
    names = [method.name for method in methods]
    orb = of_methods[names.index('ORB')].seconds if 'ORB' in names else None
    baselines = {
        each.network: own.seconds
        for each, own in zip(entries, measured, strict=True)
        if each.candidate.execution.engine == BASELINE
    }
    of_paper = [baselines[each.network] for each in entries if each.config == PAPER]
    height, width = frames[0].shape[:2]
    size = (width, height)
    cases = []
    for each, own in zip(entries, measured, strict=True):
        case = _timed_case(each, own, size, orb)
        # Ratios are taken within a round: a slowdown of the machine affects both times.
        case['ratio'] = _median_ratio(baselines[each.network], own.seconds)
        case['ratio_to_paper'] = _median_ratio(of_paper[0], own.seconds) if of_paper else None
        if plan.memory:
            case['memory'] = _memory_of(plan, each, frames[0], progress)
        cases.append(case)
    others = [
        {
            'method': method.name,
            'library': method.library,
            'size': [*size],
            'frame': percentiles(own.seconds),
            'keypoints': own.keypoints,
            'orb_ratio': _median_ratio(own.seconds, orb),
        }
        for method, own in zip(methods, of_methods, strict=True)
    ]
    return cases, others


def _memory_of(
    plan: SpeedPlan, entry: _Entry, frame: np.ndarray, progress: Progress
) -> dict | None:
    """Return the memory of an entry, measured in a new process; None if not on Linux."""
    execution, threshold = entry.candidate.execution, entry.candidate.thresholds[0]
    progress(f'memory of {entry.network.name}, {execution.engine} {execution.precision}')
    memory = measure_memory(
        entry.network, execution, frame, threshold, plan.keypoints, plan.threads
    )
    return memory._asdict() if memory else None


def _timed_case(
    entry: _Entry, rounds: Rounds, size: tuple[int, int], orb: np.ndarray | None
) -> dict:
    """Return the measurements of an entry, without its ratios to baselines."""
    execution = entry.candidate.execution
    case = {
        'network': entry.network.name,
        'weights': Path(entry.network.weights).name if entry.network.weights else 'random',
        'size': [*size],
        **execution._asdict(),
        **summary_of(rounds),
        'orb_ratio': _median_ratio(rounds.seconds, orb),
        'multiply_adds': multiply_adds(entry.executed, size),
        'traffic': network_traffic(entry.executed, size, execution.precision),
    }
    network = case['stages'].get('network')
    case['rate'] = case['multiply_adds'] / network['p50'] * 1e3 if network else None
    return case


def _median_ratio(seconds: np.ndarray, others: np.ndarray | None) -> float | None:
    """Return the median of the ratios within each round; None without others."""
    return None if others is None else float(np.median(seconds / others))


def summary_of(rounds: Rounds) -> dict:
    """Return the mean number of keypoints, and p50 and p99 of frame and stages in milliseconds."""
    stages = [each.stages for each in rounds.times]
    return {
        'keypoints': rounds.keypoints,
        'frame': percentiles(rounds.seconds),
        'stages': {
            name: percentiles([each.get(name, 0.0) for each in stages])
            for name in FRAME_STAGES
            if any(name in each for each in stages)
        },
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile, in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return {'p50': float(p50), 'p99': float(p99)}


def make_each(
    plan: SpeedPlan, make: Callable[[Execution, NetworkArrays], _Made], progress: Progress
) -> Iterator[tuple[NetworkSource, NetworkArrays, Execution, _Made]]:
    """
    Yield each network with each execution, and what `make` returns for them.

    Executions that `make` refuses are reported to `progress` and skipped. Raises ValueError if
    all are refused.
    """
    reasons: dict[str, dict[str, None]] = {}  # kinds of executions by reason, each once
    count = 0
    for network in plan.networks:
        model = network.load()
        for execution in plan.executions:
            try:
                made = make(execution, model)
            except (ValueError, ImportError) as error:
                kind = f'{execution.engine} {execution.precision}'
                reasons.setdefault(str(error), {})[kind] = None
                progress(f'skipped {network.name}, {kind}: {error}')
                continue
            count += 1
            yield network, model, execution, made
    if not count:
        texts = (f'{", ".join(kinds)}: {reason}' for reason, kinds in reasons.items())
        raise ValueError(f'nothing can be measured: {"; ".join(texts)}')
