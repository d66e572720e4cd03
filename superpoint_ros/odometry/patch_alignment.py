# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Alignment of image patches to a fraction of a pixel, as loops that Numba compiles.

A patch is sampled around a point when the point is first seen. In later images, an affine warp of
the patch is found that fits best: Lucas-Kanade, inverse compositional (Baker and Matthews, IJCV
2004), started near the solution. Gain and offset of the gray levels are estimated along with the
warp: the steepest-descent images are made orthogonal to the patch and to a constant, so that one
pass over the image per iteration is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from superpoint_ros.detection.compiled import compiled

RADIUS = 6
"""Pixels from the centre of a patch to its sides: 13x13 pixels."""

NO_PATCH = -1
"""Slot of a point that has no patch."""

_SIZE = 2 * RADIUS + 1
_PIXELS = _SIZE * _SIZE
_POSITION_STEPS, _WARP_STEPS = 8, 6  # iterations
_CONVERGED = 0.02  # pixels; updates that are smaller end the iterations
_MIN_DEVIATION = 2.0  # gray levels; patches with less contrast are noise
_MIN_CURVATURE = 1e-3  # of the squared difference of unit patches per squared pixel; else an edge
_STEP = 3.0  # pixels; a larger update of the position does not converge
_MAX_STRETCH = 2.0  # of a warp, along any direction: beyond, the patch differs too much


class Alignment(NamedTuple):
    """
    Result of the alignment of N patches.

    Attributes:
        points: float32 (N, 2), positions of the centres in pixels.
        warps: float32 (N, 2, 2), from offsets in the patch to offsets in the image.
        correlations: float32 (N,), of the gray levels of patch and image, -1 to 1; -1 if the
            patch leaves the image or the iterations diverge.
        covariances: float32 (N, 2, 2), of the positions in squared pixels, for independent
            residuals of the gray levels.

    """

    points: np.ndarray
    warps: np.ndarray
    correlations: np.ndarray
    covariances: np.ndarray


