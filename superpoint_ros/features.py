# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Keypoints, scores, descriptors and depths of an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from superpoint_ros.common.file_reading import read_npz
from superpoint_ros.common.file_writing import write_npz
from superpoint_ros.common.wording import counted

_ARRAYS = ('keypoints', 'scores', 'descriptors')
_DEPTH_ARRAYS = ('depths', 'depth_sigmas')


@dataclass(frozen=True, eq=False, repr=False)
class Depths:
    """
    Depths of points along the optical axis of their camera, and their standard deviations.

    Both are float32 (N,), in metres, and NaN where the depth is unknown. Values that are not
    finite or not positive become NaN, together with the other value of the point. Raises
    ValueError if the shapes differ.
    """

    values: np.ndarray
    sigmas: np.ndarray

    def __post_init__(self):
        values, sigmas = (np.array(each, dtype=np.float32) for each in (self.values, self.sigmas))
        if values.ndim != 1 or values.shape != sigmas.shape:
            raise ValueError(
                'depths need values (N,) and standard deviations (N,) of one N; '
                f'got {values.shape} and {sigmas.shape}'
            )
        with np.errstate(invalid='ignore'):
            known = np.isfinite(values) & np.isfinite(sigmas) & (values > 0) & (sigmas > 0)
        values[~known] = sigmas[~known] = np.nan
        object.__setattr__(self, 'values', values)
        object.__setattr__(self, 'sigmas', sigmas)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f'Depths({self.known.sum()} of {len(self)} known)'

    @classmethod
    def unknown(cls, count: int) -> Depths:
        """Return the depths of `count` points of unknown depth."""
        return cls(np.full(count, np.nan), np.full(count, np.nan))

    @property
    def known(self) -> np.ndarray:
        """Return bool (N,): which depths are known."""
        return np.isfinite(self.values)

    def select(self, chosen: np.ndarray | slice) -> Depths:
        """Return the chosen depths, by bool (N,), by indices or by a slice."""
        return Depths(self.values[chosen], self.sigmas[chosen])


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """
    Keypoints of one image with scores and descriptors, highest score first.

    `keypoints` is float32 (N, 2): x to the right and y down, in pixels of the original image; the
    centre of its top-left pixel is (0, 0). `scores` is float32 (N,), descending. `descriptors` is
    float32 (N, D), each row of unit length. `depths` are known with a stereo camera or a depth
    image, None without. An image without keypoints has the shapes (0, 2), (0,) and (0, D). Raises
    ValueError if the shapes do not fit each other.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    descriptors: np.ndarray
    depths: Depths | None = None

    def __post_init__(self):
        for name in _ARRAYS:
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
        if self.depths is not None and len(self.depths) != count:
            raise ValueError(
                f'there must be a depth for each keypoint: got {len(self.depths)} for {count}'
            )

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        depths = f', {self.depths}' if self.depths is not None else ''
        keypoints, size = counted(len(self), 'keypoint'), self.descriptors.shape[1]
        return f'Features({keypoints}, descriptor size {size}{depths})'

    @classmethod
    def empty(cls, descriptor_size: int) -> Features:
        """Return features without keypoints, with descriptors of shape (0, D)."""
        return cls(np.zeros((0, 2)), np.zeros(0), np.zeros((0, descriptor_size)))

    def best(self, count: int) -> Features:
        """Return the `count` keypoints with the highest scores, or all if there are fewer."""
        return self.select(slice(count))

    def select(self, chosen: np.ndarray | slice) -> Features:
        """Return the chosen keypoints in their order, by bool (N,), by indices or by a slice."""
        return Features(
            self.keypoints[chosen],
            self.scores[chosen],
            self.descriptors[chosen],
            None if self.depths is None else self.depths.select(chosen),
        )

    def depths_at(self, indices: np.ndarray) -> Depths | None:
        """Return the depths of the keypoints at indices (K,), unknown at -1; None without any."""
        if self.depths is None:
            return None
        unknown = Depths.unknown(1)
        values = np.append(self.depths.values, unknown.values)
        sigmas = np.append(self.depths.sigmas, unknown.sigmas)
        return Depths(values[indices], sigmas[indices])

    def save(self, path: str | Path) -> None:
        """
        Write a compressed NumPy .npz file with the three arrays under their names.

        Depths, if there are any, are the arrays `depths` and `depth_sigmas`.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.depths is not None:
            arrays |= {_DEPTH_ARRAYS[0]: self.depths.values, _DEPTH_ARRAYS[1]: self.depths.sigmas}
        write_npz(Path(path), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Features:
        """
        Return the features in a file that `save` wrote.

        Raises FileNotFoundError if there is no such file, ValueError that names it if it is
        damaged or has no features.
        """
        arrays = read_npz(path, _ARRAYS, _DEPTH_ARRAYS)
        try:
            *plain, depths, sigmas = arrays
            return cls(*plain, None if depths is None else Depths(depths, sigmas))
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path} has no features: {error}') from error
