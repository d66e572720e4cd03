"""
Homographic adaptation: what a detector finds again and again from many points of view.

The detector runs on random warps of an image, the heatmaps are warped back and averaged, and the
peaks of the average are the image's labels. Source: paper, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch

from superpoint_ros.decoding import detect_keypoints, DetectionSettings, heatmap_from_logits
from superpoint_ros.homography import scaling, valid_mask, warp_image, warp_points
from superpoint_ros.network import CELL, SMALLEST_SIDE, SuperPoint
from superpoint_ros.synthesis.homographies import HomographyRanges, sample_homography
from superpoint_ros.training.label_files import Labels

Heatmaps = Callable[[np.ndarray], np.ndarray]
"""Images uint8 (B, H, W) with sides of multiples of 8 -> heatmaps float32 (B, H, W)."""

UNTRUSTED_BORDER = 4
"""Pixels at a warped image's border in which detections are not counted."""


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

    batch: int = 8
    """Warped images that go through the network together."""

    seed: int = 0
    """Seed of the homographies; those of an image depend on it and the image's place only."""

    def __post_init__(self):
        object.__setattr__(self, 'scales', tuple(self.scales))
        for name in ('homographies', 'batch'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 1, got {getattr(self, name)}')
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
    """Return the labels of a gray image, uint8 (H, W), in its own pixels."""
    reduced, to_image = _reduce(image, recipe.longest_side)
    average = adapted_heatmap(reduced, heatmaps, recipe, rng)
    [(keypoints, scores)] = detect_keypoints(torch.from_numpy(average)[None], recipe.settings())
    return Labels(warp_points(keypoints.numpy(), to_image), scores.numpy())


def adapted_heatmap(
    image: np.ndarray, heatmaps: Heatmaps, recipe: AdaptationRecipe, rng: np.random.Generator
) -> np.ndarray:
    """
    Return the heatmap of a gray image averaged over points of view, float32 (H, W).

    Each pixel's average is taken over the views that show it, its sum and count being kept, not
    the heatmaps; all see it in the first view, which is the image itself.
    """
    height, width = image.shape
    total = np.zeros((height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    for views in _in_batches(_draw_views(recipe, (width, height), rng), recipe.batch):
        size = views[0][1]
        warped = np.stack(
            [
                # The first view is the image and what fills its last cells, which has no edge.
                warp_image(image, view, size, cv2.BORDER_REPLICATE if is_image else 0)
                for view, _, is_image in views
            ]
        )
        for heatmap, (view, _, is_image) in zip(heatmaps(warped), views, strict=True):
            if is_image:
                total += heatmap[:height, :width]
                count += 1
                continue
            back = np.linalg.inv(view)
            seen = valid_mask(back, size, (width, height), UNTRUSTED_BORDER)
            total += warp_image(heatmap, back, (width, height)) * seen
            count += seen
    return total / count


def _draw_views(
    recipe: AdaptationRecipe, size: tuple[int, int], rng: np.random.Generator
) -> list[tuple[np.ndarray, tuple[int, int], bool]]:
    """Return each view's homography, its size in whole cells, and whether it is the image."""
    views = [(np.eye(3), _whole_cells(*size), True)]
    for index in range(1, recipe.homographies):
        scale = recipe.scales[index % len(recipe.scales)]
        homography = scaling(scale) @ sample_homography(rng, size, recipe.homography)
        views.append((homography, _whole_cells(size[0] * scale, size[1] * scale), False))
    return sorted(views, key=lambda view: view[1])  # stable: the order is that of drawing


def _whole_cells(width: float, height: float) -> tuple[int, int]:
    """Return the smallest size of whole cells that is as large."""
    return tuple(max(SMALLEST_SIDE, int(np.ceil(side / CELL)) * CELL) for side in (width, height))


def _in_batches(views: list, most: int) -> list[list]:
    """Return runs of at most `most` views of one size."""
    batches: list[list] = []
    for view in views:
        if not batches or len(batches[-1]) == most or batches[-1][0][1] != view[1]:
            batches.append([])
        batches[-1].append(view)
    return batches


def _reduce(image: np.ndarray, longest_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image reduced to a longest side, and the homography back to the original."""
    height, width = image.shape
    if not longest_side or max(height, width) <= longest_side:
        return image, np.eye(3)
    factor = longest_side / max(height, width)
    size = tuple(max(SMALLEST_SIDE, round(side * factor)) for side in (width, height))
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return reduced, scaling(width / size[0], height / size[1])
