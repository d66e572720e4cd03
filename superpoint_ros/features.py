# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Keypoints, scores and descriptors of an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from superpoint_ros.files import read_npz


@dataclass(frozen=True, eq=False)
class Features:
    """
    Keypoints of one image with scores and descriptors, highest score first.

    `keypoints` is float32 (N, 2): x to the right and y down, in pixels of the original image; the
    centre of its top-left pixel is (0, 0). `scores` is float32 (N,), descending. `descriptors` is
    float32 (N, D), each row of unit length. An image without keypoints has the shapes (0, 2), (0,)
    and (0, D). Raises ValueError if the shapes do not fit each other.
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
        """Return features without keypoints, with descriptors of shape (0, D)."""
        return cls(np.zeros((0, 2)), np.zeros(0), np.zeros((0, descriptor_size)))

    def best(self, count: int) -> Features:
        """Return the `count` keypoints with the highest scores, or all if there are fewer."""
        return Features(self.keypoints[:count], self.scores[:count], self.descriptors[:count])

    def save(self, path: str | Path) -> None:
        """Write a compressed NumPy .npz file with the three arrays under their names."""
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
        Return the features in a file that `save` wrote.

        Raises FileNotFoundError if there is no such file, ValueError that names it if it is
        damaged or has no features.
        """
        arrays = read_npz(path, ('keypoints', 'scores', 'descriptors'))
        try:
            return cls(*arrays)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path} has no features: {error}') from error
