# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What both stages of training share: network, optimizer, checks, and what is saved."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import cv2
from lightning.pytorch import LightningModule
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from superpoint_ros import __version__
from superpoint_ros.model.pruning import add_dead_channels
from superpoint_ros.model.superpoint import CONFIGURATIONS, fold_batch_norm, SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.training.endless_dataset import endless_loader, Steps
from superpoint_ros.training.schedule import optimizer_and_schedule
from superpoint_ros.training.validation import in_columns

PICTURES = 8
"""Validation images that are drawn."""


class TrainingDivergedError(ArithmeticError):
    """Say that the loss or the gradients are no longer numbers, and since which step."""


class Stage(LightningModule):
    """
    A stage of training under a recipe; pictures of what it sees go to `folder`.

    A stage makes its data in `samples` and its loss in `training_step`, through `checked`.
    """

    name = ''
    data = ''
    descriptors_trained = False

    def __init__(self, recipe, folder: Path):
        super().__init__()
        self.recipe = recipe
        self.folder = folder
        config = replace(recipe.configuration, normalization='before_relu')
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = SuperPoint(config)
        if recipe.channels_last:
            self.network.to(memory_format=torch.channels_last)

    def samples(self) -> Dataset:
        """Return the training data."""
        raise TypeError(f'{type(self).__name__} has no data of its own')

    def configure_optimizers(self) -> dict:
        return optimizer_and_schedule(self.network, self.recipe)

    def train_dataloader(self) -> DataLoader:
        """Return the batches from the current step on, wherever the run was interrupted."""
        steps = Steps(
            self.recipe.batch, self.global_step, self.trainer.global_rank, self.trainer.world_size
        )
        return endless_loader(self.samples(), steps, self.recipe.workers)

    def batch_of(self, images: torch.Tensor) -> torch.Tensor:
        """Return images uint8 (B, 1, H, W) as the network takes them."""
        images = images.to(self.device, torch.float32) / 255
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def checked(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss, recorded; raise TrainingDivergedError where it is no number."""
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

    def show(self, pictures: list[np.ndarray]) -> None:
        """Write pictures of one size, side by side, into the folder and to TensorBoard."""
        if not self.trainer.is_global_zero:
            return
        picture = in_columns(pictures)
        cv2.imwrite(str(self.folder / 'validation.png'), picture)
        if self.logger is not None:
            self.logger.experiment.add_image(
                'validation', picture[..., ::-1].copy(), self.global_step, dataformats='HWC'
            )

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint['recipe'] = asdict(self.recipe)

    def save_weights(self, path: Path) -> None:
        """Write the network, folded and of its configuration's widths, for detectors to load."""
        recipe = self.recipe
        metadata = WeightsMetadata(
            recipe=f'{self.name}, {recipe.network}, step {self.global_step} of {recipe.max_steps}',
            data=self.data,
            version=__version__,
            descriptors_trained=self.descriptors_trained,
        )
        network = fold_batch_norm(self.network)
        save_weights(path, add_dead_channels(network, CONFIGURATIONS[recipe.network]), metadata)
