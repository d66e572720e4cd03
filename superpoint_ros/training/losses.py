# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What training makes small; every loss is computed in float32, whatever the network runs in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
import torch.nn.functional as F

from superpoint_ros.model.superpoint import CELL
from superpoint_ros.training.cell_labels import IGNORED


def detector_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """
    Return the mean cross-entropy over cells of 65 classes each, a float32 scalar.

    ``logits`` is (B, 65, h, w), ``labels`` int64 (B, h, w) of classes 0 to 64 or ``IGNORED``,
    which takes a cell out of the mean. Where all cells are ignored, the loss is 0.

    Source: paper, section 3.4, L_p.
    """
    if logits.ndim != 4 or logits.shape[1] != CELL * CELL + 1:
        raise ValueError(f'logits must have shape (B, 65, h, w), got {tuple(logits.shape)}')
    if labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(f'labels {tuple(labels.shape)} do not fit logits {tuple(logits.shape)}')
    total = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction='sum')
    return total / (labels != IGNORED).sum().clamp_min(1)


def soft_detector_loss(
    logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """
    Return the mean cross-entropy of cells with what each should be, a float32 scalar.

    `logits` and `targets` are (B, 65, h, w), targets adding up to 1 in each cell; cells that are
    not `known`, bool (B, h, w), do not count. Where none counts the loss is 0.
    """
    losses = -(targets * logits.float().log_softmax(dim=1)).sum(dim=1)
    return (losses * known).sum() / known.sum().clamp_min(1)


def in_float32(loss: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """
    Return a loss that mixed precision leaves alone; its first argument is a tensor.

    Matrix products, which mixed precision would round to eight bits, are in it: of coordinates
    too, which would then be wrong by half a pixel.
    """

    @wraps(loss)
    def exact(first: torch.Tensor, *others, **options) -> torch.Tensor:
        with torch.autocast(first.device.type, enabled=False):
            return loss(first, *others, **options)

    return exact
