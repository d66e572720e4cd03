# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Detectors on synthetic shapes, whose corners are known: the paper's comparison (section 4).

A detection is correct within 4 px of a true point, one detection to a point, the higher score
first. For each category with points, the average precision is taken over the detections in all its
images, sorted by score; mAP is the mean of the categories. Every method returns all it can, weak
points too, after non-maximum suppression of 4 px.

Localisation error and false detections need a decision which points count: it is made for each
method, without noise and with it, by the score that gives the highest F1 over all images that have
points. The localisation error is the mean distance of correct detections to their true points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

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
from superpoint_ros.features import Features

EPSILON = 4.0
CONDITIONS = ('clean', 'noisy')


def shape_sample(
    category: str, index: int, seed: int, condition: str, size: tuple[int, int] = (160, 120)
) -> ShapeImage:
    """
    Return one image of the test set and its true points: the same for the same arguments.

    The noisy image is the clean one of the same index under `photometric.NOISE`.
    """
    key = [seed, SHAPES.index(category), index]
    sample = draw_shape(category, np.random.default_rng(key), size)
    if condition == 'clean':
        return sample
    return ShapeImage(
        augment(sample.image, np.random.default_rng([*key, 1]), NOISE), sample.points
    )


class _Found(NamedTuple):
    """All detections of a method in the images of one category."""

    scores: np.ndarray
    distances: np.ndarray  # infinite where false
    truth_count: int


def evaluate_shapes(
    methods: Sequence[Method],
    images: int,
    seed: int = 0,
    on_image: Callable[[], None] = lambda: None,
) -> dict:
    """
    Return the measurements as a dictionary, made for JSON.

    `images` are drawn for each category. `result['methods'][name][condition]` holds `map`,
    `localisation` (px; None if nothing is right), `false_per_image` (in categories without points)
    and, by category, `average_precision` and `localisation` or `false_per_image`. `on_image` is
    called after each image. Raises ValueError where `images` is below 1.
    """
    if images < 1:
        raise ValueError(f'images must be 1 or more, got {images}')
    result = {method.name: {} for method in methods}
    for condition in CONDITIONS:
        found = {method.name: {} for method in methods}
        for category in SHAPES:
            samples = [shape_sample(category, i, seed, condition) for i in range(images)]
            for method in methods:
                found[method.name][category] = _collect(method, samples)
            for _ in samples:
                on_image()
        for method in methods:
            result[method.name][condition] = _summary(found[method.name], images)
    return {
        'protocol': ' '.join(__doc__.split()),
        'images_per_category': images,
        'seed': seed,
        'epsilon_px': EPSILON,
        'methods': result,
    }


def _collect(method: Method, samples: Sequence[ShapeImage]) -> _Found:
    """Return the method's detections in the images, each with its distance to the truth."""
    scores, distances = [], []
    for image, truth in samples:
        features: Features = method.find(image)
        scores.append(features.scores)
        distances.append(match_to_truth(features.keypoints, truth, EPSILON))
    count = sum(len(truth) for _, truth in samples)
    return _Found(np.concatenate(scores), np.concatenate(distances), count)


def _summary(found: dict[str, _Found], images: int) -> dict:
    """Return the measurements of one method under one condition."""
    with_points = [name for name in SHAPES if name not in SHAPES_WITHOUT_POINTS]
    everything = _Found(
        np.concatenate([found[name].scores for name in with_points]),
        np.concatenate([found[name].distances for name in with_points]),
        sum(found[name].truth_count for name in with_points),
    )
    threshold = best_score(_curve(everything))
    categories = {}
    for name in SHAPES:
        counted = found[name].scores >= threshold
        if name in SHAPES_WITHOUT_POINTS:
            categories[name] = {'false_per_image': int(counted.sum()) / images}
        else:
            categories[name] = {
                'average_precision': average_precision(_curve(found[name])),
                'localisation': _mean_distance(found[name].distances[counted]),
            }
    return {
        'map': float(np.mean([categories[name]['average_precision'] for name in with_points])),
        'localisation': _mean_distance(everything.distances[everything.scores >= threshold]),
        'false_per_image': float(
            np.mean([categories[name]['false_per_image'] for name in SHAPES_WITHOUT_POINTS])
        ),
        'threshold': threshold if np.isfinite(threshold) else None,
        'categories': categories,
    }


def _curve(found: _Found):
    """Return the precision and recall of the detections."""
    return precision_recall(found.scores, np.isfinite(found.distances), found.truth_count)


def _mean_distance(distances: np.ndarray) -> float | None:
    """Return the mean of the finite distances, None where there is none."""
    finite = distances[np.isfinite(distances)]
    return float(finite.mean()) if len(finite) else None
