# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The sequence of detection steps on a CPU, as compiled loops over one image at a time.

It is the equivalent of `superpoint_ros.detection.pipeline`, several times faster on a CPU: only
extrema or pixels above the threshold are looked at. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from superpoint_ros.detection.compiled import compiled
from superpoint_ros.detection.cpu_heatmap import (
    centroid_offsets,
    heatmap_from_logits,
    score_extrema,
)
from superpoint_ros.detection.cpu_hessian import find_extrema, HessianExtrema
from superpoint_ros.detection.cpu_nms import find_candidates, suppress_non_maxima
from superpoint_ros.detection.preprocessing import pad, SCALE_WEIGHT
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detection.threads import thread_count
from superpoint_ros.features import Features
from superpoint_ros.model.config import CELL, FINE_CELL, SuperPointOutput

Keypoints = tuple[np.ndarray, np.ndarray]
"""Keypoints (N, 2), x and y in pixels, and their scores (N,), both float32, best first."""


class CpuPipeline:
    """
    Detection on a CPU.

    `network` maps padded images, uint8 (B, 1, H, W), to the network's output, as NumPy arrays.
    """

    STEPS: ClassVar[dict[str, str]] = {
        'hessian': 'find_extrema',
        'network': 'infer',
        'keypoints': 'find_keypoints',
        'descriptors': 'sample',
    }
    """Stages of a frame, and the methods in which they take place, for profilers."""

    def __init__(self, network: Callable[[np.ndarray], SuperPointOutput]):
        self._network = network

    def detect(
        self,
        grays: Sequence[np.ndarray],
        masks: Sequence[np.ndarray | None],
        settings: DetectionSettings,
    ) -> list[Features]:
        """
        Return the features of images, uint8 (H, W), of one size.

        `masks` are bool (H, W), false where keypoints may not be, or None.
        """
        # Before the network, whose threads still spin for a while after it.
        extrema = self.find_extrema(grays, settings)
        output = self.infer(grays)
        found = self.find_keypoints(output.logits, grays[0].shape, extrema, masks, settings)
        descriptors = self.sample(output, [keypoints for keypoints, _ in found])
        return [Features(*each, rows) for each, rows in zip(found, descriptors, strict=True)]

    def describe(
        self, grays: Sequence[np.ndarray], keypoints: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Return unit descriptors (N, D) at keypoints (N, 2) of each image, uint8 (H, W)."""
        return self.sample(self.infer(grays), keypoints)

    def find_extrema(
        self, grays: Sequence[np.ndarray], settings: DetectionSettings
    ) -> list[HessianExtrema | None]:
        """Return the extrema of the Hessian response of each image, None if not needed."""
        if settings.keypoints != 'hessian':
            return [None] * len(grays)
        return [find_extrema(gray, thread_count()) for gray in grays]

    def infer(self, grays: Sequence[np.ndarray]) -> SuperPointOutput:
        """Return the network's output for images (H, W) of one size."""
        return self._network(pad(grays))

    def find_keypoints(
        self,
        logits: np.ndarray,
        size: tuple[int, int],
        extrema: Sequence[HessianExtrema | None],
        masks: Sequence[np.ndarray | None],
        settings: DetectionSettings,
    ) -> list[Keypoints]:
        """Return the keypoints of images of `size` (height, width) from logits (B, 65, h, w)."""
        cells = logits.transpose(0, 2, 3, 1)
        return [
            keypoints_in_heatmap(heatmap_from_logits(of_image, size), settings, mask)
            if points is None
            else keypoints_at_extrema(of_image, points, settings, mask)
            for of_image, points, mask in zip(cells, extrema, masks, strict=True)
        ]

    def sample(
        self, output: SuperPointOutput, keypoints: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Return unit descriptors (N, D) at keypoints (N, 2) from the network's output."""
        levels = [
            (output.descriptors, CELL, None),
            (output.fine, FINE_CELL, output.fine_projection),
        ]
        maps = [
            (np.ascontiguousarray(each.transpose(0, 2, 3, 1)), np.float32(cell), projection)
            for each, cell, projection in levels
            if each is not None
        ]
        rows = []
        for index, points in enumerate(keypoints):
            points = np.ascontiguousarray(points, np.float32)
            found = np.zeros((len(points), output.descriptors.shape[1]), np.float32)
            for of_images, cell, projection in maps:
                if projection is None:
                    _add_samples(of_images[index], points, cell, found)
                else:
                    hidden = np.zeros((len(points), of_images.shape[3]), np.float32)
                    _add_samples(of_images[index], points, cell, hidden)
                    _add_projections(hidden, projection, found)
            _normalize(found)
            rows.append(found)
        return rows


def average_scales(descriptors: Sequence[np.ndarray]) -> np.ndarray:
    """
    Return unit descriptors (N, D): the weighted mean of unit descriptors of several scales.

    It is the equivalent of `detection.descriptors.average_scales`.
    """
    total = sum(np.float32(SCALE_WEIGHT**scale) * each for scale, each in enumerate(descriptors))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), np.float32(1e-12))


