# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
MagicPoint: the detector half of SuperPoint, trained on synthetic shapes.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection
and Description", CVPR workshops 2018, section 4. The descriptor head takes no part: it is
neither computed nor changed.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from superpoint_ros.data.synthetic_shapes.shapes import ShapeImage
from superpoint_ros.detection.heatmap import detect_keypoints, heatmap_from_logits
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.training.cell_labels import DUSTBIN
from superpoint_ros.training.endless_dataset import ShapeSamples, VALIDATION
from superpoint_ros.training.losses import detector_loss
from superpoint_ros.training.recipe import MagicPointRecipe
from superpoint_ros.training.stage import PICTURES, Stage
from superpoint_ros.training.validation import draw_prediction, PointScore

EXPECTED_SHARE = 0.05
"""Share of the cells in which a new network expects a point."""


def expect_few_points(network: SuperPoint) -> None:
    """
    Make a new network expect a point in one of twenty cells, instead of in 64 of 65.

    An optimizer that moves a weight by its learning rate in a step would need thousands of steps
    to learn that points are rare. Source of the idea: Lin et al., "Focal Loss for Dense Object
    Detection", ICCV 2017, section 3.3.
    """
    with torch.no_grad():
        network.bnPb.bias[DUSTBIN] = math.log(DUSTBIN * (1 - EXPECTED_SHARE) / EXPECTED_SHARE)


class MagicPoint(Stage):
    """Train the detector under a recipe; pictures of what it sees go to the folder."""

    name = 'magicpoint'
    data = 'synthetic shapes'

    def __init__(self, recipe: MagicPointRecipe, folder: Path):
        super().__init__(recipe, folder)
        expect_few_points(self.network)
        for name in ('convDa', 'bnDa', 'convDb', 'bnDb'):
            self.network.get_submodule(name).requires_grad_(False)
        self._validation: list[ShapeImage] = []

    def samples(self) -> ShapeSamples:
        return ShapeSamples(self.recipe)

    def val_dataloader(self) -> DataLoader:
        """Return indices of validation images; the images are made once and kept."""
        if not self._validation:
            samples = ShapeSamples(self.recipe, VALIDATION)
            for index in range(self.recipe.validation_images):
                self._validation.append(samples.draw(samples.rng(index)))
        return DataLoader(range(len(self._validation)), batch_size=self.recipe.batch)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits of the detector, (B, 65, H/8, W/8), of images uint8 (B, 1, H, W)."""
        return self.network.detect(self.network.encode(self.batch_of(images)))

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        return self.checked(detector_loss(self.logits(batch['image']), batch['labels']))

    def on_validation_epoch_start(self) -> None:
        self._score = PointScore()
        self._pictures: list[np.ndarray] = []

    def validation_step(self, indices: torch.Tensor, _index: int) -> None:
        samples = [self._validation[index] for index in indices.tolist()]
        images = torch.from_numpy(np.stack([image for image, _ in samples]))[:, None]
        heatmaps = heatmap_from_logits(self.logits(images)).cpu()
        detections = detect_keypoints(heatmaps, DetectionSettings())
        for (image, points), heatmap, (keypoints, _) in zip(
            samples, heatmaps.numpy(), detections, strict=True
        ):
            keypoints = keypoints.numpy()
            points = _visible(points, image.shape)
            self._score.add(_visible(keypoints, image.shape), points)
            if len(self._pictures) < PICTURES:
                self._pictures.append(draw_prediction(image, heatmap, points, keypoints))

    def on_validation_epoch_end(self) -> None:
        self.log('validation/precision', self._score.precision, prog_bar=True, sync_dist=True)
        self.log('validation/recall', self._score.recall, prog_bar=True, sync_dist=True)
        self.log('validation/localisation_px', self._score.localisation, sync_dist=True)
        self.show(self._pictures)


def _visible(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the points that lie where keypoints may: off the margin at the border."""
    margin = DetectionSettings().border_margin
    pixels = np.floor(points + 0.5)
    return points[((pixels >= margin) & (pixels < np.array(shape[::-1]) - margin)).all(axis=1)]
