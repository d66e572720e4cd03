# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Atomic writing of files and folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import fcntl
import io
import os
from pathlib import Path
import shutil
import tempfile

import numpy as np

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
