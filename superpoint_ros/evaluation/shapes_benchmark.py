# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Detectors on synthetic shapes with known corners: the comparison of the paper (section 4).

A detection is correct if it is within 4 px of a ground-truth point; each point is assigned to at
most one detection, higher scores first. The average precision of each category with points is
computed over the detections in all its images, sorted by score; mAP is the mean over the
categories. All methods return all their detections, also weak ones, after non-maximum suppression
with a radius of 4 px.

Localisation error and false detections need a score threshold: the one with the highest F1 over
all images with points, for each method and condition. The localisation error is the mean distance
of correct detections to their ground-truth points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.data.photometric import augment, NOISE
from superpoint_ros.data.synthetic_shapes.shapes import (
    draw_shape,
    ShapeImage,
    SHAPES,
    SHAPES_WITHOUT_POINTS,
)
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.detection_metrics import (
    average_precision,
    best_score,
    match_to_truth,
    precision_recall,
)
from superpoint_ros.evaluation.evaluation_plans import ShapesPlan
from superpoint_ros.evaluation.reports import markdown_table, write_result
from superpoint_ros.geometry.homography import scaling, warp_points
from superpoint_ros.visualization import (
    contact_sheet,
    draw_keypoints,
    enlarge,
    GREEN,
    RED,
    write_figure,
    write_picture,
)

CORRECT_DISTANCE = 4.0
"""Largest distance in pixels of a correct detection."""

CONDITIONS = ('clean', 'noisy')

_WITH_POINTS = [name for name in SHAPES if name not in SHAPES_WITHOUT_POINTS]
_BLUE, _ENLARGED = (230, 150, 40), 3
_OVERALL = {
    'map': 'mAP',
    'localisation': 'localisation (px)',
    'false_per_image': 'false detections per image without points',
}
_BY_CATEGORY = {
    'average_precision': 'Average precision',
    'localisation': 'Localisation error (px)',
    'false_per_image': 'False detections per image without points',
}


def shape_sample(category: str, index: int, seed: int, condition: str) -> ShapeImage:
    """
    Return one image, 160 x 120, of the test set and its points; reproducible.

    The noisy image is the clean one of the same index with `photometric.NOISE`.
    """
    key = [seed, SHAPES.index(category), index]
    sample = draw_shape(category, np.random.default_rng(key), (160, 120))
    if condition == 'clean':
        return sample
    return ShapeImage(
        augment(sample.image, np.random.default_rng([*key, 1]), NOISE), sample.points
    )


class _Detections(NamedTuple):
    """All detections of a method in the images of one category."""

    scores: np.ndarray
    distances: np.ndarray  # infinite if false
    truth_count: int


def evaluate_shapes(
    methods: Sequence[Method],
    plan: ShapesPlan,
    on_image: Callable[[], object] = lambda: None,
    on_condition: Callable[[Callable[[], dict]], object] = lambda _: None,
) -> dict:
    """
    Return the measurements as a dictionary for JSON.

    `result['methods'][name][condition]` has `map`, `localisation` (px; None without correct
    detections), `false_per_image` (in categories without points) and, by category,
    `average_precision` and `localisation`, or `false_per_image`. `on_image` is called after each
    image, `on_condition` after each condition with a function that returns this dictionary of the
    conditions so far.
    """
    measured: dict[str, dict] = {method.name: {} for method in methods}

    def result() -> dict:
        return {
            'protocol': ' '.join(__doc__.split()),
            'images_per_category': plan.images,
            'seed': plan.seed,
            'epsilon_px': CORRECT_DISTANCE,
            'methods': measured,
        }

    for condition in CONDITIONS:
        found = {method.name: {} for method in methods}
        for category in SHAPES:
            samples = [
                shape_sample(category, index, plan.seed, condition) for index in range(plan.images)
            ]
            for method in methods:
                found[method.name][category] = _detect(method, samples)
            for _ in samples:
                on_image()
        for method in methods:
            measured[method.name][condition] = _summarise(found[method.name], plan.images)
        on_condition(result)
    return result()


def _detect(method: Method, samples: Sequence[ShapeImage]) -> _Detections:
    """Return the detections in the images with their distances to the ground truth."""
    scores, distances = [], []
    for image, truth in samples:
        features = method.find(image)
        scores.append(features.scores)
        distances.append(match_to_truth(features.keypoints, truth, CORRECT_DISTANCE))
    count = sum(len(truth) for _, truth in samples)
    return _Detections(np.concatenate(scores), np.concatenate(distances), count)


