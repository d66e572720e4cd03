# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How well detections agree with points whose true places are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def match_to_truth(points: np.ndarray, truth: np.ndarray, epsilon: float) -> np.ndarray:
    """
    Return for each point (N, 2) its distance in pixels to its own true point, infinite if none.

    `points` stand best first. Each in turn takes the nearest true point of (M, 2) that is within
    `epsilon` pixels and that no better one took: pairs are one to one.
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
    """Precision and recall at each distinct score, descending: all detections from it up."""

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def precision_recall(scores: np.ndarray, correct: np.ndarray, truth_count: int) -> Curve:
    """
    Return the curve of detections with scores (N,), of which `correct`, bool (N,), are right.

    Detections of one score come in together, so that their order does not matter.
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

    At each recall the precision is the best that is had at this recall or a higher one (PASCAL
    VOC 2010).
    """
    if not len(curve.scores):
        return 0.0
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * envelope))


def best_score(curve: Curve) -> float:
    """Return the score from which up detections have the highest F1, infinite if none is right."""
    total = curve.precision + curve.recall
    if not len(total) or not total.any():
        return float('inf')
    f1 = 2 * curve.precision * curve.recall / np.maximum(total, 1e-12)
    return float(curve.scores[f1.argmax()])
