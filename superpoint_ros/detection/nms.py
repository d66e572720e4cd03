# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Which pixels of a heatmap are keypoints: non-maximum suppression, exact on every device.

The highest pixel is one and removes all others in the square of a radius around it, then the
highest of the rest, and so on; of equal pixels the first in reading order comes first. All here
find just that. On a CPU the pixels above the threshold, which are few, are looked at one after the
other. On other devices there is no loop over points: in each round all pixels are found at once
that are the highest left in their own squares, until few are left.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from superpoint_ros.detection.compiled import compiled

FEW_PIXELS = 1024
"""Remaining pixels among which suppression compares each with each: a few megabytes at most."""


def find_peaks(
    heatmap: torch.Tensor, threshold: float, radius: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Return image, y and x of the pixels that suppression keeps, int64 (N,), in reading order.

    The heatmap has shape (B, H, W). Pixels below the threshold, or of 0 or less, are never kept.
    """
    if heatmap.device.type != 'cpu' or heatmap.dtype != torch.float32:
        candidates = torch.where(heatmap >= threshold, heatmap, 0.0)
        return torch.nonzero(_suppress_densely(candidates, radius), as_tuple=True)
    places = [_sparse_peaks(each, threshold, radius) for each in heatmap.detach().numpy()]
    image = np.repeat(np.arange(len(places)), [len(each) for each in places])
    y, x = np.divmod(np.concatenate(places), heatmap.shape[2])
    return torch.from_numpy(image), torch.from_numpy(y), torch.from_numpy(x)


def suppress_non_maxima(heatmap: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the heatmap (B, H, W) with 0 everywhere but at the pixels that `find_peaks` finds."""
    if radius == 0:
        return heatmap.clamp_min(0)
    peaks = find_peaks(heatmap, 0.0, radius)
    kept = torch.zeros_like(heatmap)
    kept[peaks] = heatmap[peaks]
    return kept


def _sparse_peaks(heatmap: np.ndarray, threshold: float, radius: int) -> np.ndarray:
    """Return the places, rising, that suppression keeps of a heatmap (H, W), float32."""
    values = np.ascontiguousarray(heatmap).ravel()
    least = max(np.float32(threshold), np.nextafter(np.float32(0), np.float32(1)))
    places = np.flatnonzero(values >= least)
    return places[np.sort(peaks_among(places, values[places], heatmap.shape, radius))]


def peaks_among(
    places: np.ndarray, values: np.ndarray, size: tuple[int, int], radius: int
) -> np.ndarray:
    """
    Return which of some pixels of an image suppression keeps, as indices, highest first.

    `places` are int64 (N,), rising and row by row, `values` float32 (N,) and positive; `size` is
    the image's (height, width).
    """
    order = _highest_first(values)
    if radius and len(places):
        order = order[_greedy(places[order], *size, radius)]
    return order


def _highest_first(values: np.ndarray) -> np.ndarray:
    """Return the indices of positive values from the highest on, of equal ones rising."""
    # One whole number for each tells the order; such are sorted far faster than by an index. The
    # bits of positive floating-point numbers rise with them.
    last = len(values) - 1
    keys = values.view(np.int32).astype(np.int64) << 32 | np.arange(last, -1, -1)
    keys.sort()
    return last - (keys[::-1] & 0xFFFFFFFF)


@compiled
def _greedy(places, height, width, radius):
    """Return bool (N,): which places are kept, each unless one before removed it."""
    # A border of `radius` pixels lets squares be written without asking where the image ends.
    removed = np.zeros((height + 2 * radius, width + 2 * radius), np.bool_)
    kept = np.zeros(len(places), np.bool_)
    for index in range(len(places)):
        y = places[index] // width
        x = places[index] - y * width
        if not removed[y + radius, x + radius]:
            kept[index] = True
            removed[y : y + 2 * radius + 1, x : x + 2 * radius + 1] = True
    return kept


def _suppress_densely(heatmap: torch.Tensor, radius: int) -> torch.Tensor:
    """Return bool (B, H, W): which positive pixels are kept, on any device."""
    if radius == 0:
        return heatmap > 0
    remaining = _ranks(heatmap)
    kept = torch.zeros_like(heatmap, dtype=torch.bool)
    while True:
        image, y, x = torch.nonzero(remaining, as_tuple=True)
        if len(image) <= FEW_PIXELS:
            survivors = _greedy_among(image, y, x, remaining[image, y, x], radius)
            kept[image[survivors], y[survivors], x[survivors]] = True
            return kept
        is_peak = (remaining > 0) & (remaining == _square_maximum(remaining, radius))
        kept |= is_peak
        remaining = remaining.masked_fill(_square_maximum(is_peak, radius), 0)


def _greedy_among(
    image: torch.Tensor, y: torch.Tensor, x: torch.Tensor, ranks: torch.Tensor, radius: int
) -> torch.Tensor:
    """Return bool (N,): which of N pixels greedy suppression keeps, the highest rank first."""
    near = (image[:, None] == image) & ((x[:, None] - x).abs_() <= radius)
    near &= (y[:, None] - y).abs_() <= radius
    rivals = near & (ranks[:, None] < ranks)  # for each pixel those that come before it
    alive = torch.ones_like(ranks, dtype=torch.bool)
    kept = torch.zeros_like(alive)
    while bool(alive.any()):
        highest = alive & ~(rivals & alive).any(dim=1)
        kept |= highest
        alive &= ~(near & highest).any(dim=1)
    return kept


def _ranks(heatmap: torch.Tensor) -> torch.Tensor:
    """
    Return int32 (B, H, W): 0 where the heatmap is not positive, else a number of its own.

    The numbers rise with the heatmap's values and, among equal ones, against reading order.
    """
    flat = heatmap.flatten()
    candidates = torch.nonzero(flat > 0)[:, 0]
    order = torch.sort(flat[candidates], descending=True, stable=True).indices
    ranks = torch.zeros(flat.shape, dtype=torch.int32, device=flat.device)
    ranks[candidates[order]] = torch.arange(
        len(candidates), 0, -1, dtype=torch.int32, device=flat.device
    )
    return ranks.view(heatmap.shape)


def _square_maximum(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the maximum of x (B, H, W) over the square of `radius` around each pixel."""
    return _line_maximum(_line_maximum(x, radius, dim=1), radius, dim=2)


def _line_maximum(x: torch.Tensor, radius: int, dim: int) -> torch.Tensor:
    """Return the maximum of x over `radius` places to each side along a dimension."""
    length = x.shape[dim]
    pads = (radius, radius) if dim == 2 else (0, 0, radius, radius)
    combine = torch.logical_or if x.dtype == torch.bool else torch.maximum
    # Maxima over windows of 1, 2, 4 ... places, then of two that overlap to the whole: a few
    # elementwise operations, which are several times faster than max-pooling.
    window, width = F.pad(x, pads), 1
    while 2 * width <= 2 * radius + 1:
        size = window.shape[dim] - width
        window = combine(window.narrow(dim, 0, size), window.narrow(dim, width, size))
        width *= 2
    rest = 2 * radius + 1 - width
    return combine(window.narrow(dim, 0, length), window.narrow(dim, rest, length))
