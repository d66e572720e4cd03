# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Training targets of the detector, made from points or from two views of a scene.

Pseudo labels (`PseudoLabelTargets`) give each cell one of 65 classes, as in the paper.
Repeatability targets (`RepeatabilityTargets`) need no labels: Hessian keypoints are detected in
both views themselves, so that no warping blurs their positions. A keypoint is a good one if the
other view has one at the same position. Keypoints compete for a limited number of places in both
views, as they do at detection. The number is random for each pair, so that the detector learns an
order of keypoints that does not depend on the number.

Points are (x, y) in pixels; the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from superpoint_ros.detection.cpu_hessian import find_extrema
from superpoint_ros.detection.cpu_nms import suppress_non_maxima
from superpoint_ros.geometry.homography import is_inside
from superpoint_ros.model.config import CELL, DUSTBIN
from superpoint_ros.training.losses import (
    both_views,
    cell_cross_entropy,
    IGNORED,
    soft_cell_cross_entropy,
    StepOutput,
)
from superpoint_ros.training.training_recipes import SuperPointRecipe

TOLERANCE = 1.0
"""Distance in pixels at which a keypoint counts as repeated by exp(-1/2)."""

RADIUS = 3
"""NMS radius in pixels of the Hessian keypoints, the default of `DetectionSettings`."""

BORDER = 3
"""Border in pixels in which gradients depend on what lies outside the view."""

SCALES = (0.1, 10.0)
"""Smallest and largest plausible scale between two views at a point."""

Mapping = Callable[[np.ndarray], np.ndarray]
"""Points (N, 2) of one view -> their positions in the other, NaN if they have none."""


class ViewPair(NamedTuple):
    """
    Two views of one scene with known correspondences; view A comes first in each pair.

    Attributes:
        images: gray images, uint8 (H, W), of one size in multiples of 8.
        seen: bool (H, W) each: pixels that show the scene.
        mappings: from A to B, and from B to A.
        keypoints: (2, N, 2): known keypoints of the scene in A and in B, also those outside of a
            view; NaN beyond its horizon.
        uncertain: (2, M, 2): likewise, points that may be keypoints or not.

    """

    images: tuple[np.ndarray, np.ndarray]
    seen: tuple[np.ndarray, np.ndarray]
    mappings: tuple[Mapping, Mapping]
    keypoints: np.ndarray
    uncertain: np.ndarray


class PairTargets(NamedTuple):
    """
    Detector targets of a pair.

    Attributes:
        fields: arrays of the sample, stacked for both views, that the loss reads from the batch.
        keypoints: (2, N, 2): keypoints of both views, for the training of descriptors.

    """

    fields: dict[str, np.ndarray]
    keypoints: np.ndarray


class PseudoLabelTargets:
    """Targets from known keypoints: int64 `labels` (2, h, w), see `cell_labels`."""

    def make(self, pair: ViewPair, rng: np.random.Generator) -> PairTargets:
        """Return the targets of a pair."""
        height, width = pair.images[0].shape
        labels = []
        for keypoints, uncertain, seen in zip(
            pair.keypoints, pair.uncertain, pair.seen, strict=True
        ):
            view = cell_labels(keypoints, (width, height), rng, seen)
            doubt = cell_labels(uncertain, (width, height), rng)
            view[(view == DUSTBIN) & (doubt != DUSTBIN)] = IGNORED
            labels.append(view)
        visible = is_visible(pair.keypoints[0], pair.seen[0])
        visible &= is_visible(pair.keypoints[1], pair.seen[1])
        return PairTargets({'labels': np.stack(labels)}, pair.keypoints[:, visible])

    def loss(self, step: StepOutput) -> torch.Tensor:
        """Return the cross-entropy with the labels of both views."""
        return cell_cross_entropy(step.output.logits, both_views(step.batch['labels']))


