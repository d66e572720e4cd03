# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A teacher: weights whose descriptors of several sizes are taught to a network that sees one.

A mean of descriptors of an image in several sizes matches from nearer and farther where that of
one size does not (`superpoint_ros.detection.image_pyramid`), but
costs a look for each size. A network can learn to
say at once what weights trained before say on the average. Source of the idea: Hinton, Vinyals,
Dean, "Distilling the Knowledge in a Neural Network", 2015.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from superpoint_ros.detection.descriptors import sample_batch
from superpoint_ros.detection.preprocessing import scaled
from superpoint_ros.model.pruning import remove_dead_channels
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training.image_sizes import resized
from superpoint_ros.training.losses import in_float32

SIZES = {1.375: 1.0, 1.0: 1.0, 0.5: 0.5}
"""At which sizes of the image a teacher looks, and what each counts in the mean."""


class Teacher:
    """
    Say how points should be described; it learns nothing, and is in no checkpoint.

    Raises FileNotFoundError or WeightsError for the file, and ValueError where its descriptors
    mean nothing or are not as long as those that are to be taught.
    """

    def __init__(self, path: Path, descriptor_size: int):
        network, metadata = load_weights(path)
        if not metadata.descriptors_trained:
            raise ValueError(f'{path} is no teacher: it has learned nothing of descriptors')
        if network.config.descriptor_size != descriptor_size:
            raise ValueError(
                f'{path} is no teacher for this network: its descriptors have '
                f'{network.config.descriptor_size} components, and {descriptor_size} are needed'
            )
        self.network = remove_dead_channels(network).eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def describe(self, images: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return unit descriptors (B, K, D) of images (B, 1, H, W) in [0, 1] at points."""
        network = self.network.to(images.device)
        total = 0.0
        for factor, weight in SIZES.items():
            seen = resized(images, factor)
            coarse = network(seen).descriptors
            total = total + weight * sample_batch(coarse, scaled(points, images, seen))
        return F.normalize(total, dim=-1)


@in_float32
def teacher_loss(
    descriptors: torch.Tensor, taught: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """
    Return how far unit descriptors (B, K, D) are from those taught, a float32 scalar.

    It is the mean of 1 - cosine over the points that are `valid`, bool (B, K), 0 where none is.
    """
    apart = 1 - (descriptors * taught).sum(dim=-1)
    return (apart * valid).sum() / valid.sum().clamp_min(1)
