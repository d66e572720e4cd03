# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Folders, names of files, and files of texts and arrays."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
import io
from itertools import chain, count
import logging
import os
from pathlib import Path
from typing import TypeVar

import numpy as np

Source = TypeVar('Source')
Item = TypeVar('Item')

_log = logging.getLogger(__name__)


def list_named(folder: Path, suffixes: Container[str]) -> list[Path]:
    """
    Return the entries of a folder whose suffixes, in lower case, are among `suffixes`, by name.

    Hidden ones are left out. Entries may be folders, or links to missing files.
    """
    named = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    return sorted(path for path in named if not path.name.startswith('.'))


def walk_folders(
    root: Path, is_leaf: Callable[[Path], bool] = lambda folder: False
) -> Iterator[Path]:
    """
    Yield a folder and the folders in it at any depth, by name, without hidden ones.

    Folders in those of which `is_leaf` is true are left out, and so are, with a warning, folders
    that the user must not read, such as `lost+found`. Links are followed, but no folder occurs
    twice.
    """
    waiting, seen = [root], {root.resolve()}
    while waiting:
        folder = waiting.pop()
        yield folder
        if is_leaf(folder):
            continue
        named = (path for path in folder.iterdir() if not path.name.startswith('.'))
        for path in sorted(named, reverse=True):
            if not is_found(path) or not path.is_dir() or path.resolve() in seen:
                continue
            seen.add(path.resolve())
            if os.access(path, os.R_OK | os.X_OK):
                waiting.append(path)
            else:
                _log.warning('left out: there is no permission to read the folder %s', path)


def numbered_names(names: Iterable[str]) -> list[str]:
    """Return the names, with a number for those that occurred before: a, a_2, a_3."""
    found: dict[str, None] = {}
    for name in names:
        numbered = (f'{name}_{number}' for number in count(2))
        found[next(each for each in chain([name], numbered) if each not in found)] = None
    return list(found)


def printable(text: str) -> str:
    """
    Return a text with the bytes that are not UTF-8, as names of files may have, replaced.

    For libraries that refuse such texts, or crash, as OpenCV 4.14 does.
    """
    return os.fsencode(text).decode(errors='replace')


def check_utf8(path: Path, reader: str) -> None:
    """Raise ValueError that names a path that is not UTF-8, as the library `reader` needs it."""
    if printable(str(path)) != str(path):
        raise ValueError(f'{path} is not a path in UTF-8, as {reader} needs: choose another name')


def read_text(path: Path) -> str:
    """
    Return the text of a file in UTF-8, without the mark with which programs may begin it.

    Raises ValueError that names the file if it is not such a text.
    """
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not a text file in UTF-8: {error}') from error


def read_each(
    read: Callable[[Source], Item],
    sources: Iterable[Source],
    skipped: list[Source] | None = None,
    kind: str = 'images',
) -> Iterator[Item]:
    """
    Yield what `read` returns for each source, such as a path.

    A source that cannot be read (ValueError or OSError) is skipped with a warning that gives the
    reason, and added to `skipped`. If none can be read, FileNotFoundError (if the last one is
    missing) or ValueError is raised after the last one; `kind` is their name there.
    """
    skipped = [] if skipped is None else skipped
    is_any_read, problem = False, None
    for source in sources:
        try:
            item = read(source)
        except (ValueError, OSError) as error:
            _log.warning('skipped: %s', error)
            skipped.append(source)
            problem = error
            continue
        is_any_read = True
        yield item
    if problem and not is_any_read:
        error = FileNotFoundError if isinstance(problem, FileNotFoundError) else ValueError
        raise error(
            f'none of the {kind} could be read ({len(skipped)} skipped): {problem}'
        ) from problem


def read_npz(
    path: str | Path, names: Sequence[str], optional: Sequence[str] = ()
) -> list[np.ndarray | None]:
    """
    Return arrays of a NumPy .npz file by their names; pickled objects are never read.

    The arrays of the `optional` names follow, None for those that the file lacks.

    Raises FileNotFoundError if there is no such file, ValueError that names it if it is damaged or
    has no array of one of the names.
    """
    content = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            needed = [arrays[name] for name in names]
            return needed + [arrays.get(name) for name in optional]
    except Exception as error:  # of zipfile, zlib or NumPy, depending on the damaged byte
        raise ValueError(
            f'{path} is damaged, or not an .npz file with {", ".join(names)}: {error}'
        ) from error


def is_found(path: Path) -> bool:
    """
    Return whether there is such a file or folder, for names that may just as well be missing.

    In a folder that must not be searched, such as the working directory in which another user has
    started the program, this is False; `Path.exists` raises PermissionError.
    """
    return os.access(path, os.F_OK)
