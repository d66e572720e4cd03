# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Losses of detector and descriptor; all are computed in float32, whatever the network runs in.

The first part has the losses as functions of tensors, the second part the descriptor losses as
objects that a recipe chooses: each is called with a `StepOutput`. The loss of the detector belongs
to its targets (`superpoint_ros.training.targets`). Positions are (x, y) in pixels; the centre of
the top-left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import NamedTuple

import torch
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import (
    average_scales,
    dense_descriptors,
    sample_descriptors,
)
from superpoint_ros.detection.preprocessing import rescale_keypoints, SCALE_RATIO
from superpoint_ros.model.config import CELL, SuperPointOutput
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.training.training_recipes import SuperPointRecipe

IGNORED = -100
"""Label of a cell that the loss ignores (the default of torch's cross-entropy)."""

EXACT = 'donot_use_mm_for_euclid_dist'
"""Mode of `torch.cdist` without matrix products, which are inexact for coordinates far away."""

POSITIVE_MARGIN, NEGATIVE_MARGIN = 1.0, 0.2
"""m_p and m_n of `hinge_loss`; source: paper, section 6."""


def in_float32(loss: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """
    Return the loss with autocast turned off; its first argument is a tensor.

    Mixed precision would round matrix products to eight bits: coordinates would be wrong by half
    a pixel.
    """

    @wraps(loss)
    def exact(first: torch.Tensor, *others, **options) -> torch.Tensor:
        with torch.autocast(first.device.type, enabled=False):
            return loss(first, *others, **options)

    return exact


def cell_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """
    Return the mean cross-entropy of cells with one class each, a float32 scalar.

    `logits` is (B, 65, h, w), `labels` int64 (B, h, w) with classes 0 to 64, or `IGNORED` for
    cells that do not count. The loss is 0 if all cells are ignored. Source: paper, section 3.4,
    L_p.
    """
    if logits.ndim != 4 or logits.shape[1] != CELL * CELL + 1:
        raise ValueError(f'logits must have shape (B, 65, h, w), got {tuple(logits.shape)}')
    if labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(f'labels {tuple(labels.shape)} do not fit logits {tuple(logits.shape)}')
    total = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction='sum')
    return total / (labels != IGNORED).sum().clamp_min(1)


def soft_cell_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """
    Return the mean cross-entropy of cells with a distribution each, a float32 scalar.

    `logits` and `targets` are (B, 65, h, w); the targets of a cell add up to 1. Cells that are not
    `known`, bool (B, h, w), are ignored. The loss is 0 if no cell is known.
    """
    losses = -(targets * logits.float().log_softmax(dim=1)).sum(dim=1)
    return (losses * known).sum() / known.sum().clamp_min(1)


@in_float32
def hinge_loss(
    descriptors_a: torch.Tensor,
    descriptors_b: torch.Tensor,
    cells_in_b: torch.Tensor,
    valid_b: torch.Tensor,
    positive_weight: float,
) -> torch.Tensor:
    """
    Return the paper's descriptor loss, a float32 scalar.

    It is the mean over all pairs of a cell of image A and a valid cell of image B of
    lambda_d s max(0, m_p - d.d') + (1 - s) max(0, d.d' - m_n), where s is 1 if the centre of A's
    cell lies within 8 pixels of the centre of B's cell. The descriptors are the network's coarse
    ones, (B, D, h, w); `cells_in_b` (B, h, w, 2) are the positions in image B of the centres of
    A's cells, far outside if they have none; `valid_b` is bool (B, h, w). The loss is 0 if no cell
    is valid. Similarities are one matrix product per image, so that memory does not grow with D
    times the number of pairs. Source: paper, section 3.4, L_d.
    """
    if descriptors_a.ndim != 4 or descriptors_a.shape != descriptors_b.shape:
        raise ValueError(
            'expected two descriptor maps (B, D, h, w) of one shape; got '
            f'{tuple(descriptors_a.shape)} and {tuple(descriptors_b.shape)}'
        )
    centres = cell_centres(*descriptors_a.shape[2:], descriptors_a.device)
    total = descriptors_a.new_zeros((), dtype=torch.float32)
    pairs = 0
    for a, b, warped, valid in zip(descriptors_a, descriptors_b, cells_in_b, valid_b, strict=True):
        a, b = (F.normalize(d.flatten(1).float(), dim=0) for d in (a, b))
        b, targets = b[:, valid.flatten()], centres[valid.flatten()]
        similarity = a.T @ b
        same = torch.cdist(warped.flatten(0, 1).float(), targets, compute_mode=EXACT) <= CELL
        losses = torch.where(
            same,
            positive_weight * F.relu(POSITIVE_MARGIN - similarity),
            F.relu(similarity - NEGATIVE_MARGIN),
        )
        total = total + losses.sum()
        pairs += losses.numel()
    return total / max(pairs, 1)