def keypoints_at_extrema(
    logits: np.ndarray,
    extrema: HessianExtrema,
    settings: DetectionSettings,
    mask: np.ndarray | None = None,
) -> Keypoints:
    """
    Return the keypoints of an image at extrema of its Hessian response.

    `logits` are float32 (h, w, 65), `mask` is bool (H, W), false where keypoints may not be.
    """
    scores, chosen = score_extrema(logits, extrema, settings.threshold)
    pixels = extrema.pixels[chosen]
    kept = _select(pixels, scores, extrema.size, settings, mask)
    if settings.subpixel:
        return extrema.points[chosen[kept]], scores[kept]
    return _centres(pixels[kept], extrema.size), scores[kept]


def keypoints_in_heatmap(
    heatmap: np.ndarray, settings: DetectionSettings, mask: np.ndarray | None = None
) -> Keypoints:
    """
    Return the keypoints of an image at maxima of a heatmap, float32 (H, W).

    `mask` is bool (H, W), false where keypoints may not be.
    """
    pixels, scores = find_candidates(heatmap, settings.threshold)
    kept = _select(pixels, scores, heatmap.shape, settings, mask)
    pixels, scores = pixels[kept], scores[kept]
    points = _centres(pixels, heatmap.shape)
    if settings.subpixel:
        points += centroid_offsets(np.ascontiguousarray(heatmap), pixels)
    return points, scores


def _centres(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return x and y, float32 (N, 2), of pixels in an image of `size` (height, width)."""
    y, x = np.divmod(pixels, size[1])
    return np.stack([x, y], axis=1).astype(np.float32)


def _select(
    pixels: np.ndarray,
    scores: np.ndarray,
    size: tuple[int, int],
    settings: DetectionSettings,
    mask: np.ndarray | None,
) -> np.ndarray:
    """
    Return the indices of the candidates that become keypoints, best first.

    They are those that suppression, border, mask, number and grid leave; see
    `suppress_non_maxima`.
    """
    cells, most = settings.grid_cells, settings.max_keypoints
    kept = suppress_non_maxima(
        pixels,
        scores,
        size,
        settings.nms_radius,
        settings.border_margin,
        mask,
        None if cells else most,
    )
    if len(kept) <= most:
        return kept
    height, width = size
    y, x = np.divmod(pixels[kept], width)
    cell = (y * 2 + 1) * cells // (2 * height) * cells + (x * 2 + 1) * cells // (2 * width)
    by_cell = np.argsort(cell, kind='stable')
    # In a run of equal cells, the rank of a point is its distance from the start of the run.
    rank = np.empty_like(by_cell)
    rank[by_cell] = np.arange(len(cell)) - np.searchsorted(cell[by_cell], cell[by_cell])
    return kept[np.sort(np.argsort(rank, kind='stable')[:most])]


@compiled
def _add_samples(descriptors, keypoints, cell, result):
    """Add the values at keypoints (N, 2), of those of cells (h, w, D), to `result` (N, D)."""
    height, width, size = descriptors.shape
    half, one = np.float32(0.5), np.float32(1)
    values, sums = descriptors.reshape(-1), result.reshape(-1)
    for index in range(len(keypoints)):
        x = (keypoints[index, 0] + half) / cell - half
        y = (keypoints[index, 1] + half) / cell - half
        x = min(max(x, np.float32(0)), np.float32(width - 1))
        y = min(max(y, np.float32(0)), np.float32(height - 1))
        column, row = int(x), int(y)
        right, below = x - np.float32(column), y - np.float32(row)
        next_column, next_row = min(column + 1, width - 1), min(row + 1, height - 1)
        # Flat unsigned indices, without views of rows, which count references.
        top = np.uintp((row * width + column) * size)
        low = np.uintp((next_row * width + column) * size)
        step, into = np.uintp((next_column - column) * size), np.uintp(index * size)
        for channel in range(np.uintp(size)):
            here, there = top + channel, low + channel
            sums[into + channel] += (one - below) * (
                (one - right) * values[here] + right * values[here + step]
            ) + below * ((one - right) * values[there] + right * values[there + step])


@compiled
def _add_projections(hidden, projection, result):
    """Add the values (N, C) times weights (C + 1, D), the last of which are added, to (N, D)."""
    count, size = projection.shape
    for index in range(len(hidden)):
        for target in range(size):
            result[index, target] += projection[count - 1, target]
        for channel in range(count - 1):
            value = hidden[index, channel]
            for target in range(size):
                result[index, target] += value * projection[channel, target]


@compiled
def _normalize(rows):
    """Divide the rows of an array by their lengths."""
    count, size = rows.shape
    for index in range(count):
        squares = np.float32(0)
        for channel in range(size):
            squares += rows[index, channel] * rows[index, channel]
        share = np.float32(1) / max(np.sqrt(squares), np.float32(1e-12))
        for channel in range(size):
            rows[index, channel] *= share
