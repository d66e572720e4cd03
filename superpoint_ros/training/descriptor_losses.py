# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What makes descriptors of one point alike in two images, and those of different points unlike.

The paper's takes coarse descriptors as the network gives them, (B, D, h, w), not normalised, the
other one those of points. Both are computed in float32. Positions are (x, y) in pixels, the centre
of the top-left pixel being (0, 0).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from superpoint_ros.model.superpoint import CELL
from superpoint_ros.training.losses import in_float32


@in_float32
def hinge_loss(
    descriptors_a: torch.Tensor,
    descriptors_b: torch.Tensor,
    homographies: torch.Tensor,
    valid_b: torch.Tensor,
    positive_weight: float = 250.0,
    positive_margin: float = 1.0,
    negative_margin: float = 0.2,
) -> torch.Tensor:
    """
    Return the paper's descriptor loss, a float32 scalar.

    It is the mean over all pairs of a cell of image A and a valid cell of image B of
    lambda_d s max(0, m_p - d.d') + (1 - s) max(0, d.d' - m_n), where s is 1 if the centre of A's
    cell, warped by the homography (B, 3, 3) from A to B, lies within 8 pixels of the centre of
    B's. `valid_b` is bool (B, h, w): the cells of B that show A; the loss of none is 0.

    The similarities are one matrix product for each image, so that memory does not grow with D
    times the number of pairs. Source: paper, section 3.4, L_d.
    """
    _check_pair(descriptors_a, descriptors_b)
    _, _, height, width = descriptors_a.shape
    centres = cell_centres(height, width, descriptors_a.device)
    total = descriptors_a.new_zeros((), dtype=torch.float32)
    pairs = 0
    for a, b, homography, valid in zip(
        descriptors_a, descriptors_b, homographies, valid_b, strict=True
    ):
        a, b = (F.normalize(d.flatten(1).float(), dim=0) for d in (a, b))
        b, targets = b[:, valid.flatten()], centres[valid.flatten()]
        similarity = a.T @ b
        warped = warp(centres, homography)
        same = _squared_distances(warped, targets) <= CELL * CELL
        losses = torch.where(
            same,
            positive_weight * F.relu(positive_margin - similarity),
            F.relu(similarity - negative_margin),
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
    temperature: float = 20.0,
    radius: float = 8.0,
) -> torch.Tensor:
    """
    Return how badly points find their counterparts among the others, a float32 scalar.

    `points_a` and `points_b`, (B, K, 2), are the same K scene points in both images, `a` and `b`,
    (B, K, D), their unit descriptors; those not `valid`, bool (B, K), are left out. The
    descriptors' cosines, times the temperature, are the logits of a softmax over all points of the
    other image, and the loss is the mean cross-entropy of both directions. Other points within
    `radius` pixels of the right one are neither right nor wrong, and are left out of the softmax.
    Where no point is valid the loss is 0.
    """
    logits = temperature * a @ b.transpose(1, 2)
    itself = torch.eye(points_a.shape[1], dtype=torch.bool, device=logits.device)
    near_b = torch.cdist(points_b.float(), points_b.float()) < radius
    near_a = torch.cdist(points_a.float(), points_a.float()) < radius
    out_ab = (near_b | ~valid[:, None, :]) & ~itself
    out_ba = (near_a | ~valid[:, None, :]) & ~itself
    total = _diagonal_cross_entropy(logits.masked_fill(out_ab, -torch.inf))
    total = total + _diagonal_cross_entropy(logits.transpose(1, 2).masked_fill(out_ba, -torch.inf))
    return (total * valid).sum() / (2 * valid.sum().clamp_min(1))


def cell_centres(height: int, width: int, device: torch.device | str = 'cpu') -> torch.Tensor:
    """Return the centres (h * w, 2) of cells, row by row, in pixels."""
    middle = (CELL - 1) / 2
    y, x = torch.meshgrid(
        torch.arange(height, device=device) * CELL + middle,
        torch.arange(width, device=device) * CELL + middle,
        indexing='ij',
    )
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def warp(points: torch.Tensor, homography: torch.Tensor) -> torch.Tensor:
    """
    Return points (..., N, 2) warped by homographies (..., 3, 3), in float32.

    Points on or behind the horizon get coordinates far outside of any image.
    """
    mapped = points @ homography[..., :2].transpose(-1, -2) + homography[..., None, :, 2]
    depth = mapped[..., 2:]
    return torch.where(depth > 1e-6, mapped[..., :2] / depth.clamp_min(1e-6), -1e6)


def _diagonal_cross_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy (B, K) of logits (B, K, K) whose right class is the diagonal."""
    return logits.logsumexp(dim=2) - logits.diagonal(dim1=1, dim2=2)


def _squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return (N, M) squared distances of points (N, 2) and (M, 2), without an (N, M, 2) array."""
    x = a[:, None, 0] - b[None, :, 0]
    y = a[:, None, 1] - b[None, :, 1]
    return x.square_().add_(y.square_())


def _check_pair(a: torch.Tensor, b: torch.Tensor) -> None:
    """Raise ValueError unless both are descriptors of one shape."""
    if a.ndim != 4 or a.shape != b.shape:
        raise ValueError(
            f'expected two descriptor maps (B, D, h, w) of one shape; got {tuple(a.shape)} and '
            f'{tuple(b.shape)}'
        )
