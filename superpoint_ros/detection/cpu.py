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

from superpoint_ros.detection.cpu_descriptors import sample_descriptors
from superpoint_ros.detection.cpu_heatmap import (
    centroid_offsets,
    heatmap_from_logits,
    score_extrema,
)
from superpoint_ros.detection.cpu_hessian import HessianExtrema, start_search
from superpoint_ros.detection.cpu_nms import find_candidates, suppress_non_maxima
from superpoint_ros.detection.preprocessing import pad
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detection.threads import thread_count
from superpoint_ros.features import Features
from superpoint_ros.model.config import SuperPointOutput

Keypoints = tuple[np.ndarray, np.ndarray]
"""Keypoints (N, 2), x and y in pixels, and their scores (N,), both float32, best first."""

Search = Callable[[], HessianExtrema]
"""Function that waits for the extrema of an image."""


class CpuPipeline:
    """
    Detection on a CPU.

    `network` maps padded images, uint8 (B, 1, H, W), to the network's output, as NumPy arrays.
    """

    STEPS: ClassVar[dict[str, str]] = {
        'network': 'infer',
        'hessian': 'wait_for_extrema',
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
        searches = self.start_searches(grays, settings)
        output = self.infer(grays)
        extrema = self.wait_for_extrema(searches)
        found = self.find_keypoints(output.logits, grays[0].shape, extrema, masks, settings)
        descriptors = self.sample(output, [keypoints for keypoints, _ in found])
        return [Features(*each, rows) for each, rows in zip(found, descriptors, strict=True)]

    def describe(
        self, grays: Sequence[np.ndarray], keypoints: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Return unit descriptors (N, D) at keypoints (N, 2) of each image, uint8 (H, W)."""
        return self.sample(self.infer(grays), keypoints)

    def start_searches(
        self, grays: Sequence[np.ndarray], settings: DetectionSettings
    ) -> list[Search | None]:
        """
        Start to search each image for extrema of the Hessian response, if they are needed.

        With several CPU threads, helper threads search while the network runs.
        """
        if settings.keypoints != 'hessian':
            return [None] * len(grays)
        return [start_search(gray, thread_count() // 2) for gray in grays]

    def wait_for_extrema(self, searches: Sequence[Search | None]) -> list[HessianExtrema | None]:
        """Return the results of `start_searches`, None for images that are not searched."""
        return [search and search() for search in searches]

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
        return sample_descriptors(output, keypoints)


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
