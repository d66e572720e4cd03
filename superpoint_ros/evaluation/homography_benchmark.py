# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Homography benchmark: features on planar scenes in the layout of HPatches.

Each pair is the first image of a sequence and one of the others. Pairs are evaluated in two ways.
`all`: the best n keypoints of each image count, whether their place is visible in the other image
or not, as in the SuperPoint paper. `shared`: keypoints outside the shared view are removed before
the best n are taken, as in rpautrat/SuperPoint, which gives higher numbers. Matches are mutual
nearest neighbours; points and matches are correct within 3 px. Homographies are estimated with
OpenCV's USAC_ACCURATE (2 px, 5,000 iterations, confidence .9999) and judged by the mean error of
the four corners of the first image. All numbers are means over pairs; a pair without points or
matches counts 0. The localisation error is the mean over the pairs that have one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from superpoint_ros.common.settings_table import table_of
from superpoint_ros.common.wording import counted
from superpoint_ros.data.hpatches import HomographySequence
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.pair_metrics import (
    area_under_accuracy,
    corner_errors_of,
    HOMOGRAPHY_LIMIT,
    judged_matches,
    mean_of,
    measure_pair,
    Pair,
    shared_view,
)
from superpoint_ros.evaluation.reports import (
    draw_matches_by_method,
    left_out,
    markdown_table,
    write_result,
)
from superpoint_ros.visualization import write_picture

COUNTINGS = {
    'all': 'All points count',
    'shared': 'Only points in the shared view count',
}
"""The two ways of counting, with their titles."""

CHANGES = ('viewpoint', 'illumination', 'both')
ACCURACIES = (1, 3, 5)
_MEANS = ('repeatability', 'nn_map', 'matching_score', 'matching_accuracy', 'matches', 'points')
_COLUMNS = {
    'repeatability': 'rep',
    'localisation': 'loc px',
    'nn_map': 'NN mAP',
    'matching_score': 'MS',
    'matching_accuracy': 'MMA',
    'homography_1px': 'H 1 px',
    'homography_3px': 'H 3 px',
    'homography_5px': 'H 5 px',
    'homography_auc_5px': 'AUC 5 px',
}


def pool_size(keypoints: int) -> int:
    """Return how many keypoints a method should find, so that n are left in the shared view."""
    return 4 * keypoints


def evaluate_homographies(
    methods: Sequence[Method],
    sequences: Iterable[HomographySequence],
    keypoints: int,
    on_sequence: Callable[[Callable[[], dict]], object] = lambda _: None,
) -> dict:
    """
    Return the measurements as a dictionary for JSON.

    `result['methods'][name][counting][kind]` has the means by name and the number of `pairs`;
    `result['pairs']` has the measurements of each pair. `on_sequence` is called after each
    sequence with a function that returns this dictionary of the sequences so far. Raises
    ValueError for a bad number of keypoints or without sequences.
    """
    table_of(DetectionSettings)['max_keypoints'].check(keypoints)
    rows: list[dict] = []

    def result() -> dict:
        of_methods = {
            method.name: [row for row in rows if row['method'] == method.name]
            for method in methods
        }
        return {
            'protocol': ' '.join(__doc__.split()),
            'keypoints': keypoints,
            'methods': {name: _summarise_method(each) for name, each in of_methods.items()},
            'pairs': rows,
        }

    for sequence in sequences:
        rows += [
            row for method in methods for row in _measure_sequence(sequence, method, keypoints)
        ]
        on_sequence(result)
    if not rows:
        raise ValueError('no sequences to evaluate')
    return result()


def _measure_sequence(sequence: HomographySequence, method: Method, keypoints: int) -> list[dict]:
    """Return the measurements of each pair of a sequence, counted in both ways."""
    return [
        {
            'method': method.name,
            'counting': counting,
            'sequence': sequence.name,
            'kind': sequence.kind,
            'image': number,
            **measure_pair(select_counted(pair, counting, keypoints)),
        }
        for number, pair in zip(sequence.numbers, pairs_of(sequence, method), strict=True)
        for counting in COUNTINGS
    ]


