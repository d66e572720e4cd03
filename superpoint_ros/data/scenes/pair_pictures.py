# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Rendered pairs as a picture, with lines between corresponding points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpoint_ros.data.scenes.correspondences import transfer
from superpoint_ros.data.scenes.pairs import RenderedPair
from superpoint_ros.visualization import contact_sheet, draw_matches

POINTS = 15
"""Corresponding points that are drawn of a pair."""

COLUMNS = 2
"""Pairs side by side."""


def picture_of_pairs(pairs: Sequence[RenderedPair]) -> np.ndarray:
    """Return a contact sheet, BGR, of pairs with some corresponding points each."""
    pictures = [draw_correspondences(pair, np.random.default_rng(0)) for pair in pairs]
    return contact_sheet(pictures, COLUMNS, [pair.scene for pair in pairs])


def draw_correspondences(pair: RenderedPair, rng: np.random.Generator) -> np.ndarray:
    """Return both views side by side, BGR, with lines between `POINTS` points that both show."""
    size = np.array(pair.first.image.shape[::-1])
    points = rng.uniform([0, 0], size - 1, (20 * POINTS, 2))
    places, visible = transfer(points, *pair.depth_views(), pair.pose)
    chosen = np.flatnonzero(visible)[:POINTS]
    matches = np.stack([np.arange(len(chosen))] * 2, axis=1)
    return draw_matches(
        pair.first.image, points[chosen], pair.second.image, places[chosen], matches
    )
