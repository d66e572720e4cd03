# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Reading and atomic writing of files, and the files that are shipped with the package."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
import errno
import fcntl
import io
from itertools import chain, count
import logging
import os
from pathlib import Path
import shutil
import tempfile
from typing import TypeVar

import numpy as np

Source = TypeVar('Source')
Item = TypeVar('Item')

_log = logging.getLogger(__name__)

PACKAGE = 'superpoint_ros'
DEFAULT_WEIGHTS = 'superpoint_compact.safetensors'

RECIPES = Path(__file__).parent / 'training' / 'recipes'
"""Folder of the recipes of training and the lists of training images."""

SPARE_SPACE = 8_000_000
"""Bytes that must stay free on the disk, for what libraries have not written yet."""


def write_atomically(path: Path, content: bytes) -> None:
    """
    Write a file completely or not at all; missing folders are created.

    After an error, such as a full disk (OSError that names the file), a previous file at `path` is
    unchanged.
    """
    partial = partial_name(path)
    try:
        with partial.open('xb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # that of the temporary file, or none
        raise


def partial_name(path: Path) -> Path:
    """
    Return a new name in the folder of `path`, which is made if missing, for an unfinished file.

    The caller makes the file and renames it to `path` when it is complete. The name is known
    before the file is made: it can be removed after an interruption at any moment. Raises OSError
    that names the path if it is a folder, or its folder if that cannot be made.
    """
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder: name a file for the result')
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f'.partial_{os.urandom(8).hex()}{path.suffix}')


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """
    Give a new, empty folder on the disk of `path` for a result that is renamed when complete.

    The folder is deleted at the end; what is left of a run that was killed, at the next start.
    Raises ValueError if another process is inside this context for the same path. Errors of files
    in the folder name them as if they were next to `path`.
    """
    folder = path.with_name(f'.{path.name}.partial')
    new = folder / 'new'
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / 'lock', f'another process writes {path}'):
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            yield new
        except OSError as error:
            if isinstance(error.filename, str):
                error.filename = error.filename.replace(str(new), str(path.parent))
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path, problem: str) -> Iterator[None]:
    """
    Lock a file, which is made if missing; the system unlocks it when the process ends.

    Raises ValueError with the problem and its solution if another process has locked it.
    """
    with path.open('wb') as file:
        try:
            # Unlike a lock of flock, it is not inherited by worker processes, which may outlive
            # a run that was killed.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ValueError(
                    f'{problem}: wait until it ends, or choose another name'
                ) from error
            # Otherwise the file system has no locks.
        yield


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays to a compressed NumPy .npz file as `write_atomically` does."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getvalue())


def check_writable(path: Path) -> None:
    """
    Raise OSError that names the folder if no file or folder can be made at `path`.

    Nothing is made: the nearest folder above that exists is tried.
    """
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(f'{folder} is a file: a folder is needed there')
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(folder)
        raise


def check_space(path: Path, size: int) -> None:
    """
    Raise OSError that names the file if `size` bytes and `SPARE_SPACE` do not fit on its disk.

    For libraries that crash on a full disk. The folder of `path` must exist.
    """
    needed, free = size + SPARE_SPACE, shutil.disk_usage(path.parent).free
    if free < needed:
        need = f'{needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free'
        raise OSError(errno.ENOSPC, f'{os.strerror(errno.ENOSPC)}: {need}', str(path))


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


def share_directory() -> Path:
    """
    Return the directory that contains `models/`, `config/` and `launch/`.

    This is the source tree if the package runs from there, otherwise `share/superpoint_ros` in the
    prefix into which pip or colcon installed the package. Raises FileNotFoundError if neither has
    `models/`.
    """
    here = Path(__file__).resolve().parent
    # colcon --symlink-install builds into build/superpoint_ros, whose links lead to the sources;
    # the unresolved path leads to the prefix.
    starts = (here, Path(__file__).absolute().parent)
    for start in starts:
        for ancestor in start.parents:
            for candidate in (ancestor, ancestor / 'share' / PACKAGE):
                is_ours = is_found(candidate / 'package.xml')
                if is_ours and (candidate / 'models').is_dir():
                    return candidate
    raise FileNotFoundError(
        f'no directory with the models of {PACKAGE} was found above {here}: '
        'reinstall the package, or give the path of a weight file'
    )


def default_weights() -> Path:
    """Return the path of the shipped weights for general use."""
    path = share_directory() / 'models' / DEFAULT_WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f'the shipped weights {path} are missing: reinstall the package, or give the path of '
            'a weight file'
        )
    return path


def find_weights(weights: str | Path | None = None) -> Path:
    """
    Return the path of a weight file.

    `weights` is a path, or the name of a shipped file without its ending, such as
    `superpoint_nano`, unless there is a file of this name in the working directory; None and ''
    stand for the shipped file for general use. Raises FileNotFoundError for a name that is
    neither, or if the shipped files are missing, and TypeError for another type.
    """
    if not weights:
        return default_weights()
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(f'a weight file must be given as a string or a path, got {weights!r}')
    path = Path(weights)
    is_name = not path.suffix and path.parent == Path()
    if not is_name or (is_found(path) and not path.is_dir()):
        return path
    shipped = {each.stem: each for each in (share_directory() / 'models').glob('*.safetensors')}
    if path.name in shipped:
        return shipped[path.name]
    if is_found(path):  # a folder: who reads it says what is wrong
        return path
    raise FileNotFoundError(
        f'there is no weight file {weights}; those of the package are {", ".join(sorted(shipped))}'
    )


def demo_photographs() -> list[Path]:
    """Return the paths of the photographs that are shipped with the package."""
    return sorted((Path(__file__).resolve().parent / 'demo_photographs').glob('*.jpg'))
