# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Features on planar scenes in the layout of HPatches: what their matching is worth.

Each pair is the first image of a sequence with one of the others. Pairs are counted in two ways.
`all`: each image's best n keypoints count, whether the other image shows their place or not, as in
SuperPoint's paper. `shared`: keypoints whose place the other image does not show are removed
before the best n are taken, as in rpautrat/SuperPoint, which is kinder. Matches are mutual nearest
neighbours; points and matches are right within 3 px; homographies come from OpenCV's USAC_ACCURATE
(2 px, 5,000 iterations, confidence .9999, one seed) and are judged by the mean error of the four
corners of the first image. All numbers are means over pairs, a pair without points or matches
counting 0; the localisation error is the mean of those pairs that have one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from superpoint_ros.data.hpatches import PlanarSequence
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.metrics import (
    area_under_accuracy,
    match_distances,
    measure_pair,
    Pair,
    shared_view,
)
from superpoint_ros.features import Features
from superpoint_ros.geometry.matching import match_mutual

COUNTINGS = ('all', 'shared')
KINDS = ('viewpoint', 'illumination', 'both')
ACCURACIES = (1, 3, 5)
AUC_LIMIT = 5.0
_MEANS = ('repeatability', 'nn_map', 'matching_score', 'matching_accuracy', 'matches', 'points')


def pool_size(keypoints: int) -> int:
    """Return how many keypoints a method should give, so that n are left in the shared view."""
    return 4 * keypoints


def evaluate_planar(
    methods: Sequence[Method],
    sequences: Iterable[PlanarSequence],
    keypoints: int,
    on_sequence: Callable[[], None] = lambda: None,
) -> dict:
    """
    Return the measurements as a dictionary, made for JSON.

    `result['methods'][name][counting][kind]` holds the means by name, with `pairs`, their number;
    `result['pairs']` each pair's own measurements. `on_sequence` is called after each sequence.
    Raises ValueError where `keypoints` is below 1 or there is no sequence.
    """
    if keypoints < 1:
        raise ValueError(f'keypoints must be 1 or more, got {keypoints}')
    rows = []
    for sequence in sequences:
        for method in methods:
            found = [method.find(image) for image in sequence.images]
            for index, pair in enumerate(pairs_of(sequence, found), start=2):
                for counting in COUNTINGS:
                    measured = measure_pair(counted(pair, counting, keypoints))
                    where = {'sequence': sequence.name, 'kind': sequence.kind, 'image': index}
                    rows.append({'method': method.name, 'counting': counting, **where, **measured})
        on_sequence()
    if not rows:
        raise ValueError('there is no sequence to measure on')
    summary = {
        method.name: {
            counting: {
                kind: summarise(
                    [
                        row
                        for row in rows
                        if row['method'] == method.name
                        and row['counting'] == counting
                        and kind in ('both', row['kind'])
                    ]
                )
                for kind in KINDS
            }
            for counting in COUNTINGS
        }
        for method in methods
    }
    return {
        'protocol': ' '.join(__doc__.split()),
        'keypoints': keypoints,
        'methods': summary,
        'pairs': rows,
    }


def pairs_of(sequence: PlanarSequence, found: Sequence[Features]) -> list[Pair]:
    """Return the first image's features with those of each of the others."""
    sizes = [image.shape[::-1] for image in sequence.images]
    return [
        Pair(found[0], other, homography, sizes[0], size)
        for other, homography, size in zip(
            found[1:], sequence.homographies, sizes[1:], strict=True
        )
    ]


def counted(pair: Pair, counting: str, keypoints: int) -> Pair:
    """Return the pair with the features that count: the best n, in one of the two ways."""
    if counting == 'shared':
        pair = shared_view(pair)
    return pair._replace(a=pair.a.best(keypoints), b=pair.b.best(keypoints))


def summarise(rows: Sequence[dict]) -> dict | None:
    """Return the means of pairs' measurements, None of no pairs."""
    if not rows:
        return None
    errors = np.array(
        [np.inf if row['corner_error'] is None else row['corner_error'] for row in rows]
    )
    placed = [row['localisation'] for row in rows if row['localisation'] is not None]
    means = {name: float(np.mean([row[name] for row in rows])) for name in _MEANS}
    return {
        **means,
        'localisation': float(np.mean(placed)) if placed else None,
        **{f'homography_{limit}px': float((errors <= limit).mean()) for limit in ACCURACIES},
        'homography_auc_5px': area_under_accuracy(errors, AUC_LIMIT),
        'pairs': len(rows),
    }


class Matched(NamedTuple):
    """What a picture shows: indices into both images' keypoints, and which are right."""

    pair: Pair
    matches: np.ndarray
    correct: np.ndarray


def match_for_picture(pair: Pair, keypoints: int) -> Matched:
    """Return the mutual nearest neighbours among the best n of both images."""
    pair = counted(pair, 'all', keypoints)
    matches = match_mutual(pair.a.descriptors, pair.b.descriptors)
    return Matched(pair, matches, match_distances(pair, matches) <= 3.0)
