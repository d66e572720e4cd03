# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Exact non-maximum suppression of score maps, as tensors of static shapes.

The result is that of the greedy method: the pixel with the highest score is kept and removes all
others in the square around it, then the highest remaining one, and so on; of equal scores the
first in reading order wins. Instead of one pixel at a time, each round decides all pixels that are
the highest remaining ones in their own squares.
"""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F

ROUNDS = 12
"""Rounds in graphs: photographs need four at the default settings, ten at the worst."""


def suppress_non_maxima(
    scores: torch.Tensor, radius: int, rounds: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return the score map with zeros except at maxima, and the scores that are still undecided.

    `scores` and both results have shape (B, H, W); only positive scores take part. No two maxima
    are within `radius` pixels of each other in x and in y. With a fixed number of `rounds`, for
    exported graphs and CUDA graphs, pixels may remain undecided: they are not maxima, and their
    neighbours may be. This occurs on long descending ridges. With None it runs until all are
    decided.
    """
    remaining, kept = scores.clamp_min(0), torch.zeros_like(scores)
    if radius == 0:
        return remaining, kept
    height, width = scores.shape[1], scores.shape[2]
    # Falls in reading order, for equal maxima; float32 is exact up to 16.7 million pixels.
    order = torch.arange(height * width, 0, -1, device=scores.device)
    order = order.view(height, width).float()
    for _ in count() if rounds is None else range(rounds):
        highest = (remaining > 0) & (remaining == _window_maximum(remaining, radius))
        # An equal score that is not the highest one in its own square may still win against this
        # one, once the higher ones are removed.
        others = _window_maximum(torch.where(highest, 0.0, remaining), radius)
        first = torch.where(highest, order, 0.0)
        peaks = highest & (others < remaining) & (first == _window_maximum(first, radius))
        peaks = peaks.float()
        kept = torch.maximum(kept, peaks)
        remaining = torch.where(_window_maximum(peaks, radius) > 0, 0.0, remaining)
        if rounds is None and not bool(remaining.any()):
            break
    return scores * kept, remaining


def _window_maximum(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the maximum of x (B, H, W), not negative, over the square around each pixel."""
    side = 2 * radius + 1
    x = F.max_pool2d(x[:, None], (1, side), stride=1, padding=(0, radius))
    return F.max_pool2d(x, (side, 1), stride=1, padding=(radius, 0))[:, 0]
