"""Whole frames: each stage's time, the share of the machine's peak, memory, and the peer's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from superpoint_ros.benchmark.arithmetic import multiply_adds, peak_rate, PEAK_SIDES
from superpoint_ros.benchmark.contenders import (
    alternate,
    Contender,
    Execution,
    make_contender,
    Network,
    PEER,
    STAGES,
    Times,
)
from superpoint_ros.benchmark.frames import frames_of, read_photographs
from superpoint_ros.benchmark.memory import measure_memory, use_threads
from superpoint_ros.network import SuperPoint

Size = tuple[int, int]

Progress = Callable[[str], None]
"""Is told what is worked on."""


@dataclass(frozen=True)
class Plan:
    """
    Say what is measured, and how.

    Each network is run in each of the `executions` at each of the `sizes` (width, height), with
    `threads` on the CPU, for so many `rounds` after those of the warm-up. `keypoints` are those of
    a frame, `images` the folder of photographs, the package's own where there is none. `memory`
    says whether memory is measured, for which each case needs a process of its own. `peak_sides`
    are those of the matrices that are multiplied for the machine's peak.
    """

    sizes: Sequence[Size] = ((640, 480),)
    networks: Sequence[Network] = (Network('paper'), Network('compact'))
    executions: Sequence[Execution] = (Execution('torch'),)
    keypoints: int = 1000
    rounds: int = 40
    warm_up: int = 3
    threads: int = 1
    images: str | Path | None = None
    memory: bool = True
    peak_sides: Sequence[int] = PEAK_SIDES


def measure_frames(plan: Plan, progress: Progress) -> dict:
    """
    Return what was measured, as JSON has it: peaks, cases, and what cannot be run and why.

    Times are in milliseconds, rates in multiply-adds per second, memory in bytes. Raises
    ValueError where nothing of what was asked for can be run.
    """
    use_threads(plan.threads)
    photographs = read_photographs(plan.images)
    peaks = []
    cases: list[dict] = []
    skipped: dict[str, str] = {}
    for network in plan.networks:
        model = network.load()
        contenders = _contenders(plan, model, skipped)
        for size in plan.sizes:
            progress(f'{network.name} at {size[0]}x{size[1]}')
            frames = frames_of(photographs, size)
            cases += _measure_size(plan, network, model, contenders, frames, progress)
            progress('the peak of the machine')
            peaks.append(_peaks(plan, contenders))
    kinds = dict.fromkeys(kind for peak in peaks for kind in peak)
    best = {kind: _highest(peak.get(kind) for peak in peaks) for kind in kinds}
    for case in cases:
        peak = best[_kind(case['precision'], case['device'])]
        case['share_of_peak'] = case['rate'] / peak if case['rate'] and peak else None
    return {'peaks': best, 'cases': cases, 'skipped': skipped}


def _highest(rates: Iterable[float | None]) -> float | None:
    """Return the highest that is known: a machine with other work reaches its peak seldom."""
    return max((rate for rate in rates if rate is not None), default=None)


def _peaks(plan: Plan, contenders: Sequence[Contender]) -> dict[str, float | None]:
    """Return the peak of each precision that is used, in multiply-adds per second."""
    used = dict.fromkeys(each.execution[1:] for each in contenders)
    return {
        _kind(precision, device): peak_rate(precision, torch.device(device), plan.peak_sides)
        for precision, device in used
    }


def _kind(precision: str, device: str) -> str:
    return precision if device == 'cpu' else f'{precision} on {device}'


def _contenders(plan: Plan, model: SuperPoint, skipped: dict[str, str]) -> list[Contender]:
    """Return the peer and what can be run of the executions; note the others' reasons."""
    contenders = [make_contender(PEER, model, plan.keypoints, plan.threads)]
    for execution in plan.executions:
        try:
            contenders.append(make_contender(execution, model, plan.keypoints, plan.threads))
        except (ValueError, ImportError) as error:
            skipped[f'{execution.engine} {execution.precision}'] = str(error)
    if len(contenders) == 1:
        raise ValueError(f'nothing can be measured: {"; ".join(skipped.values())}')
    return contenders


def _measure_size(plan, network, model, contenders, frames, progress) -> list[dict]:
    """Return a case for each contender, the peer first."""
    for contender in contenders:
        contender.prepare(frames)
    measured = alternate(contenders, [frames] * len(contenders), plan.rounds, plan.warm_up)
    peer = np.array([times.frame for times, _ in measured[0]])
    height, width = frames[0].shape[:2]
    cases = []
    for contender, rounds in zip(contenders, measured, strict=True):
        execution = contender.execution
        times = [each for each, _ in rounds]
        case = {
            'network': network.name,
            'weights': Path(network.weights).name if network.weights else 'random',
            'size': [width, height],
            'engine': execution.engine,
            'precision': execution.precision,
            'device': execution.device,
            'keypoints': float(np.mean([count for _, count in rounds])),
            **summary_of(times),
        }
        # Of the same round: what slowed the machine down slowed both.
        ratios = peer / np.array([each.frame for each in times])
        case['ratio'] = float(np.median(ratios))
        case['multiply_adds'] = multiply_adds(model.config, (width, height))
        seconds = case['stages']['network']['p50'] * 1e-3 if case['stages'] else None
        case['rate'] = case['multiply_adds'] / seconds if seconds else None
        if plan.memory:
            progress(f'memory of {execution.engine} {execution.precision}')
            needed = measure_memory(
                network,
                execution,
                frames[0],
                contender.thresholds[0],
                plan.keypoints,
                plan.threads,
            )
            case['memory'] = needed._asdict() if needed else None
        cases.append(case)
    return cases


def summary_of(times: Sequence[Times]) -> dict:
    """Return p50 and p99 of the frame and of each stage, in milliseconds."""
    stages = [name for name in STAGES if any(name in each.stages for each in times)]
    return {
        'frame': percentiles([each.frame for each in times]),
        'stages': {
            name: percentiles([each.stages.get(name, 0.0) for each in times]) for name in stages
        },
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile, in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return {'p50': float(p50), 'p99': float(p99)}
