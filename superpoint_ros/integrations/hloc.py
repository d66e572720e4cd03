# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Features and matches in the HDF5 files of hloc (Hierarchical-Localization).

`features.h5` has a group for each image with `keypoints` (N, 2), in which, as here, the centre of
the top-left pixel is (0, 0), `scores` (N,), `descriptors` (D, N) and `image_size` (width, height).
`matches.h5` has a group for each pair with `matches0` (N,), the index in the second image or -1,
and `matching_scores0` (N,). `pairs.txt` has the names of a pair in each line. Numbers are float32;
hloc reads any type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

from superpoint_ros.common.file_writing import check_space, unfinished_folder
from superpoint_ros.integrations.image_matches import ImageFeatures, PairMatches

FEATURES, MATCHES, PAIRS = 'features.h5', 'matches.h5', 'pairs.txt'

KEYPOINT_NOISE = 1.0
"""Standard deviation of keypoints in pixels, hloc's value for detectors without an estimate."""


def check_new(folder: Path) -> None:
    """Raise FileExistsError if a folder has one of the files: hloc would use its old entries."""
    for name in (FEATURES, MATCHES, PAIRS):
        if (folder / name).exists():
            raise FileExistsError(f'{folder / name} exists: delete it, or choose another folder')


def check_distinct(names: Iterable[str]) -> None:
    """Raise ValueError if two images have the same name in the names of pairs."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(_flat(name), name)
        if other != name:
            raise ValueError(
                f'{other} and {name} have the same name in the matches of hloc, which writes / as '
                '-: rename one of them'
            )


def write_hloc(
    folder: Path, images: Sequence[ImageFeatures], matches: Iterable[PairMatches]
) -> None:
    """
    Write the three files to a folder; they appear when they are complete.

    Raises FileExistsError as `check_new`, OSError if the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with unfinished_folder(folder / FEATURES) as unfinished:
        check_new(folder)
        _write_features(unfinished / FEATURES, images)
        lines = _write_matches(unfinished / MATCHES, images, matches)
        (unfinished / PAIRS).write_text(''.join(lines), encoding='utf-8')
        for name in (FEATURES, MATCHES, PAIRS):
            (unfinished / name).rename(folder / name)


def _write_features(path: Path, images: Sequence[ImageFeatures]) -> None:
    """Write the file of the features."""
    # Without space, HDF5 crashes when the file is closed, and its errors have several lines.
    check_space(path, 0)
    with h5py.File(path, 'w') as file:
        for image in images:
            features = image.features
            arrays = (features.keypoints, features.scores, features.descriptors)
            check_space(path, sum(each.nbytes for each in arrays))
            group = file.create_group(image.name)
            group['keypoints'] = features.keypoints
            group['keypoints'].attrs['uncertainty'] = KEYPOINT_NOISE
            group['scores'] = features.scores
            group['descriptors'] = features.descriptors.T
            group['image_size'] = np.array(image.size)


def _write_matches(
    path: Path, images: Sequence[ImageFeatures], matches: Iterable[PairMatches]
) -> list[str]:
    """Write the file of the matches, and return the lines of the pairs."""
    lines = []
    check_space(path, 0)
    with h5py.File(path, 'w') as file:
        for a, b, pairs, similarities in matches:
            first, second = images[a], images[b]
            group = file.create_group('/'.join(_flat(each.name) for each in (first, second)))
            count = len(first.features)
            check_space(path, 8 * count)
            # hloc's own files have int16, which ends at 32,767 keypoints.
            indices, scores = np.full(count, -1, np.int32), np.zeros(count, np.float32)
            indices[pairs[:, 0]], scores[pairs[:, 0]] = pairs[:, 1], similarities
            group['matches0'], group['matching_scores0'] = indices, scores
            lines.append(f'{first.name} {second.name}\n')
    return lines


def _flat(name: str) -> str:
    """Return the form of an image's name in the name of a pair."""
    return name.replace('/', '-')
