# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
SuperPoint: detector and descriptor trained together on pairs of views of photographs.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection
and Description", CVPR workshops 2018, sections 3.4 and 6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from superpoint_ros.detection.descriptors import sample_batch
from superpoint_ros.detection.image_pyramid import pool_descriptors, RATIO
from superpoint_ros.detection.preprocessing import scaled
from superpoint_ros.detector import Detector
from superpoint_ros.evaluation.metrics import (
    area_under_accuracy,
    EPSILON,
    match_distances,
    measure_pair,
    Pair,
)
from superpoint_ros.geometry.matching import match_mutual
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPointOutput
from superpoint_ros.training.descriptor_losses import contrastive_loss, hinge_loss
from superpoint_ros.training.distillation import Teacher, teacher_loss
from superpoint_ros.training.endless_dataset import VALIDATION
from superpoint_ros.training.image_sizes import resized
from superpoint_ros.training.initialization import start_from
from superpoint_ros.training.losses import detector_loss, soft_detector_loss
from superpoint_ros.training.magicpoint_stage import expect_few_points
from superpoint_ros.training.pair_dataset import PairSamples
from superpoint_ros.training.stage import PICTURES, Stage
from superpoint_ros.training.superpoint_recipe import SuperPointRecipe
from superpoint_ros.visualization import draw_matches

VALIDATION_KEYPOINTS = 200
"""Keypoints of each view in a validation."""

STARTING_PAIRS = 4
"""Pairs of which batch norms take their statistics where the weights to start from have none."""

SHOWN = ('repeatability', 'localisation', 'matching_score', 'matching_accuracy')
"""What validation measures, beside the homographies that follow from the matches."""

HOMOGRAPHY_LIMIT = 5.0
"""Corner error in pixels from which a homography counts nothing."""


class SuperPointStage(Stage):
    """Train both heads under a recipe, from a checkpoint of MagicPoint where one is given."""

    name = 'superpoint'
    data = 'photographs'
    descriptors_trained = True

    def __init__(self, recipe: SuperPointRecipe, folder: Path, start: Path | None = None):
        super().__init__(recipe, folder)
        self._validation: PairSamples | None = None
        self._teacher: Teacher | None = None
        if recipe.teacher:
            self._teacher = Teacher(Path(recipe.teacher), recipe.configuration.descriptor_size)
        expect_few_points(self.network)
        if start is not None:
            self._start_from(start)

    def _start_from(self, path: Path) -> None:
        """Take the weights of an earlier stage; raise ValueError where they do not fit."""
        samples = self.samples()
        images = torch.cat([samples[index]['images'] for index in range(STARTING_PAIRS)])
        narrowed = bool(self.recipe.stage_channels or self.recipe.head_channels)
        start_from(self.network, path, self.batch_of(images[:, None]), narrowed)

    def samples(self) -> PairSamples:
        return PairSamples(self.recipe)

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        recipe = self.recipe
        images = self.batch_of(_both(batch['images'])[:, None])
        output = self.network(images)
        loss = self._detector_loss(output, batch)
        self.log('train/detector', loss)
        if recipe.descriptor_weight:
            maps = [output.descriptors, *self._smaller_maps(images)]
            descriptor = self._descriptor_loss(maps, batch)
            self.log('train/descriptor', descriptor)
            loss = loss + recipe.descriptor_weight * descriptor
        if self._teacher:
            taught = self._teacher_loss(images, output.descriptors, batch)
            self.log('train/teacher', taught)
            loss = loss + recipe.teacher_weight * taught
        return self.checked(loss)

    def _detector_loss(
        self, output: SuperPointOutput, batch: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        if self.recipe.detector == 'labels':
            return detector_loss(output.logits, _both(batch['labels']))
        return soft_detector_loss(output.logits, _both(batch['targets']), _both(batch['known']))

    def _smaller_maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return coarse descriptors of images (2 B, 1, H, W) at each smaller size."""
        factors = [RATIO**level for level in range(1, self.recipe.levels)]
        return [self.network(resized(images, factor)).descriptors for factor in factors]

    def _descriptor_loss(
        self, maps: list[torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the loss of descriptors, the mean over those of one level, of two, and so on."""
        a, b = maps[0].chunk(2)
        if self.recipe.descriptor_loss == 'hinge':
            weight = self.recipe.hinge_positive_weight
            return hinge_loss(a, b, batch['homography'], batch['shown'][:, 1], weight)
        points = _both(batch['points'])
        sampled = [sample_batch(each, scaled(points, maps[0], each)) for each in maps]
        losses = [
            contrastive_loss(
                *pool_descriptors(sampled[:count]).chunk(2),
                *points.chunk(2),
                batch['valid'],
                self.recipe.temperature,
            )
            for count in range(1, len(sampled) + 1)
        ]
        return sum(losses) / len(losses)

    def _teacher_loss(
        self, images: torch.Tensor, coarse: torch.Tensor, batch: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return how far the network's descriptors are from the teacher's."""
        points = _both(batch['points'])
        taught = self._teacher.describe(images, points)
        return teacher_loss(sample_batch(coarse, points), taught, batch['valid'].repeat(2, 1))

    def val_dataloader(self) -> DataLoader:
        """Return the indices of validation pairs, which show photographs kept from training."""
        self._validation = self._validation or PairSamples(self.recipe, VALIDATION)
        return DataLoader(range(self.recipe.validation_images), batch_size=self.recipe.batch)

    def on_validation_epoch_start(self) -> None:
        self._detector = Detector.from_model(
            fold_batch_norm(self.network),
            str(self.device),
            engine='torch',
            max_keypoints=VALIDATION_KEYPOINTS,
        )
        self._measured: list[dict[str, float | None]] = []
        self._pictures: list[np.ndarray] = []

    def validation_step(self, indices: torch.Tensor, _index: int) -> None:
        for index in indices.tolist():
            sample = self._validation[index]
            images = sample['images'].numpy()
            size = images.shape[:0:-1]
            a, b = self._detector(list(images))
            pair = Pair(a, b, sample['homography'].double().numpy(), size, size)
            self._measured.append(measure_pair(pair))
            if len(self._pictures) < PICTURES:
                matches = match_mutual(a.descriptors, b.descriptors)
                correct = match_distances(pair, matches) <= EPSILON
                self._pictures.append(
                    draw_matches(images[0], a.keypoints, images[1], b.keypoints, matches, correct)
                )

    def on_validation_epoch_end(self) -> None:
        for name in SHOWN:
            values = [m[name] for m in self._measured if m[name] is not None]
            self.log(f'validation/{name}', float(np.mean(values or [0.0])), sync_dist=True)
        errors = [
            np.inf if m['corner_error'] is None else m['corner_error'] for m in self._measured
        ]
        auc = area_under_accuracy(np.array(errors), HOMOGRAPHY_LIMIT)
        self.log('validation/homography_auc', auc, prog_bar=True, sync_dist=True)
        self.show(self._pictures)


def _both(values: torch.Tensor) -> torch.Tensor:
    """Return what belongs to pairs, (B, 2, ...), as (2 B, ...): all of A, then all of B."""
    return values.transpose(0, 1).flatten(0, 1)
