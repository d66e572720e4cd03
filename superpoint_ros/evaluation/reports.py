# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements as JSON and Markdown files, tables, and pictures of matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path

import numpy as np

from superpoint_ros.files import write_atomically
from superpoint_ros.visualization import contact_sheet, draw_matches


def write_result(out: Path, name: str, result: Mapping, markdown: str) -> list[Path]:
    """
    Write `name`.json and `name`.md to the folder `out`, which is made; return the files.

    After an error, such as a full disk, a previous file is unchanged. Raises ValueError for
    numbers that are not finite.
    """
    texts = {'json': json.dumps(result, indent=2, allow_nan=False) + '\n', 'md': markdown}
    for suffix, text in texts.items():
        write_atomically(out / f'{name}.{suffix}', text.encode())
    return [out / f'{name}.{suffix}' for suffix in texts]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table: first column aligned left, others right; floats with three decimals."""
    lines = ['| ' + ' | '.join(header) + ' |']
    lines.append('| --- |' + ' ---: |' * (len(header) - 1))
    lines += ['| ' + ' | '.join(_cell(value) for value in row) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def _cell(value: object) -> str:
    """Return the text of a value; a dash for None."""
    if value is None:
        return '-'
    return f'{value:.3f}' if isinstance(value, float) else str(value)


def draw_matches_by_method(
    image_a: np.ndarray,
    image_b: np.ndarray,
    matched: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
) -> np.ndarray:
    """
    Return a picture of the matches of each method; correct ones green, wrong ones red.

    `matched` has, by the name of the method, keypoints (N, 2) of both images, matches (K, 2) and
    whether each is correct, bool (K,).
    """
    pictures, captions = [], []
    for name, (points_a, points_b, matches, correct) in matched.items():
        pictures.append(draw_matches(image_a, points_a, image_b, points_b, matches, correct))
        captions.append(f'{name}: {int(correct.sum())} of {len(matches)} matches correct')
    return contact_sheet(pictures, columns=2, captions=captions)
