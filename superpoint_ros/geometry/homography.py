# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Homographies between images: warped points and images, and the area that both show.

A homography is a float array (3, 3) that maps the pixel centres (x, y) of a source image to those
of a target image; the centre of the top-left pixel is (0, 0). Its sign matters: visible points
have a positive third coordinate, so that -H shows nothing. Sizes are (width, height).
"""

from __future__ import annotations

import cv2
import numpy as np

from superpoint_ros.geometry.robust_estimation import estimate_robustly

RANSAC_THRESHOLD, RANSAC_ITERATIONS, RANSAC_CONFIDENCE = 2.0, 5000, 0.9999
"""Of `estimate_homography`; the threshold is in pixels."""

INLIER_DISTANCE = 3.0
"""Largest distance in pixels from a homography of matches that fit it."""


LARGEST_SIDE = 32766
"""Longest side in pixels of the images that OpenCV warps, and of those that it makes."""


def image_corners(size: tuple[int, int]) -> np.ndarray:
    """Return the centres of an image's corner pixels, (4, 2), clockwise from the top left one."""
    right, bottom = size[0] - 1.0, size[1] - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])


def is_inside(points: np.ndarray, size: tuple[int, int], border: float = 0.0) -> np.ndarray:
    """
    Return bool (N,): whether points (N, 2) lie between the centres of an image's outermost pixels.

    A `border` in pixels does not count as inside, nor do points that are not finite.
    """
    last = np.array(size) - 1 - border
    with np.errstate(invalid='ignore'):
        return ((points >= border) & (points <= last)).all(axis=1)


def warp_points(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """
    Return the mapped points (N, 2), of the dtype of `points` if that is floating point.

    Points on or beyond the horizon of the plane have no image and become NaN. Raises ValueError if
    the shapes are not (N, 2) and (3, 3).
    """
    points, homography = np.asarray(points), check_homography(homography)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f'points must have shape (N, 2), got {points.shape}')
    dtype = points.dtype if np.issubdtype(points.dtype, np.floating) else np.float64
    mapped = points.astype(np.float64) @ homography[:, :2].T + homography[:, 2]
    depth = np.where(mapped[:, 2:] > 1e-12, mapped[:, 2:], np.nan)
    return (mapped[:, :2] / depth).astype(dtype)


