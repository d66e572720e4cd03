# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurements on rendered 3-D scenes as a table and pictures of matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from superpoint_ros.data.scenes.pairs import RenderedPair
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.reports import markdown_table, write_json
from superpoint_ros.evaluation.scenes_benchmark import find_in_views, match_views
from superpoint_ros.visualization import contact_sheet, draw_matches, write_picture

_COLUMNS = {
    'repeatability': 'rep',
    'localisation': 'loc px',
    'matching_accuracy': 'MMA',
    'matching_score': 'MS',
    'pose_auc_5': 'pose AUC 5',
    'pose_auc_10': 'pose AUC 10',
    'pose_auc_20': 'pose AUC 20',
}


def write_scenes_report(
    result: Mapping, methods: Sequence[Method], shown: Sequence[RenderedPair], out: Path
) -> list[Path]:
    """
    Return the files written to the folder `out`: the numbers as JSON, a table, pictures.

    The matches of each pair in `shown` are drawn, for each method.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / 'scenes.json', result)
    files = [out / 'scenes.json', out / 'scenes.md']
    head = f'# Rendered 3-D scenes\n\n{result["protocol"]}\n\n'
    head += f'At most {result["keypoints"]} keypoints.\n\n'
    files[1].write_text(head + scenes_table(result), encoding='utf-8')
    for number, pair in enumerate(shown):
        path = out / f'matches_{number}_{pair.scene}.png'
        write_picture(path, picture_of_scene_matches(pair, methods, result['keypoints']))
        files.append(path)
    return files


def scenes_table(result: Mapping) -> str:
    """Return the table: a line for each method."""
    rows = [
        [name, *(measured[key] for key in _COLUMNS), measured['pairs']]
        for name, measured in result['methods'].items()
    ]
    return markdown_table(['method', *_COLUMNS.values(), 'pairs'], rows)


def picture_of_scene_matches(
    pair: RenderedPair, methods: Sequence[Method], keypoints: int
) -> np.ndarray:
    """Return a pair's matches by each method, correct ones green and wrong ones red."""
    pictures, captions = [], []
    for method in methods:
        a, b = find_in_views(method, pair, keypoints)
        matches, correct = match_views(pair, a, b)
        pictures.append(
            draw_matches(
                pair.first.image, a.keypoints, pair.second.image, b.keypoints, matches, correct
            )
        )
        captions.append(f'{method.name}: {int(correct.sum())} of {len(matches)} matches correct')
    return contact_sheet(pictures, columns=2, captions=captions)
