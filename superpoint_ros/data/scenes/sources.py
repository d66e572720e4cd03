# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Scenes and pictures from files, with fingerprints that identify the files."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
from pathlib import Path

import numpy as np

from superpoint_ros.common.file_reading import list_named
from superpoint_ros.data.scenes.glb_meshes import read_glb
from superpoint_ros.data.scenes.gltf_files import readable_gltf, SUFFIXES
from superpoint_ros.data.scenes.variations import SceneSource
from superpoint_ros.data.sequences.image_files import find_photographs, load_images

STREET = 'street'
"""Name of the scene that is composed of objects."""

INTERIORS_PER_STREET = 2
"""Interiors before each turn of the streets."""


def list_glb(sources: Sequence[Path]) -> list[Path]:
    """
    Return the GLB files that are named, or lie in the folders that are named.

    Hidden files of folders are left out. Raises FileNotFoundError for a file that does not exist,
    also in a folder (a broken link), and for a folder without GLB files.
    """
    paths: list[Path] = []
    for source in map(Path, sources):
        found = list_named(source, ('.glb',)) if source.is_dir() else [source]
        missing = [f'{path} does not exist' for path in found if not path.is_file()]
        if not found or missing:
            problem = missing[0] if missing else f'{source} contains no .glb files'
            raise FileNotFoundError(f'{problem}; name .glb files, or folders of them')
        paths += found
    return paths


def read_sources(
    interiors: Sequence[Path], objects: Sequence[Path], unit: float = 1.0, up: str = 'z'
) -> list[SceneSource]:
    """
    Return the scenes of GLB files: each of `interiors` by itself, `objects` as streets.

    A turn of the streets follows every two interiors; each time, another street is composed.
    """
    scenes = [SceneSource(path.stem, (read_glb(path, unit, up),)) for path in interiors]
    if not objects:
        return scenes
    street = SceneSource(STREET, tuple(read_glb(path, unit, up) for path in objects), True)
    turns: list[SceneSource] = []
    for start in range(0, max(len(scenes), 1), INTERIORS_PER_STREET):
        turns += [*scenes[start : start + INTERIORS_PER_STREET], street]
    return turns


def read_pictures(folder: Path | None) -> tuple[list[np.ndarray], int]:
    """
    Return the gray pictures of a folder, uint8 (H, W), and the number of those that were skipped.

    Files that cannot be read are skipped as in `read_each`. There are no pictures without a
    folder. Raises ValueError if the folder has no images.
    """
    if folder is None:
        return [], 0
    paths = find_photographs(folder)
    pictures = list(load_images(paths, color=False))
    return pictures, len(paths) - len(pictures)


def check_textured(scenes: Sequence[SceneSource], pictures: Sequence[np.ndarray]) -> list[str]:
    """
    Return the names of the scenes without any texture.

    Raises ValueError if there are some and there are no pictures for their surfaces.
    """
    plain = sorted({s.name for s in scenes if not any(mesh.textures for mesh in s.meshes)})
    if plain and not pictures:
        raise ValueError(
            f'without textures there are no keypoints, and {", ".join(plain)} has none: give '
            'pictures for its surfaces with --pictures DIR'
        )
    return plain


def fingerprint(paths: Sequence[Path]) -> str:
    """
    Return a hash of the content of files, in their order, as 16 hexadecimal digits.

    The files that a scene in a .gltf file refers to are a part of its content.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(_content(Path(path))).digest())
    return digest.hexdigest()[:16]


def _content(path: Path) -> bytes:
    """Return what is rendered of a file, or its bytes."""
    try:
        document = readable_gltf(path) if path.suffix.lower() in SUFFIXES else None
    except Exception:  # noqa: BLE001 - it is reported, with the name of the file, when it is read
        document = None
    return path.read_bytes() if document is None else document
