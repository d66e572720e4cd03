# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
How well the features of two images of a plane agree, whose homography is known.

`homography` (3, 3) maps pixels of image a to those of image b; distances are in pixels, a's points
being measured where they fall in b and b's where they fall in a. Sources: [P] SuperPoint's paper,
appendix; [M] Mikolajczyk and Schmid, "A performance evaluation of local descriptors", PAMI 2005;
[D] Dusmanu and others, "D2-Net", CVPR 2019 (mean matching accuracy).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.evaluation.detection_metrics import average_precision, precision_recall
from superpoint_ros.features import Features
from superpoint_ros.geometry.homography import warp_points
from superpoint_ros.geometry.matching import match_mutual

EPSILON = 3.0
"""Pixels within which two points are the same, as in the paper."""

RANSAC_THRESHOLD, RANSAC_ITERATIONS, RANSAC_CONFIDENCE = 2.0, 5000, 0.9999


class Pair(NamedTuple):
    """Two images' features, the homography between them, and both sizes (width, height)."""

    a: Features
    b: Features
    homography: np.ndarray
    size_a: tuple[int, int]
    size_b: tuple[int, int]

    def swapped(self) -> Pair:
        """Return the pair seen from b."""
        inverse = np.linalg.inv(self.homography)
        # Of the two signs, the one under which a's centre is in front of b, as it is.
        centre = np.append((np.array(self.size_a) - 1) / 2, 1.0)
        if (inverse @ (self.homography @ centre))[2] * (self.homography @ centre)[2] < 0:
            inverse = -inverse
        return Pair(self.b, self.a, inverse, self.size_b, self.size_a)


