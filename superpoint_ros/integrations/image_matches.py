# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pairs of the images of a collection and their matches, for structure from motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from superpoint_ros.common.file_reading import walk_folders
from superpoint_ros.data.sequences.image_files import list_images
from superpoint_ros.data.sequences.text_files import read_rows
from superpoint_ros.features import Features
from superpoint_ros.geometry.matching import match_mutual


class ImageFeatures(NamedTuple):
    """
    Features of one image of a collection.

    `name` is its path relative to the folder of the collection, with slashes; `size` is (width,
    height) in pixels.
    """

    name: str
    size: tuple[int, int]
    features: Features


class PairMatches(NamedTuple):
    """
    Matches of two images of a collection.

    `first` and `second` are indices of the images, `first` being the smaller; `matches` (K, 2),
    int64, are indices into their keypoints, and `similarities` (K,) are dot products of the
    descriptors.
    """

    first: int
    second: int
    matches: np.ndarray
    similarities: np.ndarray


def list_collection(folder: str | Path) -> list[str]:
    """
    Return the names of the images in a folder and its subfolders, relative to the folder.

    The order is that of the folders and, in each, natural (2 before 10). Hidden folders, and those
    that must not be read, are left out. Raises NotADirectoryError if it is not a folder,
    ValueError if it has no images.
    """
    root = Path(folder)
    paths = [path for subfolder in walk_folders(root) for path in list_images(subfolder)]
    if not paths:
        raise ValueError(f'{root} has no images')
    return [path.relative_to(root).as_posix() for path in paths]


def check_name(name: str, in_pairs: bool) -> None:
    """Raise ValueError if COLMAP, or hloc with `in_pairs`, cannot hold the name of an image."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'{name}: rename it, COLMAP needs names in UTF-8') from error
    if in_pairs and len(name.split()) > 1:
        raise ValueError(f'{name}: rename it, hloc separates names by spaces')


def turn_back(keypoints: np.ndarray, upright: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """
    Return keypoints (N, 2) of an upright image in pixels of the stored image.

    The pixels of both, uint8 (H, W), are equal after quarter turns and a reflection, which are
    found by comparison.
    """
    height, width = stored.shape
    # x and y of each stored pixel, (H, W), as views that take no memory.
    axes = np.broadcast_arrays(np.arange(width), np.arange(height)[:, None])
    for turns in range(4):
        for step in (1, -1):
            if np.array_equal(np.rot90(stored, turns)[:, ::step], upright):
                turned = [np.rot90(axis, turns)[:, ::step] for axis in axes]
                first, right, below = (
                    np.array([axis[row, column] for axis in turned])
                    for row, column in ((0, 0), (0, 1), (1, 0))
                )
                steps = np.stack([right - first, below - first])
                return (first + keypoints @ steps).astype(np.float32)
    raise ValueError('the upright and the stored image differ by more than turns and a reflection')


def choose_pairs(count: int, overlap: int | None = None) -> list[tuple[int, int]]:
    """
    Return pairs of `count` images: all, or each image with the next `overlap` ones.

    A pair has the smaller index first. Raises ValueError for an overlap below 1.
    """
    if overlap is not None and overlap < 1:
        raise ValueError(f'overlap must be 1 or more images, got {overlap}')
    reach = count if overlap is None else overlap
    return [(a, b) for a, b in combinations(range(count), 2) if b - a <= reach]


def read_pairs(path: Path, names: Sequence[str]) -> list[tuple[int, int]]:
    """
    Return the pairs of images in a text file, with two of `names` in each line, as in hloc.

    A pair has the smaller index first and occurs once. Raises FileNotFoundError if there is no
    such file, ValueError that names the file for a line without two names, an unknown name, or an
    image paired with itself.
    """
    index = {name: number for number, name in enumerate(names)}
    pairs = {}
    for words in read_rows(path, 2):
        # Names may contain spaces.
        splits = [(' '.join(words[:k]), ' '.join(words[k:])) for k in range(1, len(words))]
        first, second = next((each for each in splits if index.keys() >= {*each}), splits[0])
        for name in (first, second):
            if name not in index:
                raise ValueError(f'{path}: the folder has no image {name}')
        if first == second:
            raise ValueError(f'{path}: {first} is paired with itself')
        a, b = sorted((index[first], index[second]))
        pairs[a, b] = None
    if not pairs:
        raise ValueError(f'{path} has no pairs: write two names of images in each line')
    return list(pairs)


def match_pairs(
    images: Sequence[ImageFeatures], pairs: Sequence[tuple[int, int]], ratio: float | None = None
) -> Iterator[PairMatches]:
    """Yield the matches of each pair; `ratio` is that of match_mutual."""
    for a, b in pairs:
        first, second = images[a].features.descriptors, images[b].features.descriptors
        matches = match_mutual(first, second, ratio)
        similarities = (first[matches[:, 0]] * second[matches[:, 1]]).sum(axis=1)
        yield PairMatches(a, b, matches, similarities)
