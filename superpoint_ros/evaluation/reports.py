# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements as JSON files and Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path


def write_json(path: Path, content: Mapping) -> None:
    """Write the content; raise ValueError for numbers that are not finite."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n', encoding='utf-8')


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
