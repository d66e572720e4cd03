# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Distillation: train a network to reproduce descriptors and keypoints of trained weights.

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
from typing import NamedTuple

import torch
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.detection.preprocessing import rescale_keypoints
from superpoint_ros.engines.engine import create_engine, Engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.weights import read_weights
from superpoint_ros.resources import find_weights
from superpoint_ros.training.losses import (
    both_views,
    in_float32,
    resize_batch,
    soft_cell_cross_entropy,
    StepOutput,
)

SCALE_WEIGHTS = {1.0: 1.0, 1.375: 1.0, 0.5: 0.5}
"""Image scales of the distilled descriptors and their weights in the mean."""


class TeacherOutput(NamedTuple):
    """Logits (B, 65, h, w), and unit descriptors (B, K, D) at K points, of trained weights."""

    logits: torch.Tensor
    descriptors: torch.Tensor


class DistillationLoss:
    """
    The distance from the output of trained weights, the teacher.

    It is the distance of descriptors at the points of the batch, from the teacher's mean over
    image scales, plus `detector_weight` times the cross-entropy of the cells with the teacher's
    probabilities. `scales` is the number of image scales, see `SCALE_WEIGHTS`.

    The teacher is not trained and not part of checkpoints; `path` may also be the name of a
    shipped file, see `find_weights`. Raises FileNotFoundError or
    WeightsError for the file, and ValueError if its descriptors are untrained or have fewer
    components than the network's.
    """

    def __init__(
        self,
        path: str | Path,
        descriptor_size: int,
        scales: int = len(SCALE_WEIGHTS),
        detector_weight: float = 0.0,
    ):
        path = find_weights(path)
        self.network, metadata = read_weights(path)
        length = self.network.config.descriptor_size
        if not metadata.descriptors_trained:
            raise ValueError(f'cannot distil from {path}: its descriptors are untrained')
        if length < descriptor_size:
            raise ValueError(
                f'cannot distil from {path}: its descriptors have {length} components, and at '
                f'least {descriptor_size} are needed'
            )
        self.loss = cosine_loss if length == descriptor_size else procrustes_loss
        self.weights = dict(list(SCALE_WEIGHTS.items())[:scales])
        self.detector_weight = detector_weight
        self._engine: Engine | None = None

    @torch.no_grad()
    def infer(self, images: torch.Tensor, points: torch.Tensor) -> TeacherOutput:
        """Return the teacher's output for images (B, 1, H, W) and points (B, K, 2) in them."""
        if self._engine is None:
            # On a CPU in int8, if the weights are calibrated: a quarter of PyTorch's time.
            execution = ExecutionSettings(
                device=str(images.device), threads=torch.get_num_threads()
            )
            self._engine = create_engine(self.network, execution)
        outputs = {}
        total = 0.0
        for factor, weight in self.weights.items():
            resized = resize_batch(images, factor)
            levels = (resized * 255).round().clamp(0, 255).to(torch.uint8)
            outputs[factor] = self._engine.infer(levels)
            total = total + weight * sample_descriptors(
                outputs[factor], rescale_keypoints(points, images, resized)
            )
        return TeacherOutput(outputs[1.0].logits, F.normalize(total, dim=-1))

    def __call__(self, step: StepOutput) -> torch.Tensor:
        points = both_views(step.batch['points'])
        descriptors = sample_descriptors(step.output, points)
        teacher = self.infer(step.images, points)
        loss = self.loss(descriptors, teacher.descriptors, step.batch['valid'].repeat(2, 1))
        if self.detector_weight:
            probabilities = teacher.logits.float().softmax(dim=1)
            shown = both_views(step.batch['shown'])
            loss = loss + self.detector_weight * soft_cell_cross_entropy(
                step.output.logits, probabilities, shown
            )
        return loss


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
