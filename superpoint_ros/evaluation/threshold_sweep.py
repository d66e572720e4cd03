# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What the detection threshold costs and gives: keypoints, their repeatability, and matches.

Each photograph is seen from other places by homographies as a moving camera has them from one
moment to another (up to 15 degrees, a quarter of the scale, some perspective), with a little
noise and a change of exposure. Points are repeated, and matches (mutual nearest neighbours)
right, within 3 px; only the part that both views show counts. All numbers are means over the
pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from superpoint_ros.data.homography_sequences import EXPOSURE, render_view, sample_view
from superpoint_ros.data.photometric import augment
from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.detector import Detector
from superpoint_ros.evaluation.metrics import (
    EPSILON,
    match_distances,
    Pair,
    repeatability,
    shared_view,
)
from superpoint_ros.evaluation.reports import markdown_table, write_json
from superpoint_ros.features import Features
from superpoint_ros.geometry.matching import match_mutual

THRESHOLDS = (0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5)
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
    images: Sequence[np.ndarray],
    thresholds: Sequence[float] = THRESHOLDS,
    views: int = 4,
    seed: int = 0,
    on_image: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """
    Return the measurements as a dictionary, made for JSON: a row for each threshold.

    `images` are gray uint8 (H, W), each of which is seen from `views` other places. A row has the
    mean number of keypoints of a view, their repeatability and localisation error, the matches and
    how many of them are right. The localisation error is None where no point is repeated. The
    detector's settings stay as they are but for the threshold. Raises ValueError for thresholds
    that are not above 0 and below 1, and without an image.
    """
    if not thresholds or not all(0 < value < 1 for value in thresholds):
        raise ValueError(f'thresholds must be above 0 and below 1, got {list(thresholds)}')
    if not images or views < 1:
        raise ValueError('there must be one image or more, and one view or more of each')
    settings = replace(detector.settings, threshold=min(thresholds))
    rows: dict[float, list[dict]] = {threshold: [] for threshold in sorted(thresholds)}
    for number, image in enumerate(images):
        rng = np.random.default_rng([seed, number])
        first = detector(image, settings=settings)
        for _ in range(views):
            homography = sample_view(rng, image.shape[::-1], MOTION)
            view = augment(render_view(image, homography), rng, EXPOSURE)
            second = detector(view, settings=settings)
            for threshold, measured in rows.items():
                pair = Pair(
                    _above(first, threshold),
                    _above(second, threshold),
                    homography,
                    image.shape[::-1],
                    image.shape[::-1],
                )
                measured.append(_measure(pair))
        on_image()
    return {
        'protocol': ' '.join(__doc__.split()),
        'weights': detector.weights.name,
        'threshold': detector.settings.threshold,
        'descriptor_size': detector.descriptor_size,
        'images': len(images),
        'views': views,
        'rows': [
            {'threshold': threshold, **{name: _mean(measured, name) for name in _MEANS}}
            for threshold, measured in rows.items()
        ],
    }


def _above(features: Features, threshold: float) -> Features:
    """Return the features that a detector with the threshold would have found."""
    # Suppression does not know the threshold: what is below it suppresses nothing above.
    return features.best(int((features.scores >= threshold).sum()))


def _measure(pair: Pair) -> dict[str, float | None]:
    shared = shared_view(pair)
    repeated, localisation = repeatability(shared)
    matches = match_mutual(shared.a.descriptors, shared.b.descriptors)
    right = match_distances(shared, matches) <= EPSILON
    return {
        'keypoints': (len(pair.a) + len(pair.b)) / 2,
        'repeatability': repeated,
        'localisation': localisation,
        'matches': len(matches),
        'right_matches': int(right.sum()),
    }


def _mean(rows: Sequence[dict], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None


def thresholds_table(result: dict[str, Any]) -> str:
    """Return a Markdown table: a line for each threshold."""
    header = ['threshold', 'keypoints', 'repeatability', 'localisation px', 'matches', 'right']
    rows = []
    for row in result['rows']:
        counts = [round(row[name]) for name in ('keypoints', 'matches', 'right_matches')]
        mark = ' (set)' if row['threshold'] == result['threshold'] else ''
        rows.append(
            [
                f'{row["threshold"]:g}{mark}',
                counts[0],
                row['repeatability'],
                row['localisation'],
                *counts[1:],
            ]
        )
    return markdown_table(header, rows)


def write_thresholds_report(result: dict[str, Any], out: Path) -> list[Path]:
    """Return the files written to the folder `out`: JSON, a table, and a plot."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f'threshold.{suffix}' for suffix in ('json', 'md', 'png')]
    write_json(files[0], result)
    text = f'# The detection threshold\n\n{result["protocol"]}\n\n{thresholds_table(result)}'
    files[1].write_text(text, encoding='utf-8')
    _plot(result, files[2])
    return files


def _plot(result: dict[str, Any], path: Path) -> None:
    """Write a picture: counts on the left axis, shares on the right, over the threshold."""
    from matplotlib.figure import Figure

    rows = result['rows']
    over = [row['threshold'] for row in rows]
    figure = Figure(figsize=(7.2, 4.2), dpi=110, layout='constrained')
    counts = figure.subplots()
    shares = counts.twinx()
    lines = []
    for axes, name, label, color in (
        (counts, 'keypoints', 'keypoints of an image', '#2b6cd9'),
        (counts, 'right_matches', 'right matches of two images', '#2f8f2f'),
        (shares, 'repeatability', 'repeatability (right axis)', '#d9822b'),
    ):
        values = [row[name] for row in rows]
        lines += axes.plot(over, values, 'o-', color=color, label=label, markersize=4)
    lines.append(counts.axvline(result['threshold'], color='#777777', linestyle='--', label='set'))
    counts.set(xscale='log', xlabel='threshold', ylabel='number')
    counts.set_ylim(bottom=0)
    shares.set_ylim(0, 1)
    shares.set_ylabel('share of points found again within 3 px')
    counts.grid(alpha=0.3)
    counts.legend(handles=lines, fontsize=8, loc='upper center')
    figure.suptitle(f'{result["weights"]}, {result["images"]} photographs', fontsize=10)
    figure.savefig(path)
