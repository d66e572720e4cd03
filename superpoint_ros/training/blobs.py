"""
Blobs as candidates for labels: what a detector of corners alone would leave unlabelled.

A network that has seen synthetic shapes only takes gravel, foliage and cloth for noise. There the
extrema of the Hessian's determinant, which AKAZE finds, are points that another view shows again;
homographic adaptation keeps those that prove to be.

Source of the detector: Alcantarilla, Nuevo, Bartoli, "Fast Explicit Diffusion for Accelerated
Features in Nonlinear Scale Spaces", BMVC 2013.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SPREAD = 0.8
"""Sigma in pixels of the bell that stands for a blob's place."""

LARGEST = 9.0
"""Diameter in pixels above which blobs are left out: their centres are not precise."""

WEAKEST = 1e-4
"""Least response of a blob."""

REACH = 2


def blob_heatmap(image: np.ndarray, most: int) -> np.ndarray:
    """
    Return float32 (H, W) from 0 to 1: bells of height 1 at the strongest blobs of a gray image.

    At most `most` blobs are taken. Keypoints of OpenCV are in pixel centres, as ours are.
    """
    height, width = image.shape
    found = cv2.AKAZE_create(threshold=WEAKEST, nOctaves=2).detect(image)
    found = sorted((p for p in found if p.size <= LARGEST), key=lambda p: -p.response)[:most]
    heatmap = np.zeros((height, width), np.float32)
    if not found:
        return heatmap
    points = np.array([point.pt for point in found])
    steps = np.arange(-REACH, REACH + 1)
    nearest = np.floor(points + 0.5).astype(int)
    x, y = nearest[:, :1] + steps, nearest[:, 1:] + steps
    bell_x, bell_y = (
        np.exp(-((axis - points[:, i : i + 1]) ** 2) / (2 * SPREAD**2))
        for i, axis in enumerate((x, y))
    )
    bells = bell_y[:, :, None] * bell_x[:, None, :]
    rows = np.broadcast_to(y[:, :, None], bells.shape)
    columns = np.broadcast_to(x[:, None, :], bells.shape)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    np.maximum.at(heatmap, (rows[inside], columns[inside]), bells[inside].astype(np.float32))
    return heatmap


def with_blobs(
    heatmaps: Callable[[np.ndarray], np.ndarray], weight: float, most: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that adds `weight` times the blobs to what `heatmaps` makes of images."""

    def both(images: np.ndarray) -> np.ndarray:
        return heatmaps(images) + weight * np.stack([blob_heatmap(i, most) for i in images])

    return both
