# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Metrics of features in pairs of images with a ground-truth homography.

`homography` (3, 3) maps pixels of image a to pixels of image b. Distances are in pixels: those of
keypoints of a are measured in b, and those of b in a. Sources: [P] SuperPoint's paper, appendix;
[M] Mikolajczyk and Schmid, "A performance evaluation of local descriptors", PAMI 2005; [D] Dusmanu
and others, "D2-Net", CVPR 2019 (mean matching accuracy).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from superpoint_ros.evaluation.detection_metrics import average_precision, precision_recall
from superpoint_ros.features import Features
from superpoint_ros.geometry.homography import (
    estimate_homography,
    image_corners,
    is_inside,
    warp_points,
)
from superpoint_ros.geometry.matching import match_mutual

EPSILON = 3.0
"""Largest distance in pixels between corresponding points, as in the paper."""

HOMOGRAPHY_LIMIT = 5.0
"""Corner error in pixels at which the area under the homography error curve ends."""


class Pair(NamedTuple):
    """
    Features of two images of a plane, and how the images are related.

    Attributes:
        a: features of image a, highest score first.
        b: features of image b.
        homography: (3, 3), maps pixels of a to pixels of b.
        size_a: width and height of a in pixels.
        size_b: width and height of b.
        matches: int (K, 2), indices into both images' features; None for the mutual nearest
            neighbours.

    """

    a: Features
    b: Features
    homography: np.ndarray
    size_a: tuple[int, int]
    size_b: tuple[int, int]
    matches: np.ndarray | None = None

    def swapped(self) -> Pair:
        """Return the pair with a and b exchanged."""
        inverse = np.linalg.inv(self.homography)
        matches = None if self.matches is None else self.matches[:, ::-1]
        return Pair(self.b, self.a, inverse, self.size_b, self.size_a, matches)

    def select(self, in_a: np.ndarray, in_b: np.ndarray) -> Pair:
        """Return the pair with the chosen features, bool (N,) and (M,), and their matches."""
        matches = self.matches
        if matches is not None:
            kept = matches[in_a[matches[:, 0]] & in_b[matches[:, 1]]]
            indices = (np.cumsum(chosen) - 1 for chosen in (in_a, in_b))
            matches = np.stack(
                [new[old] for new, old in zip(indices, kept.T, strict=True)], axis=1
            )
        return self._replace(a=self.a.select(in_a), b=self.b.select(in_b), matches=matches)

    def best(self, count: int) -> Pair:
        """Return the pair with the `count` best features of each image."""
        return self.select(*(np.arange(len(side)) < count for side in (self.a, self.b)))


