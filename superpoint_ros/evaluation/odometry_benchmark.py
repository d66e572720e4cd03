# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Odometry benchmark: features in visual odometry on sequences with ground-truth poses.

The best N keypoints of each frame count; all methods use the same odometry, and all descriptors
the same tracker. Two views: matches between frames with a given gap (mutual nearest neighbours;
for KLT, points tracked from the first image to the second), essential matrix by RANSAC at 1 px;
the error is the larger of the angles of rotation and of the direction of translation in the second
view, and AUC is the area under the share of pairs below 5, 10 and 20 degrees. Odometry: errors of
its relative poses over the same pairs, a frame without a pose having the largest error; the root
mean square distance of the estimated positions from the ground truth after alignment (by a
similarity, or without scale if stereo or depth gives it); and the drift over segments of 10 to
50 % of the path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile, islice
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.bags import BagSequence
from superpoint_ros.data.sequences.frame_files import FileSequence
from superpoint_ros.data.sequences.rectification import RectifiedStereo
from superpoint_ros.data.sequences.sequence import Frame, FrameSequence, naming_frame
from superpoint_ros.evaluation.evaluation_plans import OdometryPlan
from superpoint_ros.evaluation.front_ends import OdometryMethod
from superpoint_ros.evaluation.odometry_run import (
    check_pairs,
    gaps_with_motion,
    merge_runs,
    OdometryRun,
)
from superpoint_ros.geometry.camera_model import CameraModel

_log = logging.getLogger(__name__)

_SCALE_IMAGES = {'stereo': 'second', 'depth': 'depth'}
"""Images that each source of the scale needs."""

Opener = Callable[[], FrameSequence]
OnSequence = Callable[[Callable[[], dict[str, Any]], dict[str, 'Trajectories']], object]
"""Receives a function that returns the measurements so far, and the trajectories so far."""

OnFrame = Callable[[str, CameraModel, Frame, Sequence[OdometryRun]], object]
"""Receives the name of the sequence, its camera, a frame, and the runs that have processed it."""


class Trajectories(NamedTuple):
    """
    Trajectories of a sequence by the name of the method.

    Attributes:
        stamps: stamps of the frames in seconds.
        truth: true poses (4, 4), camera to world, None where they are unknown.
        estimated: estimated poses (4, 4) by method, None where there are none.
        aligned: positions (N, 3) of frames with both poses by method, aligned to the ground truth;
            without methods that have no trajectory.

    """

    stamps: list[float]
    truth: list[np.ndarray | None]
    estimated: dict[str, list[np.ndarray | None]]
    aligned: dict[str, np.ndarray]

    @property
    def true_positions(self) -> np.ndarray:
        """Return the true positions (N, 3) of the frames that have one."""
        return np.array([pose[:3, 3] for pose in self.truth if pose is not None])


def evaluate_odometry(
    methods: Sequence[OdometryMethod],
    sequences: Iterable[tuple[str, Opener]],
    plan: OdometryPlan,
    on_frame: OnFrame = lambda *_: None,
    on_sequence: OnSequence = lambda *_: None,
) -> tuple[dict[str, Any], dict[str, Trajectories]]:
    """
    Return the measurements for JSON, and the trajectories by sequence.

    `sequences` are names and functions that open the sequence. Frames before the first true pose
    are skipped. `on_frame` is called after each frame, `on_sequence` after each sequence that is
    measured. A sequence that cannot be measured (no calibration, no pairs of frames with true
    poses, no second camera for stereo, nothing that can be read) is left out, with the reason in
    `skipped`; raises ValueError with the first reason if none is left.
    """
    results: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    trajectories: dict[str, Trajectories] = {}
    runs_of: dict[str, list[OdometryRun]] = {}

    def result() -> dict[str, Any]:
        return {
            'protocol': ' '.join(__doc__.split()),
            'keypoints': plan.max_keypoints,
            'gaps': list(plan.gaps),
            'scale': plan.scale,
            'sequences': results,
            'skipped': skipped,
            'all': {
                method.name: merge_runs(
                    [runs_of[name][index] for name in results],
                    [numbers[method.name] for numbers in results.values()],
                    plan,
                )
                for index, method in enumerate(methods)
            },
        }

    for name, opener in sequences:
        try:
            runs = _run(methods, name, opener, plan, on_frame)
            measured = {run.name: run.result() for run in runs}
        except (ValueError, OSError) as error:
            begins_with_name = Path(str(error).partition(' ')[0]).name == name
            skipped[name] = str(error) if begins_with_name else f'{name}: {error}'
            continue
        runs_of[name] = runs
        trajectories[name] = Trajectories(
            [frame.stamp for frame in runs[0].frames],
            runs[0].truth,
            {run.name: run.estimates for run in runs},
            {method: line for method, (_, line) in measured.items() if line is not None},
        )
        results[name] = {method: numbers for method, (numbers, _) in measured.items()}
        on_sequence(result, trajectories)
    if not results:
        raise ValueError(next(iter(skipped.values()), 'no sequences to evaluate'))
    return result(), trajectories