def smoothed(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W), uint8, as float32 gray levels, smoothed against noise."""
    return cv2.GaussianBlur(image, (3, 3), 0).astype(np.float32)


def warm_up() -> None:
    """Compile the loops, or load them from the cache, so that this delays no frame."""
    pool = PatchPool()
    image = np.random.default_rng(0).uniform(0, 255, (32, 32)).astype(np.float32)
    centre = np.array([[16, 16]], np.float32)
    pool.align(image, pool.add(image, centre), centre, np.eye(2, dtype=np.float32)[None])


class PatchPool:
    """
    Patches of points, each in a numbered slot.

    Slots are taken by `add` and returned by `remove`; the memory grows as needed.
    """

    def __init__(self):
        self._free: list[int] = []
        # In the order of `_prepare`. Rows 0 to 5 of the gains update the whole warp, rows 6 and 7
        # the position alone.
        shapes = (_PIXELS,), (8, _PIXELS), (2, 2)
        self._arrays = [np.zeros((0, *shape), np.float32) for shape in shapes]

    def add(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """
        Return slots, int64 (N,), of new patches around points (N, 2) of a smoothed image.

        A slot is `NO_PATCH` if the patch leaves the image or has too little contrast.
        """
        points = np.asarray(points, np.float32)
        slots = np.full(len(points), NO_PATCH, np.int64)
        reach = RADIUS + 1
        sides = np.array(image.shape[::-1]) - reach - 1
        inside = np.flatnonzero(((points >= reach) & (points < sides)).all(axis=1))
        if not len(inside):
            return slots
        wide = _SIZE + 2
        windows = np.array(
            [cv2.getRectSubPix(image, (wide, wide), point) for point in points[inside].tolist()]
        )
        good, patches = _prepare(windows)
        count = int(good.sum())
        while len(self._free) < count:
            self._grow()
        taken = np.array([self._free.pop() for _ in range(count)], np.int64)
        for array, values in zip(self._arrays, patches, strict=True):
            array[taken] = values
        slots[inside[good]] = taken
        return slots

    def remove(self, slots: np.ndarray) -> None:
        """Return slots; `NO_PATCH` is ignored."""
        self._free += slots[slots != NO_PATCH].tolist()

    def align(
        self, image: np.ndarray, slots: np.ndarray, points: np.ndarray, warps: np.ndarray
    ) -> Alignment:
        """
        Align patches with a smoothed image, from initial positions (N, 2) and warps (N, 2, 2).

        Points without a patch, whose slot is `NO_PATCH`, get a correlation of -1.
        """
        count = len(slots)
        points = np.array(points, np.float32)
        warps = np.array(warps, np.float32)
        correlations = np.full(count, -1, np.float32)
        covariances = np.zeros((count, 2, 2), np.float32)
        _align_patches(
            image,
            np.ascontiguousarray(slots),
            tuple(self._arrays),
            points,
            warps,
            correlations,
            covariances,
        )
        return Alignment(points, warps, correlations, covariances)

    def _grow(self) -> None:
        """Double the number of slots."""
        old = len(self._arrays[0])
        more = max(old, 256)
        self._free += range(old + more - 1, old - 1, -1)
        self._arrays = [
            np.concatenate([array, np.zeros((more, *array.shape[1:]), np.float32)])
            for array in self._arrays
        ]


def _prepare(windows: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """
    Return which windows have enough contrast, bool (N,), and the patches of these.

    `windows` (N, S + 2, S + 2) have a margin of one pixel. A patch has its gray levels with mean
    0 and norm 1, (S * S); the matrix from the gray levels of an image to updates of the warp and
    of the position alone, (8, S * S); and the covariance (2, 2) of its position for residuals of
    the gray levels with variance 1.
    """
    count = len(windows)
    values = windows[:, 1:-1, 1:-1].reshape(count, _PIXELS)
    values = values - values.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(values, axis=1)
    along_x = (windows[:, 1:-1, 2:] - windows[:, 1:-1, :-2]).reshape(count, _PIXELS)
    along_y = (windows[:, 2:, 1:-1] - windows[:, :-2, 1:-1]).reshape(count, _PIXELS)
    off_y, off_x = (np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]).reshape(2, _PIXELS)
    slopes = np.stack(
        [along_x, along_y, along_x * off_x, along_x * off_y, along_y * off_x, along_y * off_y],
        axis=1,
    )
    scales = 1 / np.maximum(norms, 1e-6)
    values = (values * scales[:, None]).astype(np.float32)
    slopes = slopes * (scales[:, None, None] / 2)
    # Changes of gain and offset must not look like motion.
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= slopes @ values[:, :, None] * values[:, None]
    products = slopes @ slopes.transpose(0, 2, 1)
    products[:, range(6), range(6)] *= 1 + 1e-6  # so that edges have an inverse, too
    good = norms >= _MIN_DEVIATION * np.sqrt(_PIXELS)
    good &= np.linalg.eigvalsh(products[:, :2, :2])[:, 0] > _MIN_CURVATURE
    slopes, products = slopes[good], products[good].astype(np.float64)
    inverse = np.linalg.inv(products)
    gains = np.concatenate(
        [inverse @ slopes, np.linalg.inv(products[:, :2, :2]) @ slopes[:, :2]], axis=1
    )
    return good, (values[good], gains.astype(np.float32), inverse[:, :2, :2].astype(np.float32))


@compiled
def _align_patches(image, slots, patches, points, warps, correlations, covariances):
    """Move points and warps to the best fit; write correlations and covariances."""
    values, gains, spreads = patches
    sampled = np.empty(_PIXELS, np.float32)
    for index in range(len(slots)):
        slot = slots[index]
        if slot == NO_PATCH:
            continue
        gain, value = gains[slot], values[slot]
        # The position alone converges from farther away than the whole warp.
        if not _iterate(image, gain[6:], points[index], warps[index], sampled, _POSITION_STEPS):
            continue
        kept_point, kept_warp = points[index].copy(), warps[index].copy()
        correlation = _correlation(image, value, kept_point, kept_warp, sampled)
        if _iterate(image, gain[:6], points[index], warps[index], sampled, _WARP_STEPS):
            improved = _correlation(image, value, points[index], warps[index], sampled)
        else:
            improved = np.float32(-1)
        if improved > correlation:
            correlation = improved
        else:
            points[index], warps[index] = kept_point, kept_warp
        correlations[index] = correlation
        _write_covariance(spreads[slot], warps[index], correlation, covariances[index])


@compiled
def _iterate(image, gains, point, warp, sampled, iterations):
    """Move a point and, with six rows of gains, its warp; return whether that converges."""
    update = np.zeros(6, np.float32)
    for _ in range(iterations):
        if not _sample_warped(image, point, warp, sampled):
            return False
        norm = _centre(sampled)
        if not norm > np.float32(0):
            return False
        for row in range(len(gains)):
            total = np.float32(0)
            for pixel in range(_PIXELS):
                total += gains[row, pixel] * sampled[pixel]
            update[row] = total / norm
        if not _compose(point, warp, update):
            return False
        step = update[0] * update[0] + update[1] * update[1]
        if step < np.float32(_CONVERGED * _CONVERGED):
            break
    return True


@compiled
def _correlation(image, patch, point, warp, sampled):
    """Return the correlation of a patch with the image; -1 outside."""
    if not _sample_warped(image, point, warp, sampled):
        return np.float32(-1)
    norm = _centre(sampled)
    total = np.float32(0)
    for pixel in range(_PIXELS):
        total += patch[pixel] * sampled[pixel]
    return total / max(norm, np.float32(1e-6))


@compiled
def _sample_warped(image, point, warp, sampled):
    """Write the gray levels at the pixels of a warped patch; return whether all are inside."""
    height, width = image.shape
    reach_x = np.float32(RADIUS) * (abs(warp[0, 0]) + abs(warp[0, 1]))
    reach_y = np.float32(RADIUS) * (abs(warp[1, 0]) + abs(warp[1, 1]))
    if not (
        point[0] - reach_x >= 0
        and point[1] - reach_y >= 0
        and point[0] + reach_x < width - 1
        and point[1] + reach_y < height - 1
    ):
        return False
    for row in range(_SIZE):
        off_y = np.float32(row - RADIUS)
        start_x = point[0] + warp[0, 1] * off_y
        start_y = point[1] + warp[1, 1] * off_y
        for column in range(_SIZE):
            off_x = np.float32(column - RADIUS)
            x = start_x + warp[0, 0] * off_x
            y = start_y + warp[1, 0] * off_x
            x0, y0 = int(x), int(y)
            right, below = x - np.float32(x0), y - np.float32(y0)
            top = image[y0, x0] + right * (image[y0, x0 + 1] - image[y0, x0])
            low = image[y0 + 1, x0] + right * (image[y0 + 1, x0 + 1] - image[y0 + 1, x0])
            sampled[row * _SIZE + column] = top + below * (low - top)
    return True


@compiled
def _centre(sampled):
    """Subtract the mean; return the norm."""
    total = np.float32(0)
    for pixel in range(_PIXELS):
        total += sampled[pixel]
    mean = total / np.float32(_PIXELS)
    squares = np.float32(0)
    for pixel in range(_PIXELS):
        sampled[pixel] -= mean
        squares += sampled[pixel] * sampled[pixel]
    return np.sqrt(squares)


@compiled
def _compose(point, warp, update):
    """Compose the warp with the inverse of the update; return whether the result is usable."""
    a, b = np.float32(1) + update[2], update[3]
    c, d = update[4], np.float32(1) + update[5]
    determinant = a * d - b * c
    if not determinant > np.float32(0.25):
        return False
    # warp (2, 2) times the inverse of the update's matrix
    xx = (warp[0, 0] * d - warp[0, 1] * c) / determinant
    xy = (warp[0, 1] * a - warp[0, 0] * b) / determinant
    yx = (warp[1, 0] * d - warp[1, 1] * c) / determinant
    yy = (warp[1, 1] * a - warp[1, 0] * b) / determinant
    step_x = xx * update[0] + xy * update[1]
    step_y = yx * update[0] + yy * update[1]
    if not step_x * step_x + step_y * step_y < np.float32(_STEP * _STEP):
        return False
    # Squares of the singular values: the stretch along the main directions.
    mean, area = (xx * xx + xy * xy + yx * yx + yy * yy) / np.float32(2), xx * yy - xy * yx
    spread = np.sqrt(max(mean * mean - area * area, np.float32(0)))
    largest = np.float32(_MAX_STRETCH * _MAX_STRETCH)
    if not (area > 0 and mean + spread < largest and mean - spread > np.float32(1) / largest):
        return False
    warp[0, 0], warp[0, 1], warp[1, 0], warp[1, 1] = xx, xy, yx, yy
    point[0] -= step_x
    point[1] -= step_y
    return True


@compiled
def _write_covariance(spread, warp, correlation, covariance):
    """Write the covariance of a position for the residuals that the correlation leaves."""
    residual = max(np.float32(2) * (np.float32(1) - correlation), np.float32(0))
    variance = residual / np.float32(_PIXELS)
    for a in range(2):
        for b in range(2):
            total = np.float32(0)
            for c in range(2):
                for d in range(2):
                    total += warp[a, c] * spread[c, d] * warp[b, d]
            covariance[a, b] = variance * total
