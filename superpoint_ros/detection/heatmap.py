# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
From the network's output to keypoints: pure functions on tensors, on any device.

Logits of cells become a heatmap of pixels, its maxima become keypoints, and descriptors are
sampled at these. Keypoints are (x, y) in pixels, the centre of the top-left pixel being (0, 0).
No function loops over points.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from superpoint_ros.detection.hessian import blob_offsets, blob_scores, Blobs
from superpoint_ros.detection.nms import find_peaks, suppress_non_maxima  # noqa: F401

# Suppression is a part of decoding for all others.
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.superpoint import CELL

_SHIFT = torch.arange(-2.0, 3.0)
_MOMENTS = torch.stack([_SHIFT.repeat(5), _SHIFT.repeat_interleave(5), torch.ones(25)], dim=1)
"""(25, 3): by what the pixels of 5x5 count in the sums for x and y, and in that of all."""


def heatmap_from_logits(logits: torch.Tensor) -> torch.Tensor:
    """
    Return the probability of a keypoint at each pixel, (B, 8h, 8w), of logits (B, 65, h, w).

    The softmax is taken over the 64 pixels of a cell and the dustbin, which is then left out
    (paper, section 3.2). The result is float32.
    """
    if logits.ndim != 4 or logits.shape[1] != CELL * CELL + 1:
        raise ValueError(f'logits must have shape (B, 65, h, w), got {tuple(logits.shape)}')
    if logits.stride(1) > 1:
        probabilities = logits.float().softmax(dim=1)[:, :-1]
        return F.pixel_shuffle(probabilities, CELL)[:, 0]
    # The channels are last in memory, as engines leave them: a few times faster than the above.
    cells = logits.permute(0, 2, 3, 1).float().softmax(dim=3)[..., :-1]
    return cells.unflatten(3, (CELL, CELL)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def detect_keypoints(
    heatmap: torch.Tensor,
    settings: DetectionSettings,
    mask: torch.Tensor | None = None,
    blobs: Blobs | None = None,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """
    Return for each heatmap of (B, H, W) its keypoints (N, 2) and their scores (N,), best first.

    Both are float32; equal scores stand in reading order. `mask`, bool of shape (B, H, W) or
    (H, W), is false where no keypoints may be. Border and mask take effect after the suppression:
    before it, the slope of a maximum that lies within them would become a keypoint beside them.
    `blobs` are those of the images, which then are the keypoints (the setting `blobs` is for
    whoever calls this); without them keypoints are maxima of the heatmap.
    """
    heatmap = heatmap.float()
    height, width = heatmap.shape[-2:]
    values = score_pixels(heatmap, blobs)
    image, y, x = find_peaks(values, settings.threshold, settings.nms_radius)
    margin = settings.border_margin
    allowed = (y >= margin) & (y < height - margin) & (x >= margin) & (x < width - margin)
    if mask is not None:
        allowed &= mask.expand(heatmap.shape)[image, y, x]
    image, y, x = image[allowed], y[allowed], x[allowed]
    scores = values[image, y, x]
    points = torch.stack([x, y], dim=1).float()
    if settings.subpixel and blobs is None:
        points += _centroid_offsets(heatmap, image, y, x)
    elif settings.subpixel:
        points += blob_offsets(blobs.response, image, y, x)
    result = []
    counts = torch.bincount(image, minlength=len(heatmap)).tolist()
    for found_points, found_scores in zip(points.split(counts), scores.split(counts), strict=True):
        best, order = torch.sort(found_scores, descending=True, stable=True)
        points = found_points[order]
        kept = slice(settings.max_keypoints)
        if settings.grid_cells and len(points) > settings.max_keypoints:
            kept = spread_over_grid(points, (height, width), settings)
        result.append((points[kept], best[kept]))
    return result


def score_pixels(heatmap: torch.Tensor, blobs: Blobs | None) -> torch.Tensor:
    """
    Return what each pixel is worth as a keypoint, (B, H, W).

    With the blobs of the images that is 0 but at these, without them the heatmap.
    """
    return heatmap if blobs is None else blob_scores(heatmap, blobs)


def spread_over_grid(
    points: torch.Tensor, size: tuple[int, int], settings: DetectionSettings
) -> torch.Tensor:
    """
    Return the places, rising, of those points that `max_keypoints` and `grid_cells` leave.

    `points` (N, 2) are x and y in an image of `size` (height, width), best first. The best point
    of each cell is kept before the second of any; among those of one rank the best come first.
    """
    cells = settings.grid_cells
    height, width = size
    extent = points.new_tensor([width, height])
    column, row = ((points + 0.5) / extent * cells).long().clamp(0, cells - 1).unbind(1)
    by_cell = torch.sort(row * cells + column, stable=True)
    # Within a run of equal cells, a point's rank is its distance from the beginning of the run.
    place = torch.arange(len(points), device=points.device)
    starts = torch.searchsorted(by_cell.values, by_cell.values)
    rank = torch.empty_like(place)
    rank[by_cell.indices] = place - starts
    kept = torch.sort(rank, stable=True).indices[: settings.max_keypoints]
    return torch.sort(kept).values


def _centroid_offsets(
    heatmap: torch.Tensor, image: torch.Tensor, y: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    """Return (N, 2) offsets in x and y from pixels to the heatmap's centroid 5x5 around them."""
    height, width = heatmap.shape[-2:]
    steps = torch.arange(-2, 3, device=heatmap.device)
    rows, columns = y[:, None] + steps, x[:, None] + steps
    # The nearest pixel of the image stands for one beyond it, and weighs nothing.
    near_rows, near_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    places = ((image * height)[:, None] + near_rows)[:, :, None] * width + near_columns[:, None]
    inside = (rows == near_rows)[:, :, None] & (columns == near_columns)[:, None]
    window = torch.take(heatmap, places).where(inside, 0.0).flatten(1)
    # A validation while training in mixed precision would round the places to a pixel or more.
    with torch.autocast(heatmap.device.type, enabled=False):
        sums = window @ _MOMENTS.to(heatmap)
    return sums[:, :2] / sums[:, 2:].clamp_min(1e-12)
