"""
MagicPoint: the detector half of SuperPoint, trained on synthetic shapes.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection
and Description", CVPR workshops 2018, section 4. The descriptor head takes no part: it is
neither computed nor changed.
"""

from __future__ import annotations

from dataclasses import asdict, replace
import math
from pathlib import Path

import cv2
from lightning.pytorch import LightningModule
import numpy as np
import torch
from torch.utils.data import DataLoader

from superpoint_ros import __version__
from superpoint_ros.decoding import detect_keypoints, DetectionSettings, heatmap_from_logits
from superpoint_ros.network import CONFIGURATIONS, SuperPoint
from superpoint_ros.synthesis.shapes import ShapeImage
from superpoint_ros.training.data import endless_loader, ShapeSamples, Steps, VALIDATION
from superpoint_ros.training.labels import DUSTBIN
from superpoint_ros.training.losses import detector_loss
from superpoint_ros.training.recipe import MagicPointRecipe
from superpoint_ros.training.schedule import optimizer_and_schedule
from superpoint_ros.training.validation import draw_prediction, in_columns, PointScore
from superpoint_ros.weights import save_weights, WeightsMetadata

PICTURES = 8
"""Validation images that are drawn."""

EXPECTED_SHARE = 0.05
"""Share of the cells in which a new network expects a point."""


class TrainingDivergedError(ArithmeticError):
    """Say that the loss or the gradients are no longer numbers, and since which step."""


def expect_few_points(network: SuperPoint) -> None:
    """
    Make a new network expect a point in one of twenty cells, instead of in 64 of 65.

    An optimizer that moves a weight by its learning rate in a step would need thousands of steps
    to learn that points are rare. Source of the idea: Lin et al., "Focal Loss for Dense Object
    Detection", ICCV 2017, section 3.3.
    """
    with torch.no_grad():
        network.bnPb.bias[DUSTBIN] = math.log(DUSTBIN * (1 - EXPECTED_SHARE) / EXPECTED_SHARE)


class MagicPoint(LightningModule):
    """Train the detector under a recipe; pictures of what it sees go to ``folder``."""

    def __init__(self, recipe: MagicPointRecipe, folder: Path):
        super().__init__()
        self.recipe = recipe
        self.folder = folder
        config = replace(CONFIGURATIONS[recipe.network], normalization='before_relu')
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = SuperPoint(config)
        expect_few_points(self.network)
        if recipe.channels_last:
            self.network.to(memory_format=torch.channels_last)
        for name in ('convDa', 'bnDa', 'convDb', 'bnDb'):
            self.network.get_submodule(name).requires_grad_(False)
        self._validation: list[ShapeImage] = []

    def configure_optimizers(self) -> dict:
        return optimizer_and_schedule(self.network, self.recipe)

    def train_dataloader(self) -> DataLoader:
        """Return the batches from the current step on, wherever the run was interrupted."""
        steps = Steps(
            self.recipe.batch, self.global_step, self.trainer.global_rank, self.trainer.world_size
        )
        return endless_loader(ShapeSamples(self.recipe), steps, self.recipe.workers)

    def val_dataloader(self) -> DataLoader:
        """Return indices of validation images; the images are made once and kept."""
        if not self._validation:
            samples = ShapeSamples(self.recipe, VALIDATION)
            for index in range(self.recipe.validation_images):
                self._validation.append(samples.draw(samples.rng(index)))
        return DataLoader(range(len(self._validation)), batch_size=self.recipe.batch)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the detector's logits (B, 65, H/8, W/8) of images uint8 (B, 1, H, W)."""
        images = images.to(self.device, torch.float32) / 255
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.network.detect(self.network.encode(images))

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        loss = detector_loss(self.logits(batch['image']), batch['labels'])
        if not torch.isfinite(loss):
            raise TrainingDivergedError(f'the loss is {loss.item()} in step {self.global_step}')
        self.log('train/loss', loss, prog_bar=True)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse gradients that are not finite; those of float16 are the scaler's to skip."""
        if self.recipe.precision == '16-mixed':
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not torch.isfinite(norm):
            raise TrainingDivergedError(f'the gradients are not finite in step {self.global_step}')
        self.log('train/gradient_norm', norm)

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
        if not self.trainer.is_global_zero:
            return
        picture = in_columns(self._pictures)
        cv2.imwrite(str(self.folder / 'validation.png'), picture)
        if self.logger is not None:
            self.logger.experiment.add_image(
                'validation', picture[..., ::-1].copy(), self.global_step, dataformats='HWC'
            )

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint['recipe'] = asdict(self.recipe)

    def save_weights(self, path: Path) -> None:
        """Write the network, folded, as a weight file that a detector loads."""
        recipe = self.recipe
        metadata = WeightsMetadata(
            recipe=f'magicpoint, {recipe.network}, step {self.global_step} of {recipe.max_steps}',
            data='synthetic shapes',
            version=__version__,
            descriptors_trained=False,
        )
        save_weights(path, self.network, metadata)


def _visible(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the points that lie where keypoints may: off the margin at the border."""
    margin = DetectionSettings().border_margin
    pixels = np.floor(points + 0.5)
    return points[((pixels >= margin) & (pixels < np.array(shape[::-1]) - margin)).all(axis=1)]