class RepeatabilityTargets:
    """
    Targets from the Hessian keypoints that both views share, see `repeatable_keypoints`.

    Their fields are `targets`, float32 (2, 65, h, w), the distribution of each cell, and `known`,
    bool (2, h, w), whether the other view shows the cell. The number of competing keypoints per
    cell is random between `min_density` and `max_density`.
    """

    def __init__(self, min_density: float, max_density: float):
        self.density = min_density, max_density

    def make(self, pair: ViewPair, rng: np.random.Generator) -> PairTargets:
        """Return the targets of a pair, for a random density of keypoints."""
        density = float(np.exp(rng.uniform(*np.log(self.density))))
        return repeatable_keypoints(pair, density)

    def loss(self, step: StepOutput) -> torch.Tensor:
        """Return the cross-entropy with the targets of both views."""
        return soft_cell_cross_entropy(
            step.output.logits, both_views(step.batch['targets']), both_views(step.batch['known'])
        )


def make_detector_targets(recipe: SuperPointRecipe) -> PseudoLabelTargets | RepeatabilityTargets:
    """Return the targets that the recipe names."""
    if recipe.detector_targets == 'pseudo_labels':
        return PseudoLabelTargets()
    return RepeatabilityTargets(recipe.min_density, recipe.max_density)


