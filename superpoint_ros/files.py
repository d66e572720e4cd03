# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where the package's launch files, parameter files and weights are."""

from __future__ import annotations

from pathlib import Path

PACKAGE = 'superpoint_ros'
DEFAULT_WEIGHTS = 'superpoint_compact.safetensors'


def share_directory() -> Path:
    """
    Return the directory that holds `models/`, `config/` and `launch/`.

    That is the source tree itself, where the package runs from it, or `share/superpoint_ros` under
    the prefix into which pip or colcon installed it. Raises FileNotFoundError where neither holds
    `models/`.
    """
    here = Path(__file__).resolve().parent
    # colcon's --symlink-install builds into build/superpoint_ros, whose links lead to the sources;
    # the unresolved path leads to the prefix.
    starts = (here, Path(__file__).absolute().parent)
    for start in starts:
        for ancestor in start.parents:
            for candidate in (ancestor, ancestor / 'share' / PACKAGE):
                is_ours = (candidate / 'package.xml').is_file()
                if is_ours and (candidate / 'models').is_dir():
                    return candidate
    raise FileNotFoundError(
        f'no directory with the models of {PACKAGE} was found above {here}: '
        'install the package anew, or name a weight file'
    )


def default_weights() -> Path:
    """Return the path of the weights that are shipped for general use."""
    path = share_directory() / 'models' / DEFAULT_WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f'the shipped weights {path} are missing: install the package anew, or name a file'
        )
    return path


def demo_photographs() -> list[Path]:
    """Return the paths of the photographs that come with the package."""
    return sorted((Path(__file__).resolve().parent / 'demo_photographs').glob('*.jpg'))