def in_view(points: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return bool (N,): which points (N, 2) the homography takes into an image of that size."""
    warped = warp_points(np.asarray(points, np.float64), homography)
    with np.errstate(invalid='ignore'):
        return ((warped >= 0) & (warped <= np.array(size) - 1)).all(axis=1)


def shared_view(pair: Pair) -> Pair:
    """Return the pair with those features only that lie in the view of both images."""
    back = pair.swapped()
    return pair._replace(
        a=_select(pair.a, in_view(pair.a.keypoints, pair.homography, pair.size_b)),
        b=_select(pair.b, in_view(pair.b.keypoints, back.homography, pair.size_a)),
    )


def _select(features: Features, chosen: np.ndarray) -> Features:
    """Return the chosen features, in their order."""
    return Features(
        features.keypoints[chosen], features.scores[chosen], features.descriptors[chosen]
    )


def nearest_distances(pair: Pair) -> np.ndarray:
    """Return for each point of a the distance, in b, to b's nearest; infinite if none."""
    warped = warp_points(pair.a.keypoints.astype(np.float64), pair.homography)
    if not len(pair.b):
        return np.full(len(warped), np.inf)
    other = pair.b.keypoints.astype(np.float64)
    squared = np.square(warped[:, :1] - other[:, 0]) + np.square(warped[:, 1:] - other[:, 1])
    return np.nan_to_num(np.sqrt(squared.min(axis=1)), nan=np.inf)


def repeatability(pair: Pair, epsilon: float = EPSILON) -> tuple[float, float | None]:
    """
    Return the share of points that the other image has too, and their mean distance [P].

    The share is of the points of both images together, 0 where there are none; the distance, the
    localisation error, is None where no point is repeated.
    """
    distances = np.concatenate([nearest_distances(pair), nearest_distances(pair.swapped())])
    repeated = distances <= epsilon
    if not repeated.any():
        return 0.0, None
    return float(repeated.mean()), float(distances[repeated].mean())


def match_distances(pair: Pair, matches: np.ndarray) -> np.ndarray:
    """Return for each match (K, 2) how far, in b, it is from where the homography says."""
    warped = warp_points(pair.a.keypoints[matches[:, 0]].astype(np.float64), pair.homography)
    distances = np.linalg.norm(warped - pair.b.keypoints[matches[:, 1]], axis=1)
    return np.nan_to_num(distances, nan=np.inf)


def matching_accuracy(correct: np.ndarray) -> float:
    """Return the share of the matches that are correct [D], 0 where there are none."""
    return float(np.mean(correct)) if len(correct) else 0.0


def matching_score(pair: Pair, correct: np.ndarray) -> float:
    """
    Return the correct matches' share of the features in the shared view [P], [M].

    It is the mean of both images' shares, 0 where there is no feature.
    """
    seen = shared_view(pair)
    count = int(np.sum(correct))
    # A correct match may lie a little beyond the view of the other image: never above 1.
    shares = [min(count / len(side), 1.0) if len(side) else 0.0 for side in (seen.a, seen.b)]
    return sum(shares) / 2


def nearest_neighbour_precision(pair: Pair, epsilon: float = EPSILON) -> float:
    """
    Return the average precision of nearest neighbours by descriptor [P], from both sides.

    Each feature's nearest neighbour in the other image is right where it lies within `epsilon`
    pixels of the true place; they are ranked by similarity, and the recall is of those features
    that the other image has at all. A side without such features counts 0.
    """
    return (_one_sided(pair, epsilon) + _one_sided(pair.swapped(), epsilon)) / 2


def _one_sided(pair: Pair, epsilon: float) -> float:
    """Return the average precision of a's nearest neighbours in b."""
    possible = int((nearest_distances(pair) <= epsilon).sum())
    if not possible:
        return 0.0
    similarity = pair.a.descriptors @ pair.b.descriptors.T
    nearest = similarity.argmax(axis=1)
    rows = np.arange(len(nearest))
    correct = match_distances(pair, np.stack([rows, nearest], axis=1)) <= epsilon
    # Two neighbours of one feature can both be right: no more count than there are to be found.
    return min(
        average_precision(precision_recall(similarity[rows, nearest], correct, possible)), 1.0
    )


def estimate_homography(points_a: np.ndarray, points_b: np.ndarray) -> np.ndarray | None:
    """
    Return the homography from matched points (K, 2) of a and b, None where none can be found.

    OpenCV's USAC_ACCURATE (graph-cut RANSAC) with a threshold of 2 px, at most 5,000 iterations,
    confidence .9999: of OpenCV's estimators it gave SIFT, ORB and AKAZE the best corners. Its
    random numbers start from one state at each call, so that results repeat.
    """
    if len(points_a) < 4:
        return None
    cv2.setRNGSeed(0)
    found, _ = cv2.findHomography(
        np.asarray(points_a, np.float64),
        np.asarray(points_b, np.float64),
        cv2.USAC_ACCURATE,
        RANSAC_THRESHOLD,
        maxIters=RANSAC_ITERATIONS,
        confidence=RANSAC_CONFIDENCE,
    )
    return found


def corner_error(estimate: np.ndarray | None, truth: np.ndarray, size: tuple[int, int]) -> float:
    """Return how far on average a's four corners fall, in b, from where they should [P]."""
    if estimate is None or not np.isfinite(estimate).all() or abs(np.linalg.det(estimate)) < 1e-12:
        return float('inf')
    right, bottom = size[0] - 1, size[1] - 1
    corners = np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float64)
    errors = np.linalg.norm(warp_points(corners, estimate) - warp_points(corners, truth), axis=1)
    return float(np.nan_to_num(errors.mean(), nan=np.inf))


def area_under_accuracy(errors: np.ndarray, limit: float) -> float:
    """
    Return the area under the share of errors below t, t from 0 to `limit`, divided by `limit`.

    An error e adds max(0, 1 - e / limit): this is the exact area under the steps.
    """
    errors = np.asarray(errors, np.float64)
    return float(np.mean(np.clip(1 - errors / limit, 0, 1))) if len(errors) else 0.0


def measure_pair(pair: Pair) -> dict[str, float | None]:
    """
    Return all measurements of one pair by name.

    `corner_error` is None where no homography could be estimated from the mutual nearest
    neighbours.
    """
    repeated, localisation = repeatability(pair)
    matches = match_mutual(pair.a.descriptors, pair.b.descriptors)
    correct = match_distances(pair, matches) <= EPSILON
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
