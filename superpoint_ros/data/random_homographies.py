# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random homographies between two views of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from superpoint_ros.common.settings_table import setting, SettingsGroup

LARGEST_PERSPECTIVE = 0.24
"""A square stays convex if each corner moves by less than a quarter of its side."""


@dataclass(frozen=True)
class HomographyRanges(SettingsGroup):
    """
    Ranges of random homographies.

    The defaults are those of homographic adaptation. A homography shows a patch of the source,
    which fills the target. The patch is a rectangle in the middle of the source, which is
    distorted by `perspective`, scaled, rotated and moved, in this order. Without
    `allow_artifacts`, a patch that leaves the source is shrunk and moved until it does not, and
    every pixel of the target shows the source (``superpoint_ros.geometry.homography.valid_mask``
    gives the pixels that do).

    Source for perspective, scale and patch: the ranges of rpautrat/SuperPoint that worked; the
    paper gives none.
    """

    translation: float = setting(
        0.1,
        'Largest shift of the patch along x and along y, relative to the side of the source; '
        'uniform.',
        range=(0.0, 1.0),
    )
    max_rotation: float = setting(
        90.0, 'Largest rotation of the patch, either way.', unit='deg', range=(0.0, 180.0)
    )
    rotation_sigma: float | None = setting(
        None,
        'Standard deviation of the rotation, a normal distribution cut off at max_rotation; none: '
        'uniform.',
        unit='deg',
        range=(0.01, 1000.0),
    )
    min_scale: float = setting(
        0.8, 'Smallest scale of the picture; uniform in the logarithm.', range=(0.05, 20.0)
    )
    max_scale: float = setting(1.25, 'Largest scale of the picture.', range=(0.05, 20.0))
    perspective: float = setting(
        0.2,
        'Largest shift of each corner along x and along y, relative to the side of the patch; a '
        'normal distribution cut off at two standard deviations.',
        range=(0.0, LARGEST_PERSPECTIVE),
    )
    patch_ratio: float = setting(
        0.85, 'Side of the patch, relative to the side of the source.', range=(0.1, 1.0)
    )
    allow_artifacts: bool = setting(
        False, 'Allow parts of the target that do not show the source.'
    )

    def __post_init__(self):
        super().__post_init__()
        self.check_order('min_scale', 'max_scale')


def sample_homography(
    rng: np.random.Generator, size: tuple[int, int], ranges: HomographyRanges | None = None
) -> np.ndarray:
    """
    Return a random homography (3, 3), float64, between two images of `size` (width, height).

    It maps the centres of source pixels (x, y) to those of target pixels; the centre of the
    top-left pixel is (0, 0). Visible points have a positive third coordinate. The number of random
    values drawn depends on the ranges only, except for a normally distributed rotation. Raises
    ValueError if a side is below 2 pixels.
    """
    ranges = HomographyRanges() if ranges is None else ranges
    last = np.array([size[0] - 1, size[1] - 1], dtype=np.float64)
    if last.min() < 1:
        raise ValueError(f'the size is {size}; a homography needs at least 2 x 2 pixels')
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)

    # Normally distributed, cut off at two standard deviations.
    patch = unit - 0.5 + ranges.perspective * np.clip(rng.normal(0, 0.5, (4, 2)), -1, 1)
    scale = np.exp(rng.uniform(np.log(ranges.min_scale), np.log(ranges.max_scale)))
    patch *= last * (ranges.patch_ratio / scale)
    angle = np.deg2rad(_rotation(rng, ranges))
    cos, sin = np.cos(angle), np.sin(angle)
    patch = patch @ np.array([[cos, sin], [-sin, cos]])
    centre = last * (0.5 + rng.uniform(-ranges.translation, ranges.translation, 2))
    if not ranges.allow_artifacts:
        patch *= min(1.0, (last / np.ptp(patch, axis=0)).min())
        centre = np.clip(centre, -patch.min(axis=0), last - patch.max(axis=0))
    # Solved for the inverse: the origin of the target is visible, that of the source may not be.
    return np.linalg.inv(_homography_between(unit * last, patch + centre))


def _rotation(rng: np.random.Generator, ranges: HomographyRanges) -> float:
    """Return a random angle in degrees."""
    if ranges.rotation_sigma is None:
        return rng.uniform(-ranges.max_rotation, ranges.max_rotation)
    for _ in range(20):
        angle = rng.normal(0, ranges.rotation_sigma)
        if abs(angle) <= ranges.max_rotation:
            return angle
    return rng.uniform(-ranges.max_rotation, ranges.max_rotation)  # sigma is far larger


def _homography_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """
    Return the homography that maps four points (4, 2) to four others, with H[2, 2] = 1.

    OpenCV's getPerspectiveTransform does the same, but rounds the points to float32.
    """
    x, y = source.T
    u, v = target.T
    one, zero = np.ones(4), np.zeros(4)
    equations = np.block(
        [
            [np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1)],
            [np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1)],
        ]
    )
    solution = np.linalg.solve(equations, np.concatenate([u, v]))
    return np.append(solution, 1.0).reshape(3, 3)
