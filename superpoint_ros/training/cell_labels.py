# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From points with floating-point coordinates to the detector's classes, one for each cell."""

from __future__ import annotations

import numpy as np

from superpoint_ros.model.superpoint import CELL

DUSTBIN = CELL * CELL
"""The class of a cell without a point."""

IGNORED = -100
"""The label of a cell that the loss leaves out; torch's cross-entropy knows it by this number."""


def cell_labels(
    points: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return the class of each cell, int64 (H/8, W/8), of an image with these points.

    ``points`` is (N, 2): x, y in pixels, the centre of the top-left pixel being (0, 0); a point
    belongs to the pixel whose centre is nearest, and points beyond the image or not finite are
    left out. ``size`` is (width, height), multiples of 8. A class is the pixel's place in its
    cell, row by row (0 to 63), or ``DUSTBIN``. Where two points fall into one cell, ``rng`` picks
    one of them (paper, section 3.3). Cells of which a pixel is false in ``mask``, bool (H, W),
    are ``IGNORED``.

    Raises ValueError where a shape or the size is wrong.
    """
    width, height = size
    if width % CELL or height % CELL or min(size) < CELL:
        raise ValueError(f'the size must be multiples of {CELL}, got {width}x{height}')
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f'points must have shape (N, 2), got {points.shape}')
    pixels = np.floor(points + 0.5)
    with np.errstate(invalid='ignore'):
        inside = ((pixels >= 0) & (pixels < [width, height])).all(axis=1)
    x, y = pixels[inside].astype(np.int64).T
    cells = (y // CELL) * (width // CELL) + x // CELL
    # In a random order, the first point of each cell is one picked at random.
    order = rng.permutation(len(cells))
    chosen, first = np.unique(cells[order], return_index=True)
    labels = np.full((height // CELL) * (width // CELL), DUSTBIN, dtype=np.int64)
    labels[chosen] = ((y % CELL) * CELL + x % CELL)[order[first]]
    labels = labels.reshape(height // CELL, width // CELL)
    if mask is not None:
        labels[~valid_cells(mask)] = IGNORED
    return labels


def valid_cells(mask: np.ndarray) -> np.ndarray:
    """Return bool (H/8, W/8): the cells all of whose pixels are true in ``mask`` (H, W)."""
    height, width = mask.shape
    if height % CELL or width % CELL:
        raise ValueError(f'the mask must have sides of multiples of {CELL}, got {mask.shape}')
    return mask.reshape(height // CELL, CELL, width // CELL, CELL).all(axis=(1, 3))
