# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Metrics of detections with ground-truth points.

Average precision is not scikit-learn's: recall refers to all ground-truth points, also to those
that no detection finds, and precision is interpolated as in PASCAL VOC.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def match_to_truth(points: np.ndarray, truth: np.ndarray, epsilon: float) -> np.ndarray:
    """
    Return the distance in pixels of each point (N, 2) to its ground-truth point; inf if none.

    `points` are sorted by descending score. Each point in turn is assigned to the nearest free
    ground-truth point of (M, 2) within `epsilon` pixels; the assignment is one to one.
    """
    distances = np.full(len(points), np.inf)
    if not len(points) or not len(truth):
        return distances
    offsets = np.asarray(points, np.float64)[:, None] - np.asarray(truth, np.float64)[None]
    table = np.linalg.norm(offsets, axis=2)
    for index in np.flatnonzero(table.min(axis=1) <= epsilon):
        nearest = table[index].argmin()
        if table[index, nearest] <= epsilon:
            distances[index] = table[index, nearest]
            table[:, nearest] = np.inf
    return distances


class Curve(NamedTuple):
    """Precision and recall of all detections from each distinct score up, scores descending."""

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def precision_recall(scores: np.ndarray, correct: np.ndarray, truth_count: int) -> Curve:
    """
    Return the precision-recall curve of detections with scores (N,) and `correct`, bool (N,).

    Detections with equal scores are added together, so that their order does not matter.
    """
    order = np.argsort(-np.asarray(scores), kind='stable')
    scores, correct = np.asarray(scores)[order], np.asarray(correct, bool)[order]
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    hits = np.cumsum(correct)[last]
    found = np.flatnonzero(last) + 1
    return Curve(scores[last], hits / found, hits / max(truth_count, 1))


def average_precision(curve: Curve) -> float:
    """
    Return the area under the curve, 0 to 1.

    The precision at each recall is the highest one at this or a higher recall (PASCAL VOC 2010).
    """
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * envelope))


def best_score(curve: Curve) -> float:
    """Return the score threshold with the highest F1; infinite if no detection is correct."""
    total = curve.precision + curve.recall
    if not total.any():
        return float('inf')
    f1 = 2 * curve.precision * curve.recall / np.maximum(total, 1e-12)
    return float(curve.scores[f1.argmax()])
