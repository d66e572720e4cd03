# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Homographic adaptation: what a detector finds again and again from many points of view.

The detector runs on random warps of an image, the heatmaps are warped back and averaged, and the
peaks of the average are the image's labels. Source: paper, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch

from superpoint_ros.data.random_homographies import HomographyRanges, sample_homography
from superpoint_ros.detection.heatmap import detect_keypoints, heatmap_from_logits
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.geometry.homography import scaling, warp_image, warp_points
from superpoint_ros.model.superpoint import CELL, SMALLEST_SIDE, SuperPoint
from superpoint_ros.training.label_files import Labels

Heatmaps = Callable[[np.ndarray], np.ndarray]
"""Images uint8 (B, H, W) with sides of multiples of 8 -> heatmaps float32 (B, H, W)."""

UNTRUSTED_BORDER = 4
"""Pixels of a view, at its border and where the image in it ends, that do not count."""


class View(NamedTuple):
    """Hold one point of view of an image."""

    homography: np.ndarray
    """From the image's pixels to the view's."""

    size: tuple[int, int]
    """Width and height of the view, in whole cells."""

    scale: float
    """Size at which the image is looked at, as a factor."""

    is_image: bool = False
    """Whether it is the image itself."""


@dataclass(frozen=True)
class AdaptationRecipe:
    """How photographs are labelled by homographic adaptation."""

    homographies: int = 100
    """Points of view of each image, the first being the image itself (the paper's N_h)."""

    scales: tuple[float, ...] = (1.0,)
    """Sizes at which the image is looked at, one after another in turn, as factors."""

    homography: HomographyRanges = field(
        default_factory=lambda: HomographyRanges(allow_artifacts=True)
    )
    """How far the points of view differ."""

    longest_side: int = 320
    """Images with a longer side are reduced to it, in pixels; 0 leaves all as they are."""

    threshold: float = 0.015
    """Least averaged probability of a label."""

    nms_radius: int = 4
    """Least distance of two labels in pixels of the reduced image, see DetectionSettings."""

    max_keypoints: int = 400
    """Most labels an image."""

    network: bool = True
    """Whether the network's detector is asked at all, or only blobs and corners."""

    blobs: float = 0.0
    """Weight of blobs beside the network's heatmap, see `training.interest_points`."""

    corners: float = 0.0
    """Weight of corners beside the network's heatmap, see `training.interest_points`."""

    candidates: int = 400
    """Most blobs, and most corners, of each view."""

    batch: int = 8
    """Warped images that go through the network together."""

    seed: int = 0
    """Seed of the homographies; those of an image depend on it and the image's name only."""

    def __post_init__(self):
        object.__setattr__(self, 'scales', tuple(self.scales))
        for name in ('homographies', 'batch', 'candidates'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 1, got {getattr(self, name)}')
        for name in ('blobs', 'corners'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must lie between 0 and 1, got {getattr(self, name)}')
        if not (self.network or self.blobs or self.corners):
            raise ValueError('without the network there must be a weight of blobs or of corners')
        if not self.scales or not all(0.1 <= scale <= 4 for scale in self.scales):
            raise ValueError(f'scales must be one or more from 0.1 to 4, got {self.scales}')
        if self.longest_side and self.longest_side < SMALLEST_SIDE:
            raise ValueError(
                f'longest_side must be 0 or at least {SMALLEST_SIDE}, got {self.longest_side}'
            )
        self.settings()

    def settings(self) -> DetectionSettings:
        """Return how labels are picked from the averaged heatmap."""
        return DetectionSettings(self.threshold, self.nms_radius, self.max_keypoints)


def network_heatmaps(
    model: SuperPoint, device: str | torch.device, bfloat16: bool = False
) -> Heatmaps:
    """Return a function that makes heatmaps by the detector half of a network."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    model = model.eval().to(device, dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def heatmaps(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(images).to(device)[:, None].to(dtype) / 255
        batch = batch.contiguous(memory_format=torch.channels_last)
        return heatmap_from_logits(model.detect(model.encode(batch))).cpu().numpy()

    return heatmaps


def label_image(
    image: np.ndarray, heatmaps: Heatmaps, recipe: AdaptationRecipe, rng: np.random.Generator
) -> Labels:
    """
    Return the labels of a gray image, uint8 (H, W), in its own pixels.

    Raises ValueError where the image is smaller than the network is meant for.
    """
    if min(image.shape) < SMALLEST_SIDE:
        raise ValueError(
            f'an image must have at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels; got '
            f'{image.shape[1]}x{image.shape[0]}'
        )
    factor = recipe.longest_side / max(image.shape) if recipe.longest_side else 1.0
    reduced, to_image = _reduce(image, factor)
    average = adapted_heatmap(reduced, heatmaps, recipe, rng)
    [(keypoints, scores)] = detect_keypoints(torch.from_numpy(average)[None], recipe.settings())
    return Labels(warp_points(keypoints.numpy(), to_image), scores.numpy())


def adapted_heatmap(
    image: np.ndarray, heatmaps: Heatmaps, recipe: AdaptationRecipe, rng: np.random.Generator
) -> np.ndarray:
    """
    Return the heatmap of a gray image averaged over points of view, float32 (H, W).

    Each pixel's average is taken over the views that show it, away from the border; its sum and
    count are kept, not the heatmaps. The first view, the image itself, shows all of them.
    """
    height, width = image.shape
    total = np.zeros((height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    sources = {scale: _reduce(image, scale) for scale in (1.0, *recipe.scales)}
    for views in _in_batches(_draw_views(recipe, (width, height), rng), recipe.batch):
        warped = np.stack([_show(*sources[view.scale], view) for view in views])
        for heatmap, view in zip(heatmaps(warped), views, strict=True):
            if view.is_image:
                total += heatmap[:height, :width]
                count += 1
                continue
            back = np.linalg.inv(view.homography)
            seen = _warp_mask(_trusted(view, (width, height)), back, (width, height))
            total += warp_image(heatmap, back, (width, height)) * seen
            count += seen
    return total / count


def _show(source: np.ndarray, to_image: np.ndarray, view: View) -> np.ndarray:
    """Return the view of an image that has been reduced."""
    # The image itself goes on in what fills its last cells, so that no edge is seen there.
    border = cv2.BORDER_REPLICATE if view.is_image else cv2.BORDER_CONSTANT
    return warp_image(source, view.homography @ to_image, view.size, border)


def _trusted(view: View, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 (H, W): 1 where the view shows an image of that size, away from any border."""
    shown = _warp_mask(np.ones(size[::-1], np.uint8), view.homography, view.size)
    square = np.ones((2 * UNTRUSTED_BORDER + 1,) * 2, np.uint8)
    return cv2.erode(shown, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


def _warp_mask(mask: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the mask, uint8, warped: for each pixel the nearest one, which is fast."""
    return cv2.warpPerspective(mask, homography, size, flags=cv2.INTER_NEAREST)


def _draw_views(
    recipe: AdaptationRecipe, size: tuple[int, int], rng: np.random.Generator
) -> list[View]:
    """Return the views, those of one size together."""
    views = [View(np.eye(3), _whole_cells(*size), 1.0, is_image=True)]
    for index in range(1, recipe.homographies):
        scale = recipe.scales[index % len(recipe.scales)]
        homography = scaling(scale) @ sample_homography(rng, size, recipe.homography)
        views.append(View(homography, _whole_cells(size[0] * scale, size[1] * scale), scale))
    return sorted(views, key=lambda view: view.size)  # stable: the order is that of drawing


def _whole_cells(width: float, height: float) -> tuple[int, int]:
    """Return the smallest size of whole cells that is as large."""
    return tuple(max(SMALLEST_SIDE, int(np.ceil(side / CELL)) * CELL) for side in (width, height))


def _in_batches(views: list[View], most: int) -> list[list[View]]:
    """Return runs of at most `most` views of one size."""
    batches: list[list[View]] = []
    for view in views:
        if not batches or len(batches[-1]) == most or batches[-1][0].size != view.size:
            batches.append([])
        batches[-1].append(view)
    return batches


def _reduce(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the image reduced, where the factor is below 1, and the homography back to it."""
    height, width = image.shape
    if factor >= 1:
        return image, np.eye(3)
    size = tuple(max(SMALLEST_SIDE, round(side * factor)) for side in (width, height))
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return reduced, scaling(width / size[0], height / size[1])