def _summarise_method(rows: Sequence[dict]) -> dict[str, dict[str, dict | None]]:
    """Return the means of the measurements of a method, by counting and kind of change."""
    return {
        counting: {
            change: summarise(
                [
                    row
                    for row in rows
                    if row['counting'] == counting and change in (row['kind'], 'both')
                ]
            )
            for change in CHANGES
        }
        for counting in COUNTINGS
    }


def pairs_of(sequence: HomographySequence, method: Method) -> list[Pair]:
    """Return the pairs of the first image with each other image, with their features."""
    first, *others = sequence.images
    if method.match:
        matched = [method.match(first, other) for other in others]
    else:
        a = method.find(first)
        matched = [(a, method.find(other), None) for other in others]
    return [
        Pair(a, b, homography, first.shape[::-1], other.shape[::-1], matches)
        for (a, b, matches, *_), homography, other in zip(
            matched, sequence.homographies, others, strict=True
        )
    ]


def select_counted(pair: Pair, counting: str, keypoints: int) -> Pair:
    """Return the pair with the best n features, after removal of those that do not count."""
    if counting == 'shared':
        pair = shared_view(pair)
    return pair.best(keypoints)


def summarise(rows: Sequence[dict]) -> dict | None:
    """Return the means of the measurements of pairs; None without pairs."""
    if not rows:
        return None
    errors = corner_errors_of(rows)
    return {
        **{name: mean_of(rows, name) for name in (*_MEANS, 'localisation')},
        **{f'homography_{limit}px': float((errors <= limit).mean()) for limit in ACCURACIES},
        'homography_auc_5px': area_under_accuracy(errors, HOMOGRAPHY_LIMIT),
        'pairs': len(rows),
    }


def write_homography_report(
    result: Mapping, methods: Sequence[Method], shown: Sequence[HomographySequence], out: Path
) -> list[Path]:
    """
    Write JSON, tables and pictures of matches to the folder `out`; return the files.

    The pictures show the matches of each method in the first pair of each sequence in `shown`.
    """
    pictures = [out / f'matches_{sequence.name}.png' for sequence in shown]
    files = write_result(out, 'homography', result, homography_markdown(result), pictures)
    for path, sequence in zip(pictures, shown, strict=True):
        write_picture(path, picture_of_matches(sequence, methods, result['keypoints']))
    return files


def homography_markdown(result: Mapping) -> str:
    """Return the tables, one for each way of counting and kind of change."""
    by_kind = next(iter(result['methods'].values()))['all']
    size = result.get('longest_side')
    side = f', longest side {size} px' if size else ''
    parts = ['# Homography benchmark\n', result['protocol'] + '\n']
    parts.append(f'At most {counted(result["keypoints"], "keypoint")}{side}.\n')
    parts += [left_out(result)] if result.get('skipped') else []
    for counting, title in COUNTINGS.items():
        parts.append(f'## {title}\n')
        for kind in CHANGES:
            if by_kind[kind] is not None:
                pairs = counted(by_kind[kind]['pairs'], 'pair')
                parts.append(f'{kind.capitalize()}, {pairs}:\n')
                parts.append(homography_table(result, counting, kind))
    return '\n'.join(parts)


def homography_table(result: Mapping, counting: str, kind: str) -> str:
    """Return the table of one way of counting and kind of change: a row for each method."""
    rows = [
        [name, *(by[counting][kind][key] for key in _COLUMNS), round(by[counting][kind]['points'])]
        for name, by in result['methods'].items()
    ]
    return markdown_table(['method', *_COLUMNS.values(), 'points'], rows)


def picture_of_matches(
    sequence: HomographySequence, methods: Sequence[Method], keypoints: int
) -> np.ndarray:
    """Return the matches of each method in the first pair; correct ones green, wrong ones red."""
    sequence = replace(
        sequence,
        images=sequence.images[:2],
        homographies=sequence.homographies[:1],
        numbers=sequence.numbers[:1],
    )
    matched = {}
    for method in methods:
        pair = select_counted(pairs_of(sequence, method)[0], 'all', keypoints)
        matched[method.name] = (pair.a.keypoints, pair.b.keypoints, *judged_matches(pair))
    return draw_matches_by_method(*sequence.images, matched)