def in_view(points: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return bool (N,): whether the homography maps points (N, 2) into an image of this size."""
    return is_inside(warp_points(np.asarray(points, np.float64), homography), size)


def shared_view(pair: Pair) -> Pair:
    """Return the pair with only those features that lie in both images."""
    back = pair.swapped()
    return pair.select(
        in_view(pair.a.keypoints, pair.homography, pair.size_b),
        in_view(pair.b.keypoints, back.homography, pair.size_a),
    )


def distances_to_nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each point (N, 2) to the nearest of others (M, 2); inf if none."""
    if not len(others):
        return np.full(len(points), np.inf)
    x, y = (points[:, axis, None] - others[:, axis].astype(np.float64) for axis in (0, 1))
    return np.nan_to_num(np.sqrt((x * x + y * y).min(axis=1)), nan=np.inf)


def nearest_distances(pair: Pair) -> np.ndarray:
    """Return the distance, in b, of each keypoint of a to the nearest of b; infinite if none."""
    warped = warp_points(pair.a.keypoints.astype(np.float64), pair.homography)
    return distances_to_nearest(warped, pair.b.keypoints)


def repeatability(pair: Pair) -> tuple[float, float | None]:
    """
    Return the repeatability and the localisation error [P].

    Repeatability is the share of the keypoints of both images that are found in the other image, 0
    without keypoints. The localisation error is their mean distance, None if none is repeated.
    """
    return repeated_share([nearest_distances(pair), nearest_distances(pair.swapped())])


def repeated_share(distances: Sequence[np.ndarray]) -> tuple[float, float | None]:
    """Return repeatability and localisation error from the distances (N,) in both directions."""
    both = np.concatenate(distances)
    repeated = both <= EPSILON
    if not repeated.any():
        return 0.0, None
    return float(repeated.mean()), float(both[repeated].mean())


def match_distances(pair: Pair, matches: np.ndarray) -> np.ndarray:
    """Return the distance, in b, of each match (K, 2) from the position by the homography."""
    warped = warp_points(pair.a.keypoints[matches[:, 0]].astype(np.float64), pair.homography)
    distances = np.linalg.norm(warped - pair.b.keypoints[matches[:, 1]], axis=1)
    return np.nan_to_num(distances, nan=np.inf)


def judged_matches(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Return the matches of the pair, int (K, 2), and which of them are correct, bool (K,)."""
    matches = pair.matches
    if matches is None:
        matches = match_mutual(pair.a.descriptors, pair.b.descriptors)
    return matches, match_distances(pair, matches) <= EPSILON


def matching_accuracy(correct: np.ndarray) -> float:
    """Return the share of correct matches [D], 0 without matches."""
    return float(np.mean(correct)) if len(correct) else 0.0


def matching_score(pair: Pair, correct: np.ndarray) -> float:
    """
    Return the number of correct matches divided by the features in the shared view [P], [M].

    The result is the mean over both images; an image without features counts 0.
    """
    seen = shared_view(pair)
    return share_of_seen(correct, len(seen.a), len(seen.b))


def share_of_seen(correct: np.ndarray, *seen: int) -> float:
    """Return the number of correct matches divided by the visible features of either image."""
    count = int(np.sum(correct))
    # A correct match may be visible in one direction only, hence the limit of 1.
    return sum(min(count / number, 1.0) if number else 0.0 for number in seen) / len(seen)


def nearest_neighbour_precision(pair: Pair) -> float:
    """
    Return the mean average precision of nearest neighbours by descriptor [P] in both directions.

    The nearest neighbour of a feature is correct if it lies within EPSILON pixels of the true
    position. Neighbours are ranked by similarity; recall refers to the features that have a
    corresponding feature in the other image. A direction without such features counts 0.
    """
    return (_one_sided(pair) + _one_sided(pair.swapped())) / 2


def _one_sided(pair: Pair) -> float:
    """Return the average precision of the nearest neighbours of a in b."""
    possible = int((nearest_distances(pair) <= EPSILON).sum())
    if not possible:
        return 0.0
    similarity = pair.a.descriptors @ pair.b.descriptors.T
    nearest = similarity.argmax(axis=1)
    rows = np.arange(len(nearest))
    correct = match_distances(pair, np.stack([rows, nearest], axis=1)) <= EPSILON
    # Several features may have the same correct neighbour, hence the limit of 1.
    return min(
        average_precision(precision_recall(similarity[rows, nearest], correct, possible)), 1.0
    )


def corner_error(estimate: np.ndarray | None, truth: np.ndarray, size: tuple[int, int]) -> float:
    """Return the mean distance, in b, of the corners of a by estimate and ground truth [P]."""
    corners = image_corners(size)
    expected = warp_points(corners, truth)
    try:
        found = warp_points(corners, estimate)
    except ValueError:  # there is none, or it cannot be inverted
        return float('inf')
    return float(np.nan_to_num(np.linalg.norm(found - expected, axis=1).mean(), nan=np.inf))


def area_under_accuracy(errors: np.ndarray, limit: float) -> float:
    """
    Return the area under the curve of the share of errors below t, for t from 0 to `limit`.

    The area is divided by `limit`. An error e contributes max(0, 1 - e / limit), which is exact.
    """
    errors = np.asarray(errors, np.float64)
    return float(np.mean(np.clip(1 - errors / limit, 0, 1))) if len(errors) else 0.0


def mean_of(rows: Sequence[Mapping], name: str) -> float | None:
    """Return the mean of the values `name` of all rows, without None; None if there are none."""
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None


def corner_errors_of(rows: Sequence[Mapping]) -> np.ndarray:
    """Return the corner errors (N,) in the results of `measure_pair`; inf without a homography."""
    return np.array(
        [np.inf if row['corner_error'] is None else row['corner_error'] for row in rows]
    )


def measure_pair(pair: Pair) -> dict[str, float | None]:
    """
    Return all measurements of one pair by name.

    `corner_error` is None if no homography is found from the matches.
    """
    repeated, localisation = repeatability(pair)
    matches, correct = judged_matches(pair)
    estimate = estimate_homography(
        pair.a.keypoints[matches[:, 0]], pair.b.keypoints[matches[:, 1]]
    )
    error = corner_error(estimate, pair.homography, pair.size_a)
    return {
        'repeatability': repeated,
        'localisation': localisation,
        'nn_map': nearest_neighbour_precision(pair),
        'matching_score': matching_score(pair, correct),
        'matching_accuracy': matching_accuracy(correct),
        'corner_error': error if np.isfinite(error) else None,
        'matches': len(matches),
        'points': (len(pair.a) + len(pair.b)) / 2,
    }
