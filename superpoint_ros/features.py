# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The keypoints, scores and descriptors of one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import zipfile

import numpy as np


@dataclass(frozen=True, eq=False)
class Features:
    """
    Hold what a detector found in one image, best keypoint first.

    ``keypoints`` is float32 of shape (N, 2): x to the right and y down, in pixels of the
    original image, the centre of its top-left pixel being (0, 0). ``scores`` is float32 of
    shape (N,), descending. ``descriptors`` is float32 of shape (N, D), each row of unit
    length. No keypoints and one keypoint are normal results: (0, 2), (0,) and (0, D).

    Raises ValueError where the shapes do not fit each other.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    descriptors: np.ndarray

    def __post_init__(self):
        for name in ('keypoints', 'scores', 'descriptors'):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float32))
        count = len(self.scores) if self.scores.ndim == 1 else -1
        if (
            self.keypoints.shape != (count, 2)
            or self.descriptors.ndim != 2
            or len(self.descriptors) != count
        ):
            raise ValueError(
                'features need keypoints (N, 2), scores (N,) and descriptors (N, D) of one N; '
                f'got {self.keypoints.shape}, {self.scores.shape} and {self.descriptors.shape}'
            )

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls, descriptor_size: int) -> Features:
        """Return features without any keypoint, with descriptors of shape (0, D)."""
        return cls(np.zeros((0, 2)), np.zeros(0), np.zeros((0, descriptor_size)))

    def best(self, count: int) -> Features:
        """Return the ``count`` keypoints of the highest scores, all where there are fewer."""
        return Features(self.keypoints[:count], self.scores[:count], self.descriptors[:count])

    def save(self, path: str | Path) -> None:
        """Write a compressed NumPy ``.npz`` with the three arrays under their names."""
        with Path(path).open('wb') as file:
            np.savez_compressed(
                file,
                keypoints=self.keypoints,
                scores=self.scores,
                descriptors=self.descriptors,
            )

    @classmethod
    def load(cls, path: str | Path) -> Features:
        """
        Return the features that ``save`` wrote to ``path``.

        Raises FileNotFoundError where there is no such file, ValueError where it is not one of
        ours. Pickled objects are never read.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(arrays['keypoints'], arrays['scores'], arrays['descriptors'])
        except (KeyError, zipfile.BadZipFile, EOFError, AttributeError, ValueError) as error:
            raise ValueError(
                f'{path} holds no features: expected an .npz with keypoints, scores and '
                f'descriptors ({error})'
            ) from error