def _summarise(found: dict[str, _Detections], images: int) -> dict:
    """Return the measurements of one method under one condition."""
    everything = _Detections(
        np.concatenate([found[name].scores for name in _WITH_POINTS]),
        np.concatenate([found[name].distances for name in _WITH_POINTS]),
        sum(found[name].truth_count for name in _WITH_POINTS),
    )
    threshold = best_score(_curve(everything))
    categories = {}
    for name in SHAPES:
        kept = found[name].scores >= threshold
        if name in SHAPES_WITHOUT_POINTS:
            categories[name] = {'false_per_image': int(kept.sum()) / images}
        else:
            categories[name] = {
                'average_precision': average_precision(_curve(found[name])),
                'localisation': _mean_distance(found[name].distances[kept]),
            }
    return {
        'map': float(np.mean([categories[name]['average_precision'] for name in _WITH_POINTS])),
        'localisation': _mean_distance(everything.distances[everything.scores >= threshold]),
        'false_per_image': float(
            np.mean([categories[name]['false_per_image'] for name in SHAPES_WITHOUT_POINTS])
        ),
        'threshold': threshold if np.isfinite(threshold) else None,
        'categories': categories,
    }


def _curve(found: _Detections):
    """Return the precision and recall of the detections."""
    return precision_recall(found.scores, np.isfinite(found.distances), found.truth_count)


def _mean_distance(distances: np.ndarray) -> float | None:
    """Return the mean of the finite distances, None if there are none."""
    finite = distances[np.isfinite(distances)]
    return float(finite.mean()) if len(finite) else None


def write_shapes_report(result: Mapping, shown: Method, out: Path) -> list[Path]:
    """
    Write JSON, tables, a chart and a picture of examples to the folder `out`; return the files.

    The examples show the detections of the method `shown`.
    """
    files = write_result(out, 'shapes', result, shapes_markdown(result))
    files += [out / 'shapes.png', out / 'shapes_examples.png']
    _plot(result, files[2])
    write_picture(files[3], _examples(result, shown))
    return files


def shapes_markdown(result: Mapping) -> str:
    """Return the tables: all categories together, then each."""
    methods = result['methods']
    parts = ['# Synthetic shapes\n', result['protocol'] + '\n']
    parts.append(
        f'{counted(result["images_per_category"], "image")} of 160x120 px per category, '
        f'seed {result["seed"]}.\n'
    )
    parts.append(shapes_table(result))
    for key, title in _BY_CATEGORY.items():
        without = key == 'false_per_image'
        rows = [
            [category]
            + [
                each['categories'][category][key]
                for by in methods.values()
                for each in by.values()
            ]
            for category in SHAPES
            if (category in SHAPES_WITHOUT_POINTS) == without
        ]
        header = ['category'] + [f'{name}, {c}' for name, by in methods.items() for c in by]
        parts += [f'## {title}\n', markdown_table(header, rows)]
    return '\n'.join(parts)


def shapes_table(result: Mapping) -> str:
    """Return the table over all categories: a row for each method."""
    rows = [
        [name] + [each[key] for key in _OVERALL for each in by.values()]
        for name, by in result['methods'].items()
    ]
    conditions = next(iter(result['methods'].values()))
    header = ['method'] + [f'{title}, {c}' for title in _OVERALL.values() for c in conditions]
    return markdown_table(header, rows)


def _plot(result: Mapping, path: Path) -> None:
    """Draw the average precision of each method by category, without and with noise."""
    figure = Figure(figsize=(12, 6.5), dpi=100, layout='constrained')
    width = 0.8 / max(len(result['methods']), 1)
    for axes, condition in zip(figure.subplots(len(CONDITIONS), 1), CONDITIONS, strict=True):
        for index, (name, by) in enumerate(result['methods'].items()):
            categories = by[condition]['categories']
            values = [by[condition]['map']]
            values += [categories[each]['average_precision'] for each in _WITH_POINTS]
            positions = np.arange(len(values)) + width * (index + 0.5) - 0.4
            axes.bar(positions, values, width, label=name)
        axes.set(title=f'Average precision, {condition}', ylim=(0, 1))
        axes.set_xticks(range(len(_WITH_POINTS) + 1), ['mean (mAP)', *_WITH_POINTS], fontsize=8)
        axes.grid(axis='y', alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(labels), fontsize=8)
    write_figure(path, figure)


def _examples(result: Mapping, shown: Method) -> np.ndarray:
    """Return a picture of two images for each category and condition with their detections."""
    count = min(2, result['images_per_category'])
    pictures, captions = [], []
    for category in SHAPES:
        for condition in CONDITIONS:
            threshold = result['methods'][shown.name][condition]['threshold']
            for index in range(count):
                sample = shape_sample(category, index, result['seed'], condition)
                features = shown.find(sample.image)
                limit = np.inf if threshold is None else threshold
                found = features.keypoints[features.scores >= limit]
                pictures.append(_example(sample.image, sample.points, found))
                captions.append(f'{category}, {condition}')
    return contact_sheet(pictures, columns=len(CONDITIONS) * count, captions=captions)


def _example(image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the enlarged image; ground truth blue, detections green (correct) or red."""
    picture, zoomed = enlarge(image, _ENLARGED), scaling(_ENLARGED)
    correct = np.isfinite(match_to_truth(found, truth, CORRECT_DISTANCE))
    marks = (truth, _BLUE, 9), (found[correct], GREEN, 4), (found[~correct], RED, 4)
    for points, color, radius in marks:
        picture = draw_keypoints(picture, warp_points(points, zoomed), color, radius)
    return picture
