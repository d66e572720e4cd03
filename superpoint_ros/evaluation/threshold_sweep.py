# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Threshold sweep: keypoints, repeatability and matches for each detection threshold.

Each photograph is warped by homographies like those of a moving camera between two frames (up to
15 degrees, a quarter of the scale, some perspective), with weak noise and a change of exposure.
Points are repeated, and matches (mutual nearest neighbours) correct, within 3 px; only the shared
view counts. All numbers are means over the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from superpoint_ros.common.wording import counted, plain_text
from superpoint_ros.data.benchmark_from_photographs import EXPOSURE, render_view, sample_view
from superpoint_ros.data.photometric import augment
from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.detector import Detector
from superpoint_ros.evaluation.evaluation_plans import ThresholdPlan
from superpoint_ros.evaluation.pair_metrics import (
    judged_matches,
    mean_of,
    Pair,
    repeatability,
    shared_view,
)
from superpoint_ros.evaluation.reports import left_out, markdown_table, write_result
from superpoint_ros.features import Features
from superpoint_ros.visualization import write_figure

MOTION = HomographyRanges(
    translation=0.1,
    max_rotation=15.0,
    min_scale=0.8,
    max_scale=1.25,
    perspective=0.1,
    patch_ratio=1.0,
    allow_artifacts=True,
)
_MEANS = ('keypoints', 'repeatability', 'localisation', 'matches', 'right_matches')


def evaluate_thresholds(
    detector: Detector,
    images: Iterable[np.ndarray],
    plan: ThresholdPlan,
    on_image: Callable[[Callable[[], dict]], object] = lambda _: None,
) -> dict[str, Any]:
    """
    Return the measurements as a dictionary for JSON, with a row for each threshold.

    `images` are gray uint8 (H, W). A row has the mean number of keypoints per image, repeatability
    and localisation error (None if no point is repeated), matches and correct matches. `on_image`
    is called after each image with a function that returns this dictionary of the images so far.
    Raises ValueError without images.
    """
    settings = replace(detector.settings, threshold=min(plan.thresholds))
    thresholds = sorted(plan.thresholds)
    measured: list[list[list[dict]]] = []  # by image, view and threshold

    def result() -> dict[str, Any]:
        return {
            'protocol': ' '.join(__doc__.split()),
            'weights': detector.weights.name if detector.weights else 'network in memory',
            'threshold': detector.settings.threshold,
            'descriptor_size': detector.descriptor_size,
            'images': len(measured),
            'views': plan.views,
            'rows': [
                {'threshold': threshold, **{name: mean_of(rows, name) for name in _MEANS}}
                for threshold, *rows in zip(thresholds, *chain(*measured), strict=True)
            ],
        }

    for number, image in enumerate(images):
        rng = np.random.default_rng([plan.seed, number])
        pairs = _pairs(image, partial(detector, settings=settings), plan.views, rng)
        measured.append([[_measure(_above(pair, each)) for each in thresholds] for pair in pairs])
        on_image(result)
    if not measured:
        raise ValueError('no images to evaluate')
    return result()


def _pairs(
    image: np.ndarray,
    find: Callable[[np.ndarray], Features],
    views: int,
    rng: np.random.Generator,
) -> Iterator[Pair]:
    """Yield the pairs of an image with random views of it."""
    size, first = image.shape[::-1], find(image)
    for _ in range(views):
        homography = sample_view(rng, size, MOTION)
        view = augment(render_view(image, homography), rng, EXPOSURE)
        yield Pair(first, find(view), homography, size, size)


def _above(pair: Pair, threshold: float) -> Pair:
    """Return the pair with the features that a detector with this threshold would find."""
    # NMS is independent of the threshold: lower scores never suppress higher ones.
    a, b = (each.best(int((each.scores >= threshold).sum())) for each in (pair.a, pair.b))
    return pair._replace(a=a, b=b)


def _measure(pair: Pair) -> dict[str, float | None]:
    shared = shared_view(pair)
    repeated, localisation = repeatability(shared)
    matches, correct = judged_matches(shared)
    return {
        'keypoints': (len(pair.a) + len(pair.b)) / 2,
        'repeatability': repeated,
        'localisation': localisation,
        'matches': len(matches),
        'right_matches': int(correct.sum()),
    }


def thresholds_table(result: dict[str, Any]) -> str:
    """Return a Markdown table with a row for each threshold."""
    header = ['threshold', 'keypoints', 'repeatability', 'localisation px', 'matches', 'correct']
    rows = []
    for row in result['rows']:
        keypoints, *matches = (
            round(row[name]) for name in ('keypoints', 'matches', 'right_matches')
        )
        mark = ' (set)' if row['threshold'] == result['threshold'] else ''
        name = f'{plain_text(row["threshold"])}{mark}'
        rows.append([name, keypoints, row['repeatability'], row['localisation'], *matches])
    return markdown_table(header, rows)


def write_thresholds_report(result: dict[str, Any], out: Path) -> list[Path]:
    """Write JSON, a table and a chart to the folder `out`; return the files."""
    text = f'# Detection threshold\n\n{result["protocol"]}\n\n{left_out(result)}'
    text += thresholds_table(result)
    files = [*write_result(out, 'threshold', result, text), out / 'threshold.png']
    _plot(result, files[-1])
    return files


def _plot(result: dict[str, Any], path: Path) -> None:
    """Draw counts (left axis) and repeatability (right axis) over the threshold."""
    rows = result['rows']
    over = [row['threshold'] for row in rows]
    figure = Figure(figsize=(7.2, 4.2), dpi=110, layout='constrained')
    counts = figure.subplots()
    shares = counts.twinx()
    lines = []
    for axes, name, label, color in (
        (counts, 'keypoints', 'keypoints per image', '#2b6cd9'),
        (counts, 'right_matches', 'correct matches per pair', '#2f8f2f'),
        (shares, 'repeatability', 'repeatability (right axis)', '#d9822b'),
    ):
        values = [row[name] for row in rows]
        lines += axes.plot(over, values, 'o-', color=color, label=label, markersize=4)
    lines.append(counts.axvline(result['threshold'], color='#777777', linestyle='--', label='set'))
    counts.set(xscale='log', xlabel='threshold', ylabel='number')
    counts.set_ylim(bottom=0)
    shares.set_ylim(0, 1)
    shares.set_ylabel('share of points repeated within 3 px')
    counts.grid(alpha=0.3)
    counts.legend(handles=lines, fontsize=8, loc='upper right')
    photographs = counted(result['images'], 'photograph')
    figure.suptitle(f'{result["weights"]}, {photographs}', fontsize=10)
    write_figure(path, figure)
