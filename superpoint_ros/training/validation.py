# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How well a network finds known points, in numbers and in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CORRECT_DISTANCE = 3.0
"""Pixels within which a keypoint counts as the point (the paper's epsilon)."""


@dataclass
class PointScore:
    """
    Count, over many images, found points against true ones.

    ``precision`` is the share of keypoints with a true point within ``CORRECT_DISTANCE``,
    ``recall`` the share of true points with a keypoint as near, ``localisation`` the mean
    distance in pixels of the correct keypoints from the nearest true point. Shares of nothing
    are 0.
    """

    found: int = 0
    found_correct: int = 0
    true: int = 0
    true_found: int = 0
    distance: float = 0.0

    def add(self, keypoints: np.ndarray, points: np.ndarray) -> None:
        """Count the keypoints (N, 2) found in one image whose points are (M, 2)."""
        self.found += len(keypoints)
        self.true += len(points)
        if not len(keypoints) or not len(points):
            return
        distances = np.linalg.norm(keypoints[:, None] - points[None], axis=2)
        nearest = distances.min(axis=1)
        correct = nearest <= CORRECT_DISTANCE
        self.found_correct += int(correct.sum())
        self.true_found += int((distances.min(axis=0) <= CORRECT_DISTANCE).sum())
        self.distance += float(nearest[correct].sum())

    @property
    def precision(self) -> float:
        return self.found_correct / max(self.found, 1)

    @property
    def recall(self) -> float:
        return self.true_found / max(self.true, 1)

    @property
    def localisation(self) -> float:
        return self.distance / max(self.found_correct, 1)


def draw_prediction(
    image: np.ndarray, heatmap: np.ndarray, points: np.ndarray, keypoints: np.ndarray
) -> np.ndarray:
    """
    Return a picture, uint8 (H', W', 3) in BGR: the image with its points, and the heatmap.

    True points are green circles, keypoints red dots. ``image`` is uint8 (H, W), ``heatmap``
    (H, W) from 0 to 1, the points are (N, 2). The picture is enlarged so that both are legible.
    """
    scale = max(1, round(320 / image.shape[1]))
    canvas = cv2.cvtColor(_enlarged(image, scale), cv2.COLOR_GRAY2BGR)
    for places, radius, colour, thickness in (
        (points, 2 * scale, (0, 200, 0), 1),
        (keypoints, scale, (0, 0, 255), -1),
    ):
        for x, y in np.round((np.asarray(places) + 0.5) * scale - 0.5).astype(int).tolist():
            cv2.circle(canvas, (x, y), radius, colour, thickness, cv2.LINE_AA)
    # The square root shows what lies near the threshold.
    heat = _enlarged((np.sqrt(heatmap.clip(0, 1)) * 255).astype(np.uint8), scale)
    return np.concatenate([canvas, cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO)], axis=1)


def _enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """Return the image with each pixel as a square."""
    return np.kron(image, np.ones((scale, scale), np.uint8))


def in_columns(pictures: list[np.ndarray], columns: int = 2) -> np.ndarray:
    """Return pictures of one size as one, row by row; the last row is filled with black."""
    blank = np.zeros_like(pictures[0])
    pictures = pictures + [blank] * (-len(pictures) % columns)
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
