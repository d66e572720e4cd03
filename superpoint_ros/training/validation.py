# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Validation during training: metrics and pictures of both stages."""

from __future__ import annotations

import numpy as np
import torch

from superpoint_ros.detector import Detector
from superpoint_ros.evaluation.detection_metrics import match_to_truth
from superpoint_ros.evaluation.pair_metrics import (
    area_under_accuracy,
    corner_errors_of,
    EPSILON,
    HOMOGRAPHY_LIMIT,
    judged_matches,
    mean_of,
    measure_pair,
    Pair,
)
from superpoint_ros.geometry.homography import scaling, warp_points
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint
from superpoint_ros.visualization import (
    draw_heatmap,
    draw_keypoints,
    draw_matches,
    enlarge,
    GREEN,
    RED,
)

PICTURES = 8
"""Validation images that are drawn."""

PAIR_KEYPOINTS = 200
"""Keypoints of each view of a pair."""

PAIR_METRICS = ('repeatability', 'localisation', 'matching_score', 'matching_accuracy')


class PointValidation:
    """
    Comparison of keypoints with known points, over many images.

    `precision` is the share of keypoints that are correct, within `EPSILON` of a known point, one
    to one; `recall` the share of known points that are found; `localisation` the mean distance of
    correct keypoints in pixels. Each is 0 if there is nothing to count.
    """

    def __init__(self):
        self.found = self.known = self.correct = 0
        self.distance = 0.0
        self.pictures: list[np.ndarray] = []

    def add(self, keypoints: np.ndarray, points: np.ndarray) -> None:
        """Count the keypoints (N, 2) of an image, best first, whose known points are (M, 2)."""
        distances = match_to_truth(keypoints, points, EPSILON)
        correct = np.isfinite(distances)
        self.found += len(keypoints)
        self.known += len(points)
        self.correct += int(correct.sum())
        self.distance += float(distances[correct].sum())

    def draw(
        self, image: np.ndarray, heatmap: np.ndarray, points: np.ndarray, keypoints: np.ndarray
    ) -> None:
        """Add a picture of an image, see `draw_prediction`, unless there are enough."""
        if len(self.pictures) < PICTURES:
            self.pictures.append(draw_prediction(image, heatmap, points, keypoints))

    @property
    def results(self) -> dict[str, float]:
        """Return the metrics by name."""
        return {
            'precision': self.correct / max(self.found, 1),
            'recall': self.correct / max(self.known, 1),
            'localisation_px': self.distance / max(self.correct, 1),
        }


class PairValidation:
    """Metrics of a network on pairs of views with a known homography."""

    def __init__(self, network: SuperPoint, device: torch.device):
        self.detector = Detector.from_model(
            fold_batch_norm(network), device=str(device), max_keypoints=PAIR_KEYPOINTS
        )
        self.measured: list[dict[str, float | None]] = []
        self.pictures: list[np.ndarray] = []

    def add(self, images: tuple[np.ndarray, np.ndarray], homography: np.ndarray) -> None:
        """Measure a pair of gray images, uint8 (H, W), with the homography from A to B."""
        size = images[0].shape[::-1]
        a, b = self.detector(list(images))
        pair = Pair(a, b, homography, size, size)
        self.measured.append(measure_pair(pair))
        if len(self.pictures) < PICTURES:
            self.pictures.append(
                draw_matches(images[0], a.keypoints, images[1], b.keypoints, *judged_matches(pair))
            )

    @property
    def results(self) -> dict[str, float]:
        """Return the means of the metrics by name."""
        errors = corner_errors_of(self.measured)
        return {
            **{name: mean_of(self.measured, name) or 0.0 for name in PAIR_METRICS},
            'homography_auc': area_under_accuracy(errors, HOMOGRAPHY_LIMIT),
        }


def draw_prediction(
    image: np.ndarray, heatmap: np.ndarray, points: np.ndarray, keypoints: np.ndarray
) -> np.ndarray:
    """
    Return a picture, uint8 (H', W', 3) in BGR: the image with its points, and the heatmap.

    Known points are green rings, keypoints small red ones. `image` is uint8 (H, W), `heatmap`
    (H, W) from 0 to 1, the points are (N, 2). The picture is enlarged so that both are legible.
    """
    scale = max(1, round(320 / image.shape[1]))
    canvas = enlarge(image, scale)
    for places, radius, color in ((points, 2 * scale, GREEN), (keypoints, scale, RED)):
        canvas = draw_keypoints(canvas, warp_points(places, scaling(scale)), color, radius)
    return np.concatenate([canvas, draw_heatmap(enlarge(heatmap, scale))], axis=1)