def warp_image(
    image: np.ndarray,
    homography: np.ndarray,
    size: tuple[int, int] | None = None,
    border: int = cv2.BORDER_CONSTANT,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """
    Return the target image (height, width[, C]) of a source image.

    The dtype is that of `image`, and `size` by default the size of the source. Pixels outside the
    source are 0, or what another `border` mode of OpenCV gives; `interpolation` is a mode of
    OpenCV, too. Raises ValueError if a side of either image is longer than `LARGEST_SIDE`.
    """
    height, width = image.shape[:2]
    size = size or (width, height)
    check_sides((width, height), 'the image')
    check_sides(size, 'its target')
    return cv2.warpPerspective(
        image, check_homography(homography), size, flags=interpolation, borderMode=border
    )


def check_sides(size: tuple[int, int], name: str) -> None:
    """Raise ValueError if OpenCV cannot warp an image of this (width, height), or make it."""
    if max(size) > LARGEST_SIDE:
        raise ValueError(
            f'{name} has {size[0]}x{size[1]} pixels; to be warped, no side may be longer than '
            f'{LARGEST_SIDE}'
        )


def resample(image: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """
    Return the target image of `size`, as `warp_image`, without aliasing where it shrinks.

    An image that the homography shrinks is reduced by area averages first, along x and along y by
    the factors in the middle of the target. Pixels outside the source repeat its border.
    """
    height, width = image.shape[:2]
    middle = (np.array(size, np.float64) - 1) / 2
    to_source = local_jacobian(np.linalg.inv(check_homography(homography)), middle)
    factors = 1 / np.maximum(np.linalg.norm(to_source, axis=1), 1.0)
    if (factors < 1).any():
        reduced = (max(round(width * factors[0]), 1), max(round(height * factors[1]), 1))
        image = cv2.resize(image, reduced, interpolation=cv2.INTER_AREA)
        homography = homography @ scaling(width / reduced[0], height / reduced[1])
    return warp_image(image, homography, size, cv2.BORDER_REPLICATE)


def rescale_image(
    image: np.ndarray, factor: float, shortest: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return an image (H, W[, C]) reduced or enlarged by a factor, and the homography back from it.

    Area averages reduce it, cubic interpolation enlarges it. No side has less than `shortest`
    pixels.
    """
    height, width = image.shape[:2]
    size = (max(shortest, round(width * factor)), max(shortest, round(height * factor)))
    if size == (width, height):
        return image, np.eye(3)
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    rescaled = cv2.resize(image, size, interpolation=interpolation)
    return rescaled, scaling(width / size[0], height / size[1])


def local_jacobian(homography: np.ndarray, point: np.ndarray) -> np.ndarray:
    """
    Return the affine part (2, 2) of the homography at a point (2,), NaN beyond the horizon.

    Column 0 is what a step of one pixel along x becomes, column 1 that of a step along y.
    """
    around = np.asarray(point, np.float64) + [[0, 0], [0.5, 0], [0, 0.5]]
    origin, x, y = warp_points(around, homography)
    return np.stack([x - origin, y - origin], axis=1) / 0.5


def valid_mask(
    homography: np.ndarray,
    source_size: tuple[int, int],
    target_size: tuple[int, int] | None = None,
    erosion: int = 0,
) -> np.ndarray:
    """
    Return a bool array (height, width): the pixels of the target whose centres show the source.

    `erosion` is the width, in pixels of the source, of a border strip that does not count.
    """
    width, height = target_size or source_size
    inverse = np.linalg.inv(check_homography(homography))
    # A third coordinate that is positive for the inverse is positive for the homography, too.
    # Sums by row instead of a matrix product avoid an (H * W, 3) array.
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)[:, None]
    u, v, w = (row[0] * x + (row[1] * y + row[2]) for row in inverse)
    tolerance = 1e-6 * np.abs(w)
    return (
        (w > 0)
        & (u >= erosion * w - tolerance)
        & (v >= erosion * w - tolerance)
        & (u <= (source_size[0] - 1 - erosion) * w + tolerance)
        & (v <= (source_size[1] - 1 - erosion) * w + tolerance)
    )


def scaling(x: float, y: float | None = None) -> np.ndarray:
    """
    Return the homography of resizing an image by factors `x` and `y` (default: `x`).

    Pixel centres follow OpenCV's and torch's half-pixel convention: (p + 0.5) * s - 0.5.
    """
    y = x if y is None else y
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]], np.float64)


def check_homography(homography: np.ndarray) -> np.ndarray:
    """Return the homography as float64 (3, 3); raise ValueError if it is not valid."""
    homography = np.asarray(homography, dtype=np.float64)
    if homography.shape != (3, 3):
        raise ValueError(f'a homography must have shape (3, 3), got {homography.shape}')
    if not np.isfinite(homography).all() or abs(np.linalg.det(homography)) < 1e-12:
        raise ValueError(f'the homography cannot be inverted: {homography.tolist()}')
    return homography


def estimate_homography(points_a: np.ndarray, points_b: np.ndarray) -> np.ndarray | None:
    """
    Return the homography from matched points (K, 2) of a and b, None if none is found.

    OpenCV's USAC_ACCURATE (graph-cut RANSAC) with a threshold of 2 px, at most 5,000 iterations
    and a confidence of .9999: of OpenCV's estimators it gave SIFT, ORB and AKAZE the smallest
    corner errors.
    """
    if len(points_a) < 4:
        return None
    homography, _ = estimate_robustly(
        *(cv2.findHomography, points_a, points_b, cv2.USAC_ACCURATE, RANSAC_THRESHOLD),
        maxIters=RANSAC_ITERATIONS,
        confidence=RANSAC_CONFIDENCE,
    )
    return homography


def homography_inliers(points_a: np.ndarray, points_b: np.ndarray) -> np.ndarray:
    """
    Return which matched points (K, 2) of a and b fit the homography between them, bool (K,).

    Points of b may lie up to `INLIER_DISTANCE` from their image by the homography.
    """
    homography = estimate_homography(points_a, points_b)
    try:
        found = warp_points(points_a, homography)
    except ValueError:  # there is none, or it cannot be inverted
        return np.zeros(len(points_a), bool)
    return np.linalg.norm(found - points_b, axis=1) < INLIER_DISTANCE
