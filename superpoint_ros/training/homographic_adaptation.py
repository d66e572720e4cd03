# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Homographic adaptation: pseudo labels that a detector finds in many views of an image.

The detector runs on random warps of an image; the heatmaps are warped back and averaged; the peaks
of the average are the pseudo labels. Source: paper, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch

from superpoint_ros.data.random_homographies import sample_homography
from superpoint_ros.detection.cpu import keypoints_in_heatmap
from superpoint_ros.detection.heatmap import heatmap_from_logits
from superpoint_ros.geometry.homography import rescale_image, scaling, warp_image, warp_points
from superpoint_ros.model.config import CELL, SMALLEST_SIDE
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.label_files import Labels

Heatmaps = Callable[[np.ndarray], np.ndarray]
"""Images uint8 (B, H, W) with sides of multiples of 8 -> heatmaps float32 (B, H, W)."""

UNTRUSTED_BORDER = 4
"""Border in pixels, of a view and of the image in it, that does not count."""


class WarpedView(NamedTuple):
    """
    One view of an image.

    Attributes:
        homography: from pixels of the image to those of the view.
        size: width and height of the view, multiples of 8.
        scale: scale of the view relative to the image.
        is_image: whether the view is the image itself.

    """

    homography: np.ndarray
    size: tuple[int, int]
    scale: float
    is_image: bool = False


def network_heatmaps(
    model: SuperPoint, device: str | torch.device, bfloat16: bool = False
) -> Heatmaps:
    """Return a function that makes heatmaps with the detector of a network."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    model = model.eval().to(device, dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def heatmaps(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(images).to(device)[:, None].to(dtype) / 255
        batch = batch.contiguous(memory_format=torch.channels_last)
        return heatmap_from_logits(model.detect(batch)).cpu().numpy()

    return heatmaps


def label_image(
    image: np.ndarray, heatmaps: Heatmaps, recipe: AdaptationRecipe, rng: np.random.Generator
) -> Labels:
    """
    Return the pseudo labels of a gray image, uint8 (H, W), in pixels of the image.

    Raises ValueError if the image is smaller than the network accepts.
    """
    if min(image.shape) < SMALLEST_SIDE:
        raise ValueError(
            f'an image must have at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels; got '
            f'{image.shape[1]}x{image.shape[0]}'
        )
    factor = recipe.longest_side / max(image.shape) if recipe.longest_side else 1.0
    reduced, to_image = rescale_image(image, min(factor, 1.0), SMALLEST_SIDE)
    average = adapted_heatmap(reduced, heatmaps, recipe, rng)
    keypoints, scores = keypoints_in_heatmap(average, recipe.detection_settings())
    return Labels(warp_points(keypoints, to_image), scores)


def adapted_heatmap(
    image: np.ndarray, heatmaps: Heatmaps, recipe: AdaptationRecipe, rng: np.random.Generator
) -> np.ndarray:
    """
    Return the heatmap of a gray image, averaged over views, float32 (H, W).

    The average of a pixel is over the views that show it off their border. Only sum and count are
    kept, not the heatmaps. The first view is the image itself, which shows all pixels.
    """
    height, width = image.shape
    total = np.zeros((height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    sources = {
        scale: rescale_image(image, min(scale, 1.0), SMALLEST_SIDE)
        for scale in (1.0, *recipe.scales)
    }
    for views in _in_batches(_draw_views(recipe, (width, height), rng), recipe.batch):
        warped = np.stack([_render(*sources[view.scale], view) for view in views])
        for heatmap, view in zip(heatmaps(warped), views, strict=True):
            if view.is_image:
                total += heatmap[:height, :width]
                count += 1
                continue
            inverse = np.linalg.inv(view.homography)
            seen = _warp_mask(_trusted(view, (width, height)), inverse, (width, height))
            total += warp_image(heatmap, inverse, (width, height)) * seen
            count += seen
    return total / count


def _render(source: np.ndarray, to_image: np.ndarray, view: WarpedView) -> np.ndarray:
    """Return the view of an image, rendered from a reduced copy of it."""
    # Padding of the image itself repeats the border, so that it has no edge there.
    border = cv2.BORDER_REPLICATE if view.is_image else cv2.BORDER_CONSTANT
    return warp_image(source, view.homography @ to_image, view.size, border)


def _trusted(view: WarpedView, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 (H, W): 1 if the view shows an image of this size, off any border."""
    shown = _warp_mask(np.ones(size[::-1], np.uint8), view.homography, view.size)
    square = np.ones((2 * UNTRUSTED_BORDER + 1,) * 2, np.uint8)
    return cv2.erode(shown, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


def _warp_mask(mask: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the warped mask, uint8, with nearest-neighbour interpolation."""
    return warp_image(mask, homography, size, interpolation=cv2.INTER_NEAREST)


def _draw_views(
    recipe: AdaptationRecipe, size: tuple[int, int], rng: np.random.Generator
) -> list[WarpedView]:
    """Return the views, sorted by their size."""
    views = [WarpedView(np.eye(3), _whole_cells(*size), 1.0, is_image=True)]
    for index in range(1, recipe.homographies):
        scale = recipe.scales[index % len(recipe.scales)]
        homography = scaling(scale) @ sample_homography(rng, size, recipe.homography)
        views.append(WarpedView(homography, _whole_cells(size[0] * scale, size[1] * scale), scale))
    return sorted(views, key=lambda view: view.size)  # stable


def _whole_cells(width: float, height: float) -> tuple[int, int]:
    """Return the size, rounded up to multiples of a cell."""
    return tuple(max(SMALLEST_SIDE, int(np.ceil(side / CELL)) * CELL) for side in (width, height))


def _in_batches(views: list[WarpedView], most: int) -> list[list[WarpedView]]:
    """Return runs of at most `most` views of one size."""
    batches: list[list[WarpedView]] = []
    for view in views:
        if not batches or len(batches[-1]) == most or batches[-1][0].size != view.size:
            batches.append([])
        batches[-1].append(view)
    return batches