def _run(
    methods: Sequence[OdometryMethod],
    name: str,
    opener: Opener,
    plan: OdometryPlan,
    on_frame: OnFrame,
) -> list[OdometryRun]:
    """Return the runs of all methods on a sequence."""
    source = sequence = opener()
    if plan.scale == 'stereo':
        sequence = RectifiedStereo(sequence)
    runs = [OdometryRun(method, sequence, plan) for method in methods]
    _check_source(source, plan)
    frames = dropwhile(lambda frame: frame.pose is None, _ascending(sequence, name))
    lacking = 0
    for frame in islice(frames, plan.frames):
        lacking += (plan.scale == 'stereo' and frame.second is None) or (
            plan.scale == 'depth' and frame.depth is None
        )
        with naming_frame(frame):
            for run in runs:
                run.add(frame)
        on_frame(name, sequence.camera, frame, runs)
    if lacking and lacking == len(runs[0].frames):
        raise _unscaled(plan)
    _warn_of_missing(name, runs, plan, lacking)
    return runs


def _warn_of_missing(
    name: str, runs: Sequence[OdometryRun], plan: OdometryPlan, lacking: int
) -> None:
    """Log how many frames have no true pose, image for the scale (`lacking`) or metric scale."""
    processed = len(runs[0].frames)
    without = sum(pose is None for pose in runs[0].truth)
    if without:
        _log.warning('%s: the true pose is missing in %d of %d frames', name, without, processed)
    if lacking:
        _log.warning(
            '%s: the %s image is missing in %d of %d frames',
            *(name, _SCALE_IMAGES[plan.scale], lacking, processed),
        )
    for run in runs if plan.scale != 'none' else ():
        unscaled = sum(frame.estimate is not None and not frame.is_metric for frame in run.frames)
        if unscaled:
            _log.warning(
                '%s: %s of %s without metric scale: too few points had depths',
                *(name, counted(unscaled, 'pose'), run.name),
            )


def _check_source(sequence: FrameSequence, plan: OdometryPlan) -> None:
    """Raise ValueError if it is known without any image that the sequence cannot be measured."""
    if not sequence.has_truth:
        raise ValueError(f'it has no true poses{_topics_to_choose(sequence)}')
    if plan.scale == 'depth' and not sequence.has_depth:
        raise _unscaled(plan)
    files = sequence.files() if isinstance(sequence, FileSequence) else ()
    existing = [each for each in files if each.image.is_file()]
    if not existing:
        return  # nothing is listed, or reading will tell what is missing
    frames = list(islice(dropwhile(lambda each: each.pose is None, existing), plan.frames))
    poses = [each.pose for each in frames or existing]
    check_pairs(gaps_with_motion(poses, plan.gaps), plan, poses)
    if plan.scale != 'none':
        images = (each.second if plan.scale == 'stereo' else each.depth for each in frames)
        if not any(image and image.is_file() for image in images):
            raise _unscaled(plan)


def _topics_to_choose(sequence: FrameSequence) -> str:
    """Return how to name the topic of the true poses, if the sequence is a bag with poses."""
    if not isinstance(sequence, BagSequence) or not sequence.pose_topics:
        return ''
    return f'; name their topic with --truth-topic: {" or ".join(sequence.pose_topics)}'


def _unscaled(plan: OdometryPlan) -> ValueError:
    """Return the error of a sequence without images for the scale."""
    return ValueError(f'it has no {_SCALE_IMAGES[plan.scale]} images for the scale')


def _ascending(sequence: FrameSequence, name: str) -> Iterator[Frame]:
    """Yield the frames, without those whose stamps do not follow the one before."""
    last, late = -np.inf, 0
    for frame in sequence:
        if frame.stamp <= last:
            late += 1
            continue
        last = frame.stamp
        yield frame
    if late:
        _log.warning('%s: left out %s: stamps must ascend', name, counted(late, 'frame'))
