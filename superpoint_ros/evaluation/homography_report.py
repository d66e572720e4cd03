# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurements on planar scenes as tables and pictures of matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from superpoint_ros.data.hpatches import PlanarSequence
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.homography_benchmark import KINDS, match_for_picture, pairs_of
from superpoint_ros.evaluation.reports import markdown_table, write_json
from superpoint_ros.visualization import contact_sheet, draw_matches, write_picture

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
_TITLES = {
    'all': 'All points count',
    'shared': 'Only points in the shared view count',
}


def write_planar_report(
    result: Mapping, methods: Sequence[Method], shown: Sequence[PlanarSequence], out: Path
) -> list[Path]:
    """
    Return the files written to the folder `out`: the numbers as JSON, tables, pictures of matches.

    Of each sequence in `shown`, the matches of its first pair are drawn, for each method.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / 'homography.json', result)
    (out / 'homography.md').write_text(planar_markdown(result), encoding='utf-8')
    files = [out / 'homography.json', out / 'homography.md']
    for sequence in shown:
        path = out / f'matches_{sequence.name}.png'
        write_picture(path, picture_of_matches(sequence, methods, result['keypoints']))
        files.append(path)
    return files


def planar_markdown(result: Mapping) -> str:
    """Return the tables, one for each way of counting and kind of change."""
    by_kind = next(iter(result['methods'].values()))['all']
    size = result.get('longest_side')
    side = f', longest side {size} px' if size else ''
    parts = ['# Planar scenes\n', result['protocol'] + '\n']
    parts.append(f'At most {result["keypoints"]} keypoints{side}.\n')
    for counting, title in _TITLES.items():
        parts.append(f'## {title}\n')
        for kind in KINDS:
            if by_kind[kind] is not None:
                pairs = by_kind[kind]['pairs']
                parts.append(f'{kind.capitalize()}, {pairs} pairs:\n')
                parts.append(planar_table(result, counting, kind))
    return '\n'.join(parts)


def planar_table(result: Mapping, counting: str, kind: str) -> str:
    """Return the table of one way of counting and kind: a line for each method."""
    rows = [
        [name, *(by[counting][kind][key] for key in _COLUMNS), round(by[counting][kind]['points'])]
        for name, by in result['methods'].items()
    ]
    return markdown_table(['method', *_COLUMNS.values(), 'points'], rows)


def picture_of_matches(
    sequence: PlanarSequence, methods: Sequence[Method], keypoints: int
) -> np.ndarray:
    """Return the first pair's matches by each method, right ones green and wrong ones red."""
    pictures, captions = [], []
    for method in methods:
        found = [method.find(image) for image in sequence.images[:2]]
        pair, matches, correct = match_for_picture(
            pairs_of(_first_pair(sequence), found)[0], keypoints
        )
        pictures.append(
            draw_matches(
                sequence.images[0],
                pair.a.keypoints,
                sequence.images[1],
                pair.b.keypoints,
                matches,
                correct,
            )
        )
        right = int(correct.sum())
        captions.append(f'{method.name}: {right} of {len(matches)} matches right')
    return contact_sheet(pictures, columns=2, captions=captions)


def _first_pair(sequence: PlanarSequence) -> PlanarSequence:
    """Return the sequence of its first two images."""
    return PlanarSequence(
        sequence.name, sequence.kind, sequence.images[:2], sequence.homographies[:1]
    )
