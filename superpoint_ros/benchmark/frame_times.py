# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Whole frames: each stage's time, the share of the machine's peak, memory, and the peer's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from superpoint_ros.benchmark.arithmetic import multiply_adds, peak_rate, PEAK_SIDES
from superpoint_ros.benchmark.candidates import (
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
from superpoint_ros.model.pruning import prepare_for_inference
from superpoint_ros.model.superpoint import PAPER, SuperPointConfig

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


class _Entry(NamedTuple):
    """A network, its configuration, that of what is run of it, and what runs it."""

    network: Network
    config: SuperPointConfig
    run: SuperPointConfig
    contender: Contender


def measure_frames(plan: Plan, progress: Progress) -> dict:
    """
    Return what was measured, as JSON has it: peaks, cases, and what cannot be run and why.

    Each case has the ratio of the time of its network's peer, and of the peer of the paper's
    network where that is among those measured, to its own, as the median over the rounds.
    Times are in milliseconds, rates in multiply-adds per second, memory in bytes. Raises
    ValueError where nothing of what was asked for can be run.
    """
    use_threads(plan.threads)
    photographs = read_photographs(plan.images)
    skipped: dict[str, str] = {}
    entries = [entry for network in plan.networks for entry in _entries(plan, network, skipped)]
    peaks, cases = [_peaks(plan, entries)], []
    for size in plan.sizes:
        progress(f'{len(entries)} in turn at {size[0]}x{size[1]}')
        cases += _measure_size(plan, entries, frames_of(photographs, size), progress)
        progress('the peak of the machine')
        peaks.append(_peaks(plan, entries))
    kinds = dict.fromkeys(kind for peak in peaks for kind in peak)
    best = {kind: _highest(peak.get(kind) for peak in peaks) for kind in kinds}
    for case in cases:
        peak = best[_kind(case['precision'], case['device'])]
        case['share_of_peak'] = case['rate'] / peak if case['rate'] and peak else None
    return {'peaks': best, 'cases': cases, 'skipped': skipped}


def _highest(rates: Iterable[float | None]) -> float | None:
    """Return the highest that is known: a machine with other work reaches its peak seldom."""
    return max((rate for rate in rates if rate is not None), default=None)


def _peaks(plan: Plan, entries: Sequence[_Entry]) -> dict[str, float | None]:
    """Return the peak of each precision that is used, in multiply-adds per second."""
    used = dict.fromkeys(each.contender.execution[1:] for each in entries)
    return {
        _kind(precision, device): peak_rate(precision, torch.device(device), plan.peak_sides)
        for precision, device in used
    }


def _kind(precision: str, device: str) -> str:
    return precision if device == 'cpu' else f'{precision} on {device}'


def _entries(plan: Plan, network: Network, skipped: dict[str, str]) -> list[_Entry]:
    """Return the network's peer and what can be run of the executions; note others' reasons."""
    model = network.load()
    run = prepare_for_inference(model).config

    def entry(execution: Execution) -> _Entry:
        contender = make_contender(execution, model, plan.keypoints, plan.threads)
        of_run = model.config if execution.engine == PEER else run
        return _Entry(network, model.config, of_run, contender)

    device = plan.executions[0].device
    entries = [entry(Execution(PEER, 'float32', device))]
    for execution in plan.executions:
        try:
            entries.append(entry(execution))
        except (ValueError, ImportError) as error:
            skipped[f'{execution.engine} {execution.precision}'] = str(error)
    if len(entries) == 1:
        raise ValueError(f'nothing can be measured: {"; ".join(skipped.values())}')
    return entries


def _measure_size(plan: Plan, entries: Sequence[_Entry], frames, progress) -> list[dict]:
    """Return a case for each entry, all measured in turn."""
    contenders = [each.contender for each in entries]
    for contender in contenders:
        contender.prepare(frames)
    measured = alternate(contenders, [frames] * len(contenders), plan.rounds, plan.warm_up)
    seconds = [np.array([times.frame for times, _ in rounds]) for rounds in measured]
    peers = {
        each.network: own
        for each, own in zip(entries, seconds, strict=True)
        if each.contender.execution.engine == PEER
    }
    of_paper = [peers[each.network] for each in entries if each.config == PAPER]
    height, width = frames[0].shape[:2]
    cases = []
    for each, rounds, own in zip(entries, measured, seconds, strict=True):
        # Of the same round: what slowed the machine down slowed both.
        ratio_to_paper = float(np.median(of_paper[0] / own)) if of_paper else None
        case = {
            'network': each.network.name,
            'weights': Path(each.network.weights).name if each.network.weights else 'random',
            'size': [width, height],
            **each.contender.execution._asdict(),
            'keypoints': float(np.mean([count for _, count in rounds])),
            **summary_of([times for times, _ in rounds]),
            'ratio': float(np.median(peers[each.network] / own)),
            'ratio_to_paper': ratio_to_paper,
            'multiply_adds': multiply_adds(each.run, (width, height)),
        }
        network = case['stages'].get('network')
        case['rate'] = case['multiply_adds'] / network['p50'] * 1e3 if network else None
        if plan.memory:
            case['memory'] = _memory(plan, each, frames[0], progress)
        cases.append(case)
    return cases


def _memory(plan: Plan, entry: _Entry, frame: np.ndarray, progress: Progress) -> dict | None:
    """Return the memory that such frames need."""
    execution, threshold = entry.contender.execution, entry.contender.thresholds[0]
    progress(f'memory of {entry.network.name}, {execution.engine} {execution.precision}')
    memory = measure_memory(
        entry.network, execution, frame, threshold, plan.keypoints, plan.threads
    )
    return memory._asdict() if memory else None


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
