# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What a detector should say of two views: which blobs of each the other shows again.

Blobs are those that the detector looks for, in the view itself, under its light and with its
noise: the network sees exactly what makes them, and no rounding, warping or averaging blurs their
places. Whether a blob is a good keypoint is decided by the other view: if it has a blob at the
same place, nearly or not at all. Blobs compete for a limited number of places in both views, as
they do in use; the number is another for each pair, so that what a detector learns is by which
order keypoints are found again, whatever their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.detection.cpu_hessian import find_blob_points
from superpoint_ros.detection.nms import peaks_among
from superpoint_ros.geometry.homography import warp_points
from superpoint_ros.model.superpoint import CELL
from superpoint_ros.training.cell_labels import DUSTBIN

TOLERANCE = 1.0
"""Distance in pixels at which a blob counts as found again by exp(-1/2)."""

RADIUS = 3
"""Pixels to each side of a blob within which there is no stronger one."""

BORDER = 3
"""Pixels at a view's border in which gradients see what lies beyond."""


class Repeats(NamedTuple):
    """
    Hold what is known of two views, view A before view B.

    `targets` float32 (2, 65, h, w): what each cell should be, adding up to 1; `known` bool
    (2, h, w): cells that the other view shows; `points` (2, N, 2): blobs that both views have,
    at their own place in each, best first.
    """

    targets: np.ndarray
    known: np.ndarray
    points: np.ndarray


def find_repeats(
    images: tuple[np.ndarray, np.ndarray],
    homography: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    density: float,
) -> Repeats:
    """
    Return which blobs two views repeat.

    The images are gray uint8 (H, W) of one size in whole cells, `homography` maps A's pixels to
    B's, `seen`, bool (H, W), are the pixels that show the scene. In each view the strongest
    blobs compete that the other one shows, at most `density` for each cell of A that B shows.
    """
    found = [_find_blobs(image) for image in images]
    ways = (homography, np.linalg.inv(homography))
    kept, visible = [], []
    for (points, response), mine, other, way in zip(found, seen, seen[::-1], ways, strict=True):
        inside = _is_seen(points, mine) & _is_seen(warp_points(points, way), other)
        kept.append((points[inside], response[inside]))
        visible.append(_known_cells(mine, other, way))
    most = max(1, round(density * visible[0].sum()))
    (a, response_a), (b, response_b) = ((p[:most], s[:most]) for p, s in kept)
    if not len(a) or not len(b):
        repeated = (np.zeros(len(a)), np.zeros(len(b)))
        pairs = np.zeros((2, 0, 2))
    else:
        distance = _distances(a, b, homography)
        repeated = tuple(
            np.exp(-(distance.min(axis=axis) ** 2) / (2 * TOLERANCE**2)) for axis in (1, 0)
        )
        nearest = distance.argmin(axis=1)
        mutual = distance[:, nearest].argmin(axis=0) == np.arange(len(a))
        good = np.flatnonzero(mutual & (repeated[0] > 0.5))
        pairs = np.stack([a[good], b[nearest[good]]])
    cells = images[0].shape[0] // CELL, images[0].shape[1] // CELL
    targets = [
        _targets(points, response, chance, cells)
        for points, response, chance in (
            (a, response_a, repeated[0]),
            (b, response_b, repeated[1]),
        )
    ]
    return Repeats(np.stack(targets), np.stack(visible), pairs)


def _find_blobs(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places (N, 2) of an image's blobs and their response (N,), strongest first."""
    blobs = find_blob_points(image)
    kept = peaks_among(blobs.places, blobs.response.copy(), blobs.size, RADIUS)
    order = kept[np.argsort(-blobs.strength[kept], kind='stable')]
    return blobs.points[order].astype(np.float64), blobs.response[order]


def _is_seen(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return bool (N,): which points lie in an image where the mask (H, W) is true."""
    height, width = mask.shape
    with np.errstate(invalid='ignore'):
        pixels = np.nan_to_num(np.rint(points), nan=-1.0, posinf=-1.0, neginf=-1.0)
        inside = (pixels >= BORDER) & (pixels < [width - BORDER, height - BORDER])
    inside = inside.all(axis=1)
    x, y = np.where(inside[:, None], pixels, 0).astype(np.int64).T
    return inside & mask[y, x]


def _known_cells(mine: np.ndarray, other: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Return bool (h, w): the cells of one view whose four ends the other shows."""
    height, width = mine.shape
    across = np.arange(0, width, CELL)
    down = np.arange(0, height, CELL)
    known = np.ones((len(down), len(across)), bool)
    for dx, dy in ((0, 0), (CELL - 1, 0), (0, CELL - 1), (CELL - 1, CELL - 1)):
        x, y = np.meshgrid(across + dx, down + dy)
        points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        shown = _is_seen(warp_points(points, way), other).reshape(known.shape)
        known &= shown & mine[y, x]
    return known


def _distances(a: np.ndarray, b: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Return (N, M): how far points are apart, in pixels of a scale between both views'."""
    warped = warp_points(a, homography).astype(np.float32)
    step = warp_points(a + [0.5, 0], homography), warp_points(a + [0, 0.5], homography)
    (ax, ay), (bx, by) = ((2 * (s - warped)).T for s in step)
    scale = np.sqrt(np.abs(ax * by - ay * bx)).clip(1e-3)
    x = warped[:, :1] - b[:, 0].astype(np.float32)
    y = warped[:, 1:] - b[:, 1].astype(np.float32)
    return np.sqrt(x * x + y * y) / np.sqrt(scale)[:, None].astype(np.float32)


def _targets(
    points: np.ndarray, response: np.ndarray, chance: np.ndarray, cells: tuple[int, int]
) -> np.ndarray:
    """
    Return float32 (65, h, w) for blobs of a view with the chances that they are found again.

    A cell holds a keypoint with the chance of its best blob; of several, each is the one in
    proportion to its chance and the root of its response, a measure of contrast.
    """
    height, width = cells
    pixels = np.rint(points).astype(np.int64)
    x, y = pixels.T
    cell = (y // CELL) * width + x // CELL
    place = (y % CELL) * CELL + x % CELL
    best = np.zeros(height * width)
    np.maximum.at(best, cell, chance)
    share = np.zeros((DUSTBIN, height * width))
    np.add.at(share, (place, cell), chance * np.sqrt(response))
    total = share.sum(axis=0)
    share *= best / np.where(total > 0, total, 1)
    target = np.concatenate([share, 1 - share.sum(axis=0, keepdims=True)])
    return target.reshape(DUSTBIN + 1, height, width).astype(np.float32)
