# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The files that are shipped with the package: weights, recipes, photographs."""

from __future__ import annotations

import os
from pathlib import Path

from superpoint_ros.common.file_reading import is_found

PACKAGE = 'superpoint_ros'
DEFAULT_WEIGHTS = 'superpoint_compact.safetensors'

RECIPES = Path(__file__).parent / 'training' / 'recipes'
"""Folder of the recipes of training and the lists of training images."""


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
