# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements as JSON and Markdown files, tables, charts, and pictures of matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
import json
import logging
from pathlib import Path, PurePosixPath
import shutil
import time

import numpy as np

from superpoint_ros.common.file_reading import printable
from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.visualization import contact_sheet, draw_matches

_log = logging.getLogger(__name__)

_WRITING_SHARE = 0.05
"""Largest part of the time that is spent on writing unfinished reports."""


def write_result(
    out: Path, name: str, result: Mapping, markdown: str, others: Iterable[Path] = ()
) -> list[Path]:
    """
    Write `name`.json and `name`.md to the folder `out`, which is made; return all files.

    `others` are further files of the report in `out`, such as pictures; the caller writes them.
    The JSON lists them (`files`, relative to `out`). Files that an earlier report of this name
    lists and this one does not are removed, and folders that are empty then.

    The Markdown begins with the text `result['unfinished']`, if there is one. After an error, such
    as a full disk, a previous file is unchanged. Raises ValueError for numbers that are not
    finite.
    """
    others = list(others)
    if others:
        result = {**result, 'files': [path.relative_to(out).as_posix() for path in others]}
    earlier = _listed_files(out / f'{name}.json')
    if 'unfinished' in result:
        markdown = f'**Unfinished: {result["unfinished"]}.**\n\n{markdown}'
    numbers = json.dumps(result, indent=2, allow_nan=False) + '\n'
    texts = {'json': numbers, 'md': printable(markdown)}
    for suffix, text in texts.items():
        write_atomically(out / f'{name}.{suffix}', text.encode())
    files = [*(out / f'{name}.{suffix}' for suffix in texts), *others]
    _remove(out, [each for each in earlier if out / each not in files])
    return files


def _listed_files(report: Path) -> list[PurePosixPath]:
    """
    Return the `files` of an earlier report, relative to its folder.

    They are deleted: paths out of the folder, which `write_result` does not list, are left out.
    """
    try:
        files = [PurePosixPath(name) for name in json.loads(report.read_bytes())['files']]
    except (OSError, ValueError, LookupError, TypeError):  # no report, another one, or damaged
        return []
    return [path for path in files if not path.is_absolute() and '..' not in path.parts]


def _remove(out: Path, files: Iterable[PurePosixPath]) -> None:
    """Remove files of the folder `out`, and the folders in it that are empty then."""
    for file in files:
        try:
            (out / file).unlink(missing_ok=True)
        except OSError as error:
            _log.warning('a file of an earlier report cannot be removed: %s', error)
        with suppress(OSError):  # not empty
            for folder in file.parents[:-1]:
                (out / folder).rmdir()


class UnfinishedReport:
    """
    Report of what a long measurement has measured so far, in a folder for it alone.

    The folder is `name`_unfinished in `out`; what an earlier run left there is replaced.

    Used as a context around the measurement and the writing of its complete report. The folder is
    rewritten during the measurement, and after an error or Ctrl-C, whose log message names it. It
    is removed after success. A report that cannot be written, for instance because the disk is
    full, is logged and does not end the measurement.

    Args:
        out: folder of the complete report.
        name: name of the report, such as 'odometry'.
        write: writes a report. It receives a result whose key `unfinished` says how much of the
            work it has, the folder, and what else `keep` received.
        total: number of parts of the work.
        unit: name of several parts, such as 'pairs'.

    """

    def __init__(self, out: Path, name: str, write: Callable[..., object], total: int, unit: str):
        self._folder = out / f'{name}_unfinished'
        self._write, self._total, self._unit = write, total, unit
        self._kept: tuple[Callable[[], dict], tuple] | None = None
        self._count, self._written, self._next_time, self._problem = 0, 0, 0.0, ''

    def keep(self, result: Callable[[], dict], *others: object) -> None:
        """Keep the function that returns what is measured so far; called after each part."""
        self._count += 1
        self._kept = result, others
        start = time.monotonic()
        if start >= self._next_time:
            self._rewrite(result, others)
            end = time.monotonic()
            self._next_time = end + (end - start) / _WRITING_SHARE

    def _rewrite(self, result: Callable[[], dict], others: tuple) -> None:
        if not self._written:
            shutil.rmtree(self._folder, ignore_errors=True)  # of an earlier run
        done = f'measured {self._count} of {self._total} {self._unit}'
        try:
            self._write({**result(), 'unfinished': done}, self._folder, *others)
            self._written, self._problem = self._count, ''
        except OSError as error:
            if str(error) != self._problem:
                _log.warning('what is measured so far cannot be written: %s', error)
            self._problem = str(error)

    def __enter__(self) -> UnfinishedReport:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if kind is None:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        if self._kept and self._written < self._count:
            self._rewrite(*self._kept)
        if self._written:
            _log.warning(
                'measured %d of %d %s; their report is in %s',
                *(self._written, self._total, self._unit, self._folder),
            )


def left_out(result: Mapping) -> str:
    """Return a paragraph on the inputs `result['skipped']`, '' if there are none."""
    names = ', '.join(result.get('skipped', ()))
    return f'Left out, because it cannot be used: {names}.\n\n' if names else ''


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
