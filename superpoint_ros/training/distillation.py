# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Distillation: train a network to reproduce multi-scale or longer descriptors of trained weights.

The mean of descriptors at several image scales matches better across scale changes
(`superpoint_ros.detection.descriptors`), but needs one inference per scale. A network can learn
to predict the mean at once. Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural
Network", 2015.

Descriptors of fewer components than the teacher's learn its cosine similarities instead: they are
compared with the teacher's after the rotation that fits best (orthogonal Procrustes problem).
Source: Yao et al., "EdgePoint2: Compact Descriptors for Superior Efficiency and Accuracy", 2025.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.detection.preprocessing import rescale_keypoints
from superpoint_ros.model.pruning import remove_dead_channels
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training.losses import both_views, in_float32, resize_batch, StepOutput

SCALE_WEIGHTS = {1.375: 1.0, 1.0: 1.0, 0.5: 0.5}
"""Image scales of the distilled descriptors and their weights in the mean."""


class DistillationLoss:
    """
    The distance from multi-scale descriptors of trained weights, the teacher.

    The teacher is not trained and not part of checkpoints. Raises FileNotFoundError or
    WeightsError for the file, and ValueError if its descriptors are untrained or have fewer
    components than the network's.
    """

    def __init__(self, path: Path, descriptor_size: int):
        network, metadata = load_weights(path)
        if not metadata.descriptors_trained:
            raise ValueError(f'cannot distil from {path}: its descriptors are untrained')
        if network.config.descriptor_size < descriptor_size:
            raise ValueError(
                f'cannot distil from {path}: its descriptors have '
                f'{network.config.descriptor_size} components, and at least {descriptor_size} are '
                'needed'
            )
        self.loss = (
            cosine_loss if network.config.descriptor_size == descriptor_size else procrustes_loss
        )
        network = remove_dead_channels(network)
        self.network = network.eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def describe(self, images: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return unit descriptors (B, K, D) at points (B, K, 2) of images (B, 1, H, W)."""
        network = self.network.to(images.device)
        total = 0.0
        for factor, weight in SCALE_WEIGHTS.items():
            resized = resize_batch(images, factor)
            coarse = network(resized).descriptors
            total = total + weight * sample_descriptors(
                coarse, rescale_keypoints(points, images, resized)
            )
        return F.normalize(total, dim=-1)

    def __call__(self, step: StepOutput) -> torch.Tensor:
        points = both_views(step.batch['points'])
        descriptors = sample_descriptors(step.output.descriptors, points)
        targets = self.describe(step.images, points)
        return self.loss(descriptors, targets, step.batch['valid'].repeat(2, 1))


@in_float32
def cosine_loss(
    descriptors: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """
    Return the mean of 1 - cosine of unit descriptors (B, K, D) and their targets.

    Points that are not `valid`, bool (B, K), are ignored; the result is 0 if none is valid.
    """
    distances = 1 - (descriptors * targets).sum(dim=-1)
    return (distances * valid).sum() / valid.sum().clamp_min(1)


@in_float32
def procrustes_loss(
    descriptors: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """
    Return the mean of 1 - cosine of descriptors and longer targets after the best rotation.

    `descriptors` (B, K, d) and `targets` (B, K, D), d <= D, are unit vectors. The rotation, d
    orthonormal directions in D dimensions, is the one that fits all `valid` points of the batch,
    bool (B, K), best; then the sum of cosines is the nuclear norm of the matrix of products. The
    result is 0 if no point is valid.
    """
    products = descriptors[valid].T @ targets[valid]
    cosines = torch.linalg.matrix_norm(products, 'nuc')
    count = valid.sum()
    return (count - cosines) / count.clamp_min(1)
