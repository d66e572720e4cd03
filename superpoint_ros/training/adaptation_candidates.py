# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Shi-Tomasi corners as candidates for pseudo labels.

A network that was trained on synthetic shapes ignores gravel, foliage and lattices. There, corners
can serve as candidates: homographic adaptation keeps those that are repeatable. Source: Shi,
Tomasi, "Good Features to Track", CVPR 1994.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from superpoint_ros.detection import hessian
from superpoint_ros.detection.cpu_nms import suppress_non_maxima
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.homographic_adaptation import Heatmaps

BUMP_SIGMA = 0.8
"""Sigma in pixels of the Gaussian bump that marks a candidate in a heatmap."""

BUMP_RADIUS = 2
"""Radius in pixels of a bump (square window)."""

CANDIDATE_RADIUS = 4
"""NMS radius in pixels of candidates (square window)."""

CORNER_SCALE, CORNER_WINDOW = 1.0, 1.5
"""Sigmas in pixels of the gradients of a corner and of the window over which they are summed."""


def add_candidates(heatmaps: Heatmaps | None, recipe: AdaptationRecipe) -> Heatmaps | None:
    """
    Return a function that adds corners to heatmaps, weighted by the recipe.

    Without `heatmaps` there are only these.
    """
    if not recipe.corners:
        return heatmaps

    def combined(images: np.ndarray) -> np.ndarray:
        marks = [mark_maxima(corner_response(image), recipe.candidates) for image in images]
        corners = recipe.corners * np.stack(marks)
        return corners if heatmaps is None else heatmaps(images) + corners

    return combined


def corner_response(image: np.ndarray) -> np.ndarray:
    """Return the least eigenvalue of the structure tensor at each pixel, float32 (H, W)."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), CORNER_SCALE)
    x, y = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3, scale=0.125) for order in ((1, 0), (0, 1))
    )
    xx, xy, yy = (
        cv2.GaussianBlur(product, (0, 0), CORNER_WINDOW) for product in (x * x, x * y, y * y)
    )
    return (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)


def mark_maxima(response: np.ndarray, most: int) -> np.ndarray:
    """
    Return float32 (H, W) in [0, 1]: Gaussian bumps of height 1 at the maxima of a response.

    At most `most` maxima are marked, the highest ones, at positions refined by parabolas.
    """
    height, width = response.shape
    points = _refined_maxima(response)[:most]
    x, y = np.rint(points).astype(np.int64).T
    shifts = (points - np.stack([x, y], axis=1)).T
    steps = np.arange(-BUMP_RADIUS, BUMP_RADIUS + 1)
    bump_x, bump_y = (
        np.exp(-((steps - shift[:, None]) ** 2) / (2 * BUMP_SIGMA**2)) for shift in shifts
    )
    shape = (len(y), len(steps), len(steps))
    rows = np.broadcast_to((y[:, None] + steps)[:, :, None], shape)
    columns = np.broadcast_to((x[:, None] + steps)[:, None, :], shape)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    values = (bump_y[:, :, None] * bump_x[:, None, :])[inside]
    heatmap = np.zeros((height, width), np.float32)
    np.maximum.at(heatmap, (rows[inside], columns[inside]), values.astype(np.float32))
    return heatmap


def _refined_maxima(response: np.ndarray) -> np.ndarray:
    """Return the maxima (N, 2) of a response, off the border of one pixel, highest first."""
    tensor = torch.from_numpy(np.ascontiguousarray(response))[None]
    peaks = hessian.find_extrema(tensor)[0].numpy()
    peaks[[0, -1]] = peaks[:, [0, -1]] = False
    pixels = np.flatnonzero(peaks)
    scores = response.ravel()[pixels]
    pixels = pixels[suppress_non_maxima(pixels, scores, response.shape, CANDIDATE_RADIUS)]
    y, x = (torch.from_numpy(each) for each in np.divmod(pixels, response.shape[1]))
    [offsets] = hessian.parabola_offsets(tensor, x[None], y[None])
    return (torch.stack([x, y], dim=1) + offsets).double().numpy()
