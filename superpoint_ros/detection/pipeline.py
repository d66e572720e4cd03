# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The sequence of detection steps, from the network's output to features, as tensors.

  logits -> heatmap -> score map (the heatmap, or extrema of the Hessian response scored by it)
  -> threshold -> non-maximum suppression -> border and mask -> the K best, if wanted spread over a
  grid -> subpixel refinement -> descriptors

No shape depends on the data: the keypoints of each image fill K places, and scores of zero mark
unused ones. The Detector runs these steps on GPUs, where a CUDA graph records them; exported
graphs and `superpoint explain` consist of them. `superpoint_ros.detection.cpu` is the compiled
equivalent for CPUs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.detection.heatmap import centroid_offsets, heatmap_from_logits
from superpoint_ros.detection.hessian import hessian_response, parabola_offsets, weight_scores
from superpoint_ros.detection.nms import suppress_non_maxima
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.config import SuperPointOutput


class KeypointSteps(NamedTuple):
    """
    Intermediate and final results of the search for keypoints in a batch of images.

    Attributes:
        heatmap: float32 (B, H, W), probability of a keypoint at each pixel.
        score_map: float32 (B, H, W), the score of each pixel as a keypoint: the heatmap, or with
            Hessian keypoints zero except at extrema.
        maxima: float32 (B, H, W), scores that are left after threshold and suppression, else zero.
        undecided: bool (B,), whether suppression had too few rounds for an image.
        keypoints: float32 (B, K, 2), x and y in pixels, best first.
        scores: float32 (B, K), falling; zero in unused places. The order of equal scores is open.

    """

    heatmap: torch.Tensor
    score_map: torch.Tensor
    maxima: torch.Tensor
    undecided: torch.Tensor
    keypoints: torch.Tensor
    scores: torch.Tensor


class PaddedFeatures(NamedTuple):
    """
    The K best features of each image, best first; unused places are zero.

    Attributes:
        keypoints: float32 (B, K, 2), x and y in pixels; the centre of the top-left pixel is
            (0, 0).
        scores: float32 (B, K).
        descriptors: float32 (B, K, D) of unit length.
        valid: bool (B, K), false for unused places.

    """

    keypoints: torch.Tensor
    scores: torch.Tensor
    descriptors: torch.Tensor
    valid: torch.Tensor


def detect(
    output: SuperPointOutput,
    images: torch.Tensor,
    settings: DetectionSettings,
    threshold: torch.Tensor | float | None = None,
    mask: torch.Tensor | None = None,
    rounds: int | None = None,
) -> tuple[KeypointSteps, PaddedFeatures]:
    """
    Return the features in the network's output for padded images, and how they were found.

    `images` (B, 1, H, W) are the unpadded ones, gray levels from 0 to 255; for the other arguments
    see `find_keypoints`.
    """
    height, width = images.shape[2], images.shape[3]
    heatmap = heatmap_from_logits(output.logits)[:, :height, :width]
    steps = find_keypoints(heatmap, images, settings, threshold, mask, rounds)
    valid = steps.scores > 0
    used = valid[:, :, None].float()
    descriptors = sample_descriptors(output, steps.keypoints) * used
    return steps, PaddedFeatures(steps.keypoints * used, steps.scores, descriptors, valid)


