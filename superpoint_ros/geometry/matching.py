# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Matching of the descriptors of two images."""

from __future__ import annotations

import numpy as np


def match_mutual(
    a: np.ndarray,
    b: np.ndarray,
    ratio: float | None = None,
    min_similarity: float | None = None,
    allowed: np.ndarray | None = None,
) -> np.ndarray:
    """
    Return mutual nearest neighbours as pairs of indices into `a` and `b`, int64 (K, 2).

    The similarity of two descriptors is their dot product, from -1 to 1. Rows ascend by the index
    into `a`, and no index occurs twice. Of equally near neighbours the first is used. Empty inputs
    give (0, 2), and a descriptor with a number that is not finite has no match. Raises ValueError
    if the shapes do not fit or `ratio` is not in (0, 1].

    Args:
        a: descriptors (N, D) of unit length.
        b: descriptors (M, D) of unit length.
        ratio: keep matches whose Euclidean distance is less than `ratio` times that of the second
            nearest neighbour in both directions, or that have no second one (Lowe, IJCV 2004,
            section 7.1).
        min_similarity: keep matches of at least this similarity.
        allowed: bool (N, M), pairs that may match.

    """
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f'descriptors must have shapes (N, D) and (M, D), got {a.shape} and {b.shape}'
        )
    if ratio is not None and not 0 < ratio <= 1:
        raise ValueError(f'ratio must be above 0 and at most 1, got {ratio}')
    if allowed is not None and np.shape(allowed) != (len(a), len(b)):
        raise ValueError(
            f'allowed must have the shape {(len(a), len(b))}, got {np.shape(allowed)}'
        )
    if not len(a) or not len(b):
        return np.zeros((0, 2), np.int64)
    with np.errstate(invalid='ignore'):
        similarity = a @ b.T
    similarity[~np.isfinite(a).all(axis=1)] = -np.inf  # argmax would take NaN as the largest
    similarity[:, ~np.isfinite(b).all(axis=1)] = -np.inf
    if allowed is not None:
        similarity[~allowed] = -np.inf
    nearest_b, nearest_a = similarity.argmax(axis=1), similarity.argmax(axis=0)
    in_a = np.flatnonzero(nearest_a[nearest_b] == np.arange(len(a)))
    in_b = nearest_b[in_a]
    best = similarity[in_a, in_b]
    keep = np.isfinite(best)
    if min_similarity is not None:
        keep &= best >= min_similarity
    if ratio is not None:
        # The squared distance of unit vectors is 2 - 2 s.
        distance = np.maximum(1 - best, 0)
        # Without the best, the second best is the maximum: no sorting is needed.
        similarity[in_a, in_b] = -np.inf
        for second in (similarity.max(axis=1)[in_a], similarity.max(axis=0)[in_b]):
            keep &= distance < ratio**2 * np.maximum(1 - second, 0)
    return np.stack([in_a[keep], in_b[keep]], axis=1).astype(np.int64)
