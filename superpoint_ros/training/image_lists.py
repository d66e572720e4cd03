# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Lists of training images by their SHA-256, so that anyone can train on the same ones again.

A list is a text file as `sha256sum` writes and checks it: one hash and one name in each line. The
images are found by their content; their names may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
from pathlib import Path

from superpoint_ros.common.file_reading import read_text
from superpoint_ros.resources import RECIPES


def image_list_path(name: str) -> Path:
    """
    Return the file of a list, given its path or the name of one that comes with the package.

    Raises FileNotFoundError that names the shipped lists if it is neither.
    """
    for path in (Path(name), RECIPES / name):
        if path.is_file():
            return path
    shipped = ', '.join(sorted(path.name for path in RECIPES.glob('*.sha256')))
    raise FileNotFoundError(
        f'there is no image list {name}: name a file or one of the package ({shipped}), or leave '
        'the value empty to use all images'
    )


def read_image_list(path: Path) -> dict[str, str]:
    """Return names by SHA-256; raise ValueError for a line that is not a hash and a name."""
    names = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        # sha256sum writes a backslash first if it has escaped characters of the name.
        digest, _, name = line.strip().removeprefix('\\').partition(' ')
        if not digest:
            continue
        if len(digest) != 64 or not set(digest.lower()) <= set('0123456789abcdef') or not name:
            raise ValueError(
                f'{path}, line {number}: expected a SHA-256 and a name as sha256sum writes them, '
                f'got {line!r}'
            )
        names[digest.lower()] = name.strip().removeprefix('*')
    if not names:
        raise ValueError(f'the image list {path} is empty')
    return names


def select_listed(paths: Sequence[Path], name: str) -> list[Path]:
    """
    Return those of the images that a list names, in the order of `paths`, each content once.

    Raises ValueError that names a missing image if some are missing.
    """
    listed = read_image_list(image_list_path(name))
    found: dict[str, Path] = {}
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in listed:
            found.setdefault(digest, path)
    missing = listed.keys() - found.keys()
    if missing:
        first = min(missing, key=listed.__getitem__)
        raise ValueError(
            f'the folder lacks {len(missing)} of the {len(listed)} images of {name}, such as '
            f'{listed[first]} (SHA-256 {first[:12]}...)'
        )
    return list(found.values())