def find_keypoints(
    heatmap: torch.Tensor,
    images: torch.Tensor,
    settings: DetectionSettings,
    threshold: torch.Tensor | float | None = None,
    mask: torch.Tensor | None = None,
    rounds: int | None = None,
) -> KeypointSteps:
    """
    Return the K = `max_keypoints` best keypoints of each heatmap (B, H, W), float32.

    Border and mask are applied after suppression: before it, the slope of a maximum inside them
    would become a keypoint next to them.

    Args:
        heatmap: probability of a keypoint at each pixel.
        images: gray levels (B, 1, H, W), used with Hessian keypoints only.
        settings: of these, the ones that resize images have no effect.
        threshold: replaces that of the settings; a tensor (1,) keeps it variable in graphs.
        mask: bool (B, H, W), false where keypoints may not be.
        rounds: of suppression, see `suppress_non_maxima`.

    """
    height, width = heatmap.shape[1], heatmap.shape[2]
    is_hessian = settings.keypoints == 'hessian'
    hessian = hessian_response(images) if is_hessian else None
    score_map = weight_scores(heatmap, hessian) if is_hessian else heatmap
    threshold = settings.threshold if threshold is None else threshold
    candidates = torch.where(score_map >= threshold, score_map, 0.0)
    maxima, undecided = suppress_non_maxima(candidates, settings.nms_radius, rounds)
    allowed = maxima * _inside_border(height, width, settings.border_margin, maxima.device)
    if mask is not None:
        allowed = allowed * mask
    scores, pixels = _best(allowed, settings)
    x, y = pixel_coordinates(pixels, height, width)
    keypoints = torch.stack([x, y], dim=2).float()
    if settings.subpixel and is_hessian:
        keypoints = keypoints + parabola_offsets(hessian.response, x, y)
    elif settings.subpixel:
        keypoints = keypoints + centroid_offsets(heatmap, x, y)
    unfinished = (undecided > 0).flatten(1).any(dim=1)
    return KeypointSteps(heatmap, score_map, maxima, unfinished, keypoints, scores)


def count_places(height: int, width: int, radius: int) -> int:
    """Return the largest number of maxima that suppression can leave in an image."""
    side = radius + 1
    return -(-height // side) * -(-width // side)


def pixel_coordinates(
    pixels: torch.Tensor, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x and y, int64, of indices of pixels in reading order."""
    # Looked up: exporters divide integers as float32, which is wrong in large images.
    y, x = torch.arange(height, device=pixels.device), torch.arange(width, device=pixels.device)
    rows = y[:, None].expand(height, width).flatten()
    columns = x[None].expand(height, width).flatten()
    return columns[pixels], rows[pixels]


def _inside_border(height: int, width: int, margin: int, device: torch.device) -> torch.Tensor:
    """Return float32 (H, W): 1 at pixels outside the border margin, else 0."""
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    rows, columns = (y >= margin) & (y < height - margin), (x >= margin) & (x < width - margin)
    return (rows[:, None] & columns[None]).float()


def _best(maxima: torch.Tensor, settings: DetectionSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and pixels, in reading order, of the best maxima (B, H, W), both (B, K)."""
    height, width = maxima.shape[1], maxima.shape[2]
    count = settings.max_keypoints
    if settings.grid_cells:
        count = max(count, count_places(height, width, settings.nms_radius))
    # Even the smallest image has that many places; those in the padding have a score of zero.
    scores, pixels = torch.topk(F.pad(maxima.flatten(1), (0, count)), count, dim=1)
    pixels = torch.where(scores > 0, pixels, 0)
    if not settings.grid_cells:
        return scores, pixels
    x, y = pixel_coordinates(pixels, height, width)
    cells = settings.grid_cells
    cell = (y * 2 + 1) * cells // (2 * height) * cells + (x * 2 + 1) * cells // (2 * width)
    chosen = _spread(cell, scores > 0, settings.max_keypoints)
    return scores.gather(1, chosen), pixels.gather(1, chosen)


def _spread(cell: torch.Tensor, used: torch.Tensor, count: int) -> torch.Tensor:
    """
    Return indices, rising, (B, count): the first point of each cell before the second of any.

    `cell` int64 (B, M) are the cells of points, best first; `used` bool (B, M) is false for unused
    places, which come last.
    """
    last = cell.shape[1]
    by_cell, order = torch.sort(cell, dim=1, stable=True)
    # In a run of equal cells, the rank of a point is its distance from the start of the run.
    position = torch.arange(last, device=cell.device).expand_as(cell)
    start = torch.searchsorted(by_cell, by_cell)
    rank = torch.zeros_like(cell).scatter(1, order, position - start)
    chosen = torch.sort(torch.where(used, rank, last), dim=1, stable=True).indices[:, :count]
    return torch.sort(chosen, dim=1).values
