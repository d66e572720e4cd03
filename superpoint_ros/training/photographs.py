# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Photographs of a folder with their pseudo labels, for training or for validation."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple
import zlib

import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.image_files import list_images, read_image
from superpoint_ros.geometry.homography import check_sides
from superpoint_ros.training.data_loading import VALIDATION
from superpoint_ros.training.image_lists import select_listed
from superpoint_ros.training.label_files import LabelFolder

HELD_OUT = 20
"""One of this many photographs is kept for validation."""

KEPT_BYTES = 2**30
"""Memory of a process for photographs; the others are read from disk each time."""

CHECKED = 16
"""Photographs that are read before training starts, to find labels of other images early."""

logger = logging.getLogger(__name__)


class LabelledImage(NamedTuple):
    """A picture, uint8 (H, W), its keypoints (N, 2), and points (M, 2) that may be keypoints."""

    image: np.ndarray
    points: np.ndarray
    uncertain: np.ndarray


class Photographs:
    """
    The images of a folder, with their pseudo labels if any, cached up to `KEPT_BYTES`.

    One of `HELD_OUT` photographs, chosen by its name, or else a single one, is kept for
    validation; `stream` selects the part. With a folder of `labels`, only images with labels
    are used, and with an `image_list`, only its images. Photographs that cannot be read, or are
    too large to be warped, are skipped with a warning that names them. Raises ValueError if none
    is left, if the labels were made for other images, or if images of the list are missing.
    """

    def __init__(
        self,
        images: Path,
        labels: Path | None,
        stream: int,
        min_score: float = 0.0,
        image_list: str = '',
    ):
        self.folder = images
        self.labels = LabelFolder(labels) if labels else None
        self.min_score = min_score
        found = self.labels.labelled(images) if self.labels else list_images(images)
        if image_list:
            found = select_listed(found, image_list)
        held_out = _held_out(found) if found else set()
        self.paths = [path for path in found if (path in held_out) == (stream == VALIDATION)]
        if not self.paths:
            count = counted(len(found), 'labelled image' if self.labels else 'image')
            raise ValueError(
                f'{images} holds {count}; there must be at least 2, one to train on and one to '
                'validate with'
            )
        self._cached: dict[int, LabelledImage | None] = {}
        self._kept = 0

    def check(self) -> None:
        """Raise ValueError if none can be read, some have labels of other images, or none any."""
        for index in range(0, len(self), -(-len(self) // CHECKED)):
            self[index]
        labels = self.labels
        if labels and not any(
            labels.read(path).scores.size for path in labels.labelled(self.folder)
        ):
            raise ValueError(
                f'the labels in {labels.folder} have no keypoint: make others with a lower '
                "threshold of 'superpoint adapt'"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return a photograph, or the next one that can be read."""
        for offset in range(len(self)):
            photograph = self._read((index + offset) % len(self))
            if photograph is not None:
                return photograph
        raise ValueError(
            f'none of the photographs in {self.folder} can be read ({len(self)} skipped)'
        )

    def _read(self, index: int) -> LabelledImage | None:
        """Return a photograph, None if it cannot be read or is too large."""
        if index in self._cached:
            return self._cached[index]
        path = self.paths[index]
        try:
            image = read_image(path)
            check_sides(image.shape[::-1], str(path))
        except (ValueError, OSError) as error:
            logger.warning('skipped: %s', error)
            self._cached[index] = None
            return None
        photograph = self._labelled(path, image)
        if self._kept + image.nbytes <= KEPT_BYTES:
            self._kept += image.nbytes
            self._cached[index] = photograph
        return photograph

    def _labelled(self, path: Path, image: np.ndarray) -> LabelledImage:
        """Return a photograph with its labels."""
        if self.labels is None:
            return LabelledImage(image, np.zeros((0, 2)), np.zeros((0, 2)))
        keypoints, scores = self.labels.read(path, image)
        certain = scores >= self.min_score
        return LabelledImage(image, keypoints[certain], keypoints[~certain])


def _held_out(paths: list[Path]) -> set[Path]:
    """Return the photographs that are kept for validation, at least one."""
    # File names need not be UTF-8.
    numbers = {path: zlib.crc32(os.fsencode(path.name)) for path in paths}
    held_out = {path for path, number in numbers.items() if number % HELD_OUT == 0}
    return held_out or {min(paths, key=numbers.__getitem__)}