def cell_labels(
    points: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return the class of each cell, int64 (H/8, W/8), of an image with these points (N, 2).

    A point belongs to the pixel with the nearest centre; points outside the image or not finite
    are ignored. `size` is (width, height), multiples of 8. A class is the index of the pixel in
    its cell, row by row (0 to 63), or `DUSTBIN`. If two points share a cell, `rng` picks one
    (paper, section 3.3). Cells with a pixel that is false in `mask`, bool (H, W), are `IGNORED`.

    Raises ValueError if a shape or the size is wrong.
    """
    width, height = size
    if width % CELL or height % CELL or min(size) < CELL:
        raise ValueError(f'the size must be multiples of {CELL}, got {width}x{height}')
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f'points must have shape (N, 2), got {points.shape}')
    pixels = np.floor(points + 0.5)
    x, y = pixels[is_inside(pixels, size)].astype(np.int64).T
    cells = (y // CELL) * (width // CELL) + x // CELL
    # In a random order, the first point of each cell is a random one.
    order = rng.permutation(len(cells))
    chosen, first = np.unique(cells[order], return_index=True)
    labels = np.full((height // CELL) * (width // CELL), DUSTBIN, dtype=np.int64)
    labels[chosen] = ((y % CELL) * CELL + x % CELL)[order[first]]
    labels = labels.reshape(height // CELL, width // CELL)
    if mask is not None:
        labels[~valid_cells(mask)] = IGNORED
    return labels


def valid_cells(mask: np.ndarray) -> np.ndarray:
    """Return bool (H/8, W/8): cells whose pixels are all true in `mask` (H, W)."""
    height, width = mask.shape
    if height % CELL or width % CELL:
        raise ValueError(f'the mask must have sides of multiples of {CELL}, got {mask.shape}')
    return mask.reshape(height // CELL, CELL, width // CELL, CELL).all(axis=(1, 3))


def is_visible(points: np.ndarray, seen: np.ndarray, border: int = 0) -> np.ndarray:
    """
    Return bool (N,): points inside the image, off its border, on a pixel that is `seen`.

    `seen` is bool (H, W); points that are not finite are not visible.
    """
    height, width = seen.shape
    inside = is_inside(points, (width, height), border)
    x, y = np.rint(np.where(inside[:, None], points, 0)).astype(np.int64).T
    return inside & seen[y, x]


def repeatable_keypoints(pair: ViewPair, density: float) -> PairTargets:
    """
    Return targets from the Hessian keypoints of two views that are repeated in the other view.

    In each view, the strongest keypoints that the other view shows compete: at most `density` for
    each cell of A that B shows. The keypoints of the result are those that both views have,
    strongest first.
    """
    kept, known = [], []
    for image, mapping, mine, other in zip(
        pair.images, pair.mappings, pair.seen, pair.seen[::-1], strict=True
    ):
        points, response = _hessian_keypoints(image)
        inside = is_visible(points, mine, BORDER) & is_visible(mapping(points), other, BORDER)
        kept.append((points[inside], response[inside]))
        known.append(_known_cells(mine, other, mapping))
    most = max(1, round(density * known[0].sum()))
    (a, response_a), (b, response_b) = ((p[:most], r[:most]) for p, r in kept)
    repeated_a, repeated_b = np.zeros(len(a)), np.zeros(len(b))
    keypoints = np.zeros((2, 0, 2))
    if len(a) and len(b):
        distance = _distances(a, b, pair.mappings[0])
        repeated_a, repeated_b = (
            np.exp(-(distance.min(axis=axis) ** 2) / (2 * TOLERANCE**2)) for axis in (1, 0)
        )
        nearest = distance.argmin(axis=1)
        mutual = distance[:, nearest].argmin(axis=0) == np.arange(len(a))
        good = np.flatnonzero(mutual & (repeated_a > 0.5))
        keypoints = np.stack([a[good], b[nearest[good]]])
    cells = known[0].shape
    targets = np.stack(
        [
            _target_distribution(a, response_a, repeated_a, cells),
            _target_distribution(b, response_b, repeated_b, cells),
        ]
    )
    return PairTargets({'targets': targets, 'known': np.stack(known)}, keypoints)


def _hessian_keypoints(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Hessian keypoints (N, 2) of an image and their response, strongest first."""
    found = find_extrema(image)
    kept = suppress_non_maxima(found.pixels, found.response, found.size, RADIUS)
    order = kept[np.argsort(-found.strength[kept], kind='stable')]
    return found.points[order].astype(np.float64), found.response[order]


def _known_cells(mine: np.ndarray, other: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Return bool (h, w): cells of one view whose four corner pixels the other view shows."""
    height, width = mine.shape
    known = np.ones((height // CELL, width // CELL), bool)
    for dx, dy in ((0, 0), (CELL - 1, 0), (0, CELL - 1), (CELL - 1, CELL - 1)):
        x, y = np.meshgrid(np.arange(0, width, CELL) + dx, np.arange(0, height, CELL) + dy)
        points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        known &= is_visible(mapping(points), other, BORDER).reshape(known.shape) & mine[y, x]
    return known


def _distances(a: np.ndarray, b: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Return (N, M): distances in pixels of a scale halfway between those of both views."""
    warped = mapping(a).astype(np.float32)
    step = mapping(a + [0.5, 0]), mapping(a + [0, 0.5])
    (ax, ay), (bx, by) = ((2 * (s - warped)).T for s in step)
    # A neighbour may have no position in B although the point has one: the scale is then 1. At
    # edges of depth, neighbours may lie far apart.
    scale = np.nan_to_num(np.sqrt(np.abs(ax * by - ay * bx)), nan=1.0).clip(*SCALES)
    x = warped[:, :1] - b[:, 0].astype(np.float32)
    y = warped[:, 1:] - b[:, 1].astype(np.float32)
    return np.sqrt(x * x + y * y) / np.sqrt(scale)[:, None].astype(np.float32)


def _target_distribution(
    points: np.ndarray, response: np.ndarray, probability: np.ndarray, cells: tuple[int, int]
) -> np.ndarray:
    """
    Return float32 (65, h, w) for keypoints that are repeated with these probabilities (N,).

    A cell has a keypoint with the probability of its best one; several share it in proportion to
    their probability times the root of their response, a measure of contrast.
    """
    height, width = cells
    x, y = np.rint(points).astype(np.int64).T
    cell = (y // CELL) * width + x // CELL
    place = (y % CELL) * CELL + x % CELL
    best = np.zeros(height * width)
    np.maximum.at(best, cell, probability)
    share = np.zeros((DUSTBIN, height * width))
    np.add.at(share, (place, cell), probability * np.sqrt(response))
    total = share.sum(axis=0)
    share *= best / np.where(total > 0, total, 1)
    target = np.concatenate([share, 1 - share.sum(axis=0, keepdims=True)])
    return target.reshape(DUSTBIN + 1, height, width).astype(np.float32)
