# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The recipe of joint training: every number that it depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.training.recipe import TrainingRecipe


def _strong_homographies() -> HomographyRanges:
    """Return ranges that go beyond what a camera on a robot sees from one frame to the next."""
    return HomographyRanges(
        translation=0.15,
        max_rotation=75.0,
        rotation_sigma=26.0,
        min_scale=0.5,
        max_scale=2.0,
        perspective=0.2,
        patch_ratio=1.0,
        allow_artifacts=True,
    )


@dataclass(frozen=True)
class SuperPointRecipe(TrainingRecipe):
    """How the whole of SuperPoint is trained on pairs of views of photographs."""

    images: str = ''
    """Folder of the photographs."""

    detector: Literal['labels', 'repeats'] = 'labels'
    """What the detector learns: labels, or blobs that both views of a pair repeat."""

    labels: str = ''
    """Folder of the photographs' labels, as made by 'superpoint adapt'; not for 'repeats'."""

    least_score: float = 0.0
    """Least score of a label that is surely a point; cells with others are left out."""

    batch: int = 8
    """Pairs in a step."""

    width: int = 256
    """Width of both views in pixels, a multiple of 8."""

    height: int = 192
    """Height of both views in pixels, a multiple of 8."""

    finest: float = 0.8
    """Fewest pixels of a photograph to one of view A; the most are those that fill it."""

    shapes: float = 0.1
    """Share of the pairs that show synthetic shapes instead of a photograph."""

    homography: HomographyRanges = field(default_factory=_strong_homographies)
    """How far view B differs from view A."""

    sparsest: float = 0.04
    """Fewest blobs a cell that compete to be repeated; each pair has a number of its own."""

    densest: float = 0.42
    """Most of them: 1,000 keypoints of 640x480 pixels are 0.21."""

    points: int = 256
    """Points of a pair on which descriptors are trained."""

    labelled: float = 0.7
    """Largest share of these points that are labels or repeated, the others lying anywhere."""

    descriptor_loss: Literal['contrastive', 'hinge'] = 'contrastive'
    """A softmax over sampled points, or the paper's hinge over all pairs of cells."""

    descriptor_weight: float = 0.5
    """Weight of the descriptor loss beside the detector's (the paper's lambda)."""

    temperature: float = 20.0
    """What cosines are multiplied with in the contrastive loss."""

    levels: int = 1
    """Sizes of the images at which the contrastive loss has points described, see `Detector`."""

    teacher: str = ''
    """Weight file whose descriptors of several sizes are taught; none given: no teacher."""

    teacher_weight: float = 2.0
    """Weight of the distance from the teacher's descriptors beside the detector's loss."""

    hinge_positive_weight: float = 250.0
    """Weight of pairs of cells that are the same in the hinge loss (the paper's lambda_d)."""

    validation_images: int = 100
    """Pairs in a validation, the same every time."""

    def __post_init__(self):
        super().__post_init__()
        if not self.images:
            raise ValueError('name the folder of the images: --images DIR')
        if self.detector == 'labels' and not self.labels:
            raise ValueError('name the folder of the labels: --labels DIR, or --detector repeats')
        self._check(('shapes', 'labelled'), lambda value: 0 <= value <= 1, 'from 0 to 1')
        self._check(('levels',), lambda value: 1 <= value <= 4, 'from 1 to 4')
        if self.levels > 1 and self.descriptor_loss == 'hinge':
            raise ValueError('levels must be 1 where descriptor_loss is hinge')
        self._check(('points',), lambda value: value >= 2, 'at least 2')
        self._check(
            ('finest', 'temperature', 'sparsest'), lambda value: value > 0, 'greater than 0'
        )
        self._check(('densest',), lambda value: value >= self.sparsest, 'sparsest or more')
        weights = ('descriptor_weight', 'hinge_positive_weight', 'teacher_weight')
        self._check(weights, lambda value: value >= 0, '0 or more')
