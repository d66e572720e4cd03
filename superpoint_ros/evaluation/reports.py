# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements as files: JSON, Markdown tables and bar charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path

import cv2
import numpy as np

_COLORS = [(60, 160, 40), (200, 130, 50), (60, 110, 230), (150, 80, 170), (120, 120, 120)]
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def write_json(path: Path, content: Mapping) -> None:
    """Write the content; numbers that are not finite, which JSON lacks, are an error."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n', encoding='utf-8')


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table, the first column left and the others right; floats to three places."""
    lines = ['| ' + ' | '.join(header) + ' |']
    lines.append('| --- |' + ' ---: |' * (len(header) - 1))
    lines += ['| ' + ' | '.join(_cell(value) for value in row) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def _cell(value: object) -> str:
    """Return the value as a table shows it: a dash for None."""
    if value is None:
        return '-'
    return f'{value:.3f}' if isinstance(value, float) else str(value)


def bar_chart(
    title: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]
) -> np.ndarray:
    """
    Return a BGR picture of bars from 0 to 1: for each group one bar of each series.

    Raises ValueError where a series has not one value for each group.
    """
    for name, values in series.items():
        if len(values) != len(groups):
            raise ValueError(f'{name} has {len(values)} values for {len(groups)} groups')
    bar, height, left, top = 16, 220, 44, 64
    step = bar * len(series) + 44
    width = max(left + step * len(groups) + 12, 480)
    canvas = np.full((top + height + 34, width, 3), 255, np.uint8)
    cv2.putText(canvas, title, (left, 22), _FONT, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    for tick in range(6):
        y = top + round(height * (1 - tick / 5))
        cv2.line(canvas, (left - 4, y), (width - 8, y), (220, 220, 220), 1)
        cv2.putText(
            canvas, f'{tick / 5:.1f}', (6, y + 4), _FONT, 0.4, (60, 60, 60), 1, cv2.LINE_AA
        )
    x = left
    for index, (name, values) in enumerate(series.items()):
        color = _COLORS[index % len(_COLORS)]
        cv2.rectangle(canvas, (x, 34), (x + 11, 45), color, -1)
        cv2.putText(canvas, name, (x + 16, 45), _FONT, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        x += 30 + cv2.getTextSize(name, _FONT, 0.42, 1)[0][0]
        for group, value in enumerate(values):
            start = left + 16 + group * step + index * bar
            end = top + height - round(height * float(np.clip(value, 0, 1)))
            cv2.rectangle(canvas, (start, end), (start + bar - 3, top + height), color, -1)
    for group, name in enumerate(groups):
        text = name if len(name) <= 14 else name[:13] + '.'
        place = (left + 8 + group * step, top + height + 18)
        cv2.putText(canvas, text, place, _FONT, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