@in_float32
def contrastive_loss(
    a: torch.Tensor,
    b: torch.Tensor,
    points_a: torch.Tensor,
    points_b: torch.Tensor,
    valid: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """
    Return the cross-entropy of finding each point's counterpart, a float32 scalar.

    `points_a` and `points_b`, (B, K, 2), are the same K scene points in both images; `a` and `b`,
    (B, K, D), are their unit descriptors; points that are not `valid`, bool (B, K), are ignored.
    Cosine similarities times the temperature are the logits of a softmax over all points of the
    other image; the loss is the mean cross-entropy of both directions. Points within a cell's side
    of the counterpart are left out of the softmax. The loss is 0 if no point is valid.
    """
    logits = temperature * a @ b.transpose(1, 2)
    diagonal = torch.eye(points_a.shape[1], dtype=torch.bool, device=logits.device)
    near_b = torch.cdist(points_b.float(), points_b.float()) < CELL
    near_a = torch.cdist(points_a.float(), points_a.float()) < CELL
    out_ab = (near_b | ~valid[:, None, :]) & ~diagonal
    out_ba = (near_a | ~valid[:, None, :]) & ~diagonal
    total = _diagonal_cross_entropy(logits.masked_fill(out_ab, -torch.inf))
    total = total + _diagonal_cross_entropy(logits.transpose(1, 2).masked_fill(out_ba, -torch.inf))
    return (total * valid).sum() / (2 * valid.sum().clamp_min(1))


def cell_centres(height: int, width: int, device: torch.device | str = 'cpu') -> torch.Tensor:
    """Return the centres (h * w, 2) of cells in pixels, row by row."""
    middle = (CELL - 1) / 2
    y, x = torch.meshgrid(
        torch.arange(height, device=device) * CELL + middle,
        torch.arange(width, device=device) * CELL + middle,
        indexing='ij',
    )
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def _diagonal_cross_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy (B, K) of logits (B, K, K) whose correct class is the diagonal."""
    return logits.logsumexp(dim=2) - logits.diagonal(dim1=1, dim2=2)


class StepOutput(NamedTuple):
    """
    A training step as losses see it.

    Attributes:
        network: the network that is trained.
        images: float (2 B, 1, H, W) in [0, 1]: all views A, then all views B.
        output: output of the network for these images.
        batch: the collated samples of a pair dataset.

    """

    network: SuperPoint
    images: torch.Tensor
    output: SuperPointOutput
    batch: dict[str, torch.Tensor]


def both_views(values: torch.Tensor) -> torch.Tensor:
    """Return values of pairs, (B, 2, ...), as (2 B, ...): all of A, then all of B."""
    return values.transpose(0, 1).flatten(0, 1)


def resize_batch(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Return images (B, 1, H, W) resized by about `factor`, to one or more whole cells."""
    if factor == 1:
        return images
    size = [max(round(side * factor / CELL), 1) * CELL for side in images.shape[2:]]
    return F.interpolate(images, size, mode='area' if factor < 1 else 'bicubic')


class HingeLoss:
    """The paper's loss over all pairs of cells, see `hinge_loss`."""

    def __init__(self, positive_weight: float):
        self.positive_weight = positive_weight

    def __call__(self, step: StepOutput) -> torch.Tensor:
        a, b = dense_descriptors(step.output).chunk(2)
        batch = step.batch
        return hinge_loss(a, b, batch['cells_in_b'], batch['shown'][:, 1], self.positive_weight)


class ContrastiveLoss:
    """
    The softmax over sampled points, see `contrastive_loss`.

    With several scales, it is the mean over descriptors of the first scale, of the first two, and
    so on. With a `coarse_weight`, the loss of the descriptors without their fine part is added
    with this weight, so that they can be used without it, too.
    """

    def __init__(self, temperature: float, scales: int, coarse_weight: float):
        self.temperature = temperature
        self.scales = scales
        self.coarse_weight = coarse_weight

    def __call__(self, step: StepOutput) -> torch.Tensor:
        factors = [SCALE_RATIO**scale for scale in range(1, self.scales)]
        reduced = [step.network(resize_batch(step.images, factor)) for factor in factors]
        outputs = [step.output, *reduced]
        loss = self._loss(step, outputs)
        if self.coarse_weight:
            coarse = [each._replace(fine=None) for each in outputs]
            loss = loss + self.coarse_weight * self._loss(step, coarse)
        return loss

    def _loss(self, step: StepOutput, outputs: Sequence[SuperPointOutput]) -> torch.Tensor:
        points = both_views(step.batch['points'])
        sampled = [
            sample_descriptors(
                each, rescale_keypoints(points, step.output.descriptors, each.descriptors)
            )
            for each in outputs
        ]
        losses = [
            contrastive_loss(
                *average_scales(sampled[:count]).chunk(2),
                *points.chunk(2),
                step.batch['valid'],
                self.temperature,
            )
            for count in range(1, len(sampled) + 1)
        ]
        return sum(losses) / len(losses)


def make_descriptor_loss(recipe: SuperPointRecipe) -> HingeLoss | ContrastiveLoss:
    """Return the descriptor loss that the recipe names."""
    if recipe.descriptor_loss == 'hinge':
        return HingeLoss(recipe.hinge_positive_weight)
    return ContrastiveLoss(
        recipe.temperature, recipe.descriptor_scales, recipe.coarse_descriptor_weight
    )
