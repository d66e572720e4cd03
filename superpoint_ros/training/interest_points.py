# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Corners and blobs as candidates for labels: what a network of synthetic shapes leaves unlabelled.

It takes gravel, foliage and lattices for noise. There the maxima of hand-made responses are points
that another view may show again; homographic adaptation keeps those that prove to be.

Blobs are those of `superpoint_ros.detection.hessian`. Source of the corners: Shi, Tomasi,
"Good Features to Track", CVPR 1994.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch

from superpoint_ros.detection.hessian import find_blobs

SPREAD = 0.8
"""Sigma in pixels of the bell that stands for a point's place."""

REACH = 2
"""Pixels to each side over which a bell extends."""

RADIUS = 4
"""Pixels to each side of a point within which there is no stronger one."""

WEAKEST = 1.0
"""Least response: what a blob of less than about one gray level makes."""

CORNER_SCALE, CORNER_WINDOW = 1.0, 1.5
"""Sigmas in pixels of a corner's gradients and of the window they are gathered in."""


def blob_response(image: np.ndarray) -> np.ndarray:
    """Return how much a gray image is like a blob at each pixel, float32 (H, W)."""
    return find_blobs(torch.from_numpy(image)[None, None]).response[0].numpy()


def corner_response(image: np.ndarray) -> np.ndarray:
    """Return the least eigenvalue of the gradients around each pixel, float32 (H, W)."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), CORNER_SCALE)
    x, y = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3, scale=0.125) for order in ((1, 0), (0, 1))
    )
    xx, xy, yy = (
        cv2.GaussianBlur(product, (0, 0), CORNER_WINDOW) for product in (x * x, x * y, y * y)
    )
    return (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)


def bells(response: np.ndarray, most: int) -> np.ndarray:
    """
    Return float32 (H, W) from 0 to 1: bells of height 1 at the greatest maxima of a response.

    At most `most` are taken. Their places are refined to a fraction of a pixel by parabolas.
    """
    height, width = response.shape
    points, _ = refined_maxima(response, RADIUS, WEAKEST, most)
    x, y = np.rint(points).astype(np.int64).T
    shifts = (points - np.stack([x, y], axis=1)).T
    heatmap = np.zeros((height, width), np.float32)
    steps = np.arange(-REACH, REACH + 1)
    bell_x, bell_y = (
        np.exp(-((steps - shift[:, None]) ** 2) / (2 * SPREAD**2)) for shift in shifts
    )
    shape = (len(y), len(steps), len(steps))
    rows = np.broadcast_to((y[:, None] + steps)[:, :, None], shape)
    columns = np.broadcast_to((x[:, None] + steps)[:, None, :], shape)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    values = (bell_y[:, :, None] * bell_x[:, None, :])[inside]
    np.maximum.at(heatmap, (rows[inside], columns[inside]), values.astype(np.float32))
    return heatmap


def refined_maxima(
    response: np.ndarray, radius: int, least: float, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the places (N, 2) of a response's maxima, x and y in pixels, and their values (N,).

    A maximum is above `least`, and nothing within `radius` pixels along x and y is higher. The
    greatest come first, at most `most`. Places are refined to a fraction of a pixel by parabolas;
    none is a pixel of the border.
    """
    peaks = (response >= cv2.dilate(response, np.ones((2 * radius + 1,) * 2, np.uint8))) & (
        response > least
    )
    peaks[[0, -1]] = peaks[:, [0, -1]] = False
    y, x = np.nonzero(peaks)
    order = np.argsort(-response[y, x], kind='stable')[:most]
    y, x = y[order], x[order]
    values = response[y, x]
    shift_x = _vertex(response[y, x - 1], values, response[y, x + 1])
    shift_y = _vertex(response[y - 1, x], values, response[y + 1, x])
    return np.stack([x + shift_x, y + shift_y], axis=1), values


def _vertex(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return where parabolas through three values have their maximum, short of half a pixel."""
    curvature = before - 2 * here + after
    flat = curvature > -1e-12
    shift = 0.5 * (before - after) / np.where(flat, 1, curvature)
    # Short of it, so that the nearest pixel remains that of the maximum.
    return np.clip(np.where(flat, 0, shift), -0.49, 0.49)


def with_interest_points(
    heatmaps: Callable[[np.ndarray], np.ndarray] | None, blobs: float, corners: float, most: int
) -> Callable[[np.ndarray], np.ndarray]:
    """
    Return a function that adds weighted blobs and corners to what `heatmaps` makes of images.

    At most `most` of either are taken of an image. Without `heatmaps` there are only these.
    """
    kinds = [(blobs, blob_response), (corners, corner_response)]
    kinds = [(weight, response) for weight, response in kinds if weight]

    def both(images: np.ndarray) -> np.ndarray:
        total = np.zeros(images.shape, np.float32) if heatmaps is None else heatmaps(images)
        for weight, response in kinds:
            total = total + weight * np.stack([bells(response(image), most) for image in images])
        return total

    return both
