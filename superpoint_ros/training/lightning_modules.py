# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The training stages as Lightning modules: MagicPoint and SuperPoint.

Source: DeTone, Malisiewicz, Rabinovich, "SuperPoint: Self-Supervised Interest Point Detection and
Description", CVPR workshops 2018, sections 3.4, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
import logging
import math
from pathlib import Path

from lightning.pytorch import LightningModule
import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from superpoint_ros import __version__
from superpoint_ros.data.synthetic_shapes.shapes import ShapeImage
from superpoint_ros.detection.cpu import keypoints_in_heatmap
from superpoint_ros.detection.heatmap import heatmap_from_logits
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.geometry.homography import is_inside
from superpoint_ros.model.config import CONFIGURATIONS, DUSTBIN
from superpoint_ros.model.pruning import add_dead_channels
from superpoint_ros.model.superpoint import fold_batch_norm, SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.training.data_loading import endless_loader, Steps, VALIDATION
from superpoint_ros.training.distillation import DistillationLoss
from superpoint_ros.training.initialization import initialize_from
from superpoint_ros.training.losses import (
    both_views,
    cell_cross_entropy,
    make_descriptor_loss,
    StepOutput,
)
from superpoint_ros.training.pair_dataset import HomographyPairDataset
from superpoint_ros.training.rendered_dataset import make_pair_dataset
from superpoint_ros.training.shape_dataset import ShapeDataset
from superpoint_ros.training.targets import make_detector_targets
from superpoint_ros.training.training_recipes import (
    MagicPointRecipe,
    SuperPointRecipe,
    TrainingRecipe,
)
from superpoint_ros.training.validation import PairValidation, PointValidation
from superpoint_ros.visualization import contact_sheet, write_picture

EXPECTED_SHARE = 0.05
"""Share of the cells in which a new network expects a keypoint."""

CALIBRATION_PAIRS = 4
"""Pairs from which batch norms take their statistics if the initial weights have none."""

logger = logging.getLogger(__name__)


class TrainingDivergedError(ArithmeticError):
    """Loss or gradients that are not finite; the message names the step."""


class TrainingModule(LightningModule):
    """
    What the stages share: network, optimizer, checks of loss and gradients, and the weight file.

    A stage makes its data in `dataset` and its loss in `training_step`, which returns
    `record(losses)`. Pictures of the validation go to `folder`.
    """

    name = ''
    data = ''
    descriptors_trained = False

    def __init__(self, recipe: TrainingRecipe, folder: Path):
        super().__init__()
        self.recipe = recipe
        self.folder = folder
        normalization = 'before_relu' if recipe.batch_norm else 'none'
        config = replace(recipe.configuration, normalization=normalization)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = SuperPoint(config)
        if recipe.channels_last:
            self.network.to(memory_format=torch.channels_last)
        set_keypoint_prior(self.network)

    def dataset(self) -> Dataset:
        """Return the training data."""
        raise TypeError(f'{type(self).__name__} has no training data')

    def configure_optimizers(self) -> dict:
        return configure_optimizer(self.network, self.recipe)

    def train_dataloader(self) -> DataLoader:
        """Return the batches from the current step on, also of a resumed run."""
        steps = Steps(
            self.recipe.batch, self.global_step, self.trainer.global_rank, self.trainer.world_size
        )
        return endless_loader(self.dataset(), steps, self.recipe.workers)

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return images uint8 (B, 1, H, W) as float32 in [0, 1] on the device of the network."""
        images = images.to(self.device, torch.float32) / 255
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def record(self, losses: Mapping[str, tuple[float, torch.Tensor]]) -> torch.Tensor:
        """
        Log losses, given with their weights by name, and return their weighted sum.

        Raises TrainingDivergedError if the sum is not finite.
        """
        total = sum(weight * loss for weight, loss in losses.values())
        if not torch.isfinite(total):
            raise TrainingDivergedError(f'the loss is {total.item()} in step {self.global_step}')
        for name, (_, loss) in losses.items():
            self.log(f'train/{name}', loss)
        self.log('train/loss', total, prog_bar=True)
        return total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Raise TrainingDivergedError if gradients are not finite; float16's scaler skips them."""
        if self.trainer.precision == '16-mixed':
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not torch.isfinite(norm):
            raise TrainingDivergedError(f'the gradients are not finite in step {self.global_step}')
        self.log('train/gradient_norm', norm)

    def report(self, validation: PointValidation | PairValidation, main_metric: str) -> None:
        """Log the results of a validation and write its pictures."""
        for name, value in validation.results.items():
            bar = name == main_metric
            self.log(f'validation/{name}', value, prog_bar=bar, sync_dist=True)
        if not self.trainer.is_global_zero:
            return
        picture = contact_sheet(validation.pictures, columns=2)
        try:
            write_picture(self.folder / 'validation.png', picture)
            if self.logger is not None:
                self.logger.experiment.add_image(
                    'validation', picture[..., ::-1].copy(), self.global_step, dataformats='HWC'
                )
        except OSError as error:
            logger.warning('the picture of the validation cannot be written: %s', error)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint['recipe'] = asdict(self.recipe)

    @property
    def progress(self) -> str:
        """Return stage, network and step, as the metadata of the weight file have them."""
        recipe = self.recipe
        return f'{self.name}, {recipe.network}, step {self.global_step} of {recipe.max_steps}'

    def save_weights(self, path: Path) -> None:
        """Write the weight file: batch norms folded, with the widths of the configuration."""
        metadata = WeightsMetadata(
            recipe=self.progress,
            data=self.data,
            version=__version__,
            descriptors_trained=self.descriptors_trained,
        )
        config = CONFIGURATIONS[self.recipe.network]
        save_weights(path, add_dead_channels(fold_batch_norm(self.network), config), metadata)


class MagicPointModule(TrainingModule):
    """The detector, trained on synthetic shapes; the descriptor head is not changed."""

    name = 'magicpoint'
    data = 'synthetic shapes'

    def __init__(self, recipe: MagicPointRecipe, folder: Path):
        super().__init__(recipe, folder)
        for name, module in self.network.named_children():
            if name.startswith(('convD', 'bnD', 'convF', 'bnF')):
                module.requires_grad_(False)
        self._samples: list[ShapeImage] = []

    def dataset(self) -> ShapeDataset:
        return ShapeDataset(self.recipe)

    def val_dataloader(self) -> DataLoader:
        """Return indices of validation images; the images are made once and kept."""
        if not self._samples:
            shapes = ShapeDataset(self.recipe, VALIDATION)
            indices = range(self.recipe.validation_images)
            self._samples = [shapes.draw(shapes.rng(index)) for index in indices]
        return DataLoader(range(len(self._samples)), batch_size=self.recipe.batch)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the detector output (B, 65, H/8, W/8) of images uint8 (B, 1, H, W)."""
        return self.network.detect(self.preprocess(images))

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        loss = cell_cross_entropy(self.logits(batch['image']), batch['labels'])
        return self.record({'detector': (1.0, loss)})

    def on_validation_epoch_start(self) -> None:
        self._validation = PointValidation()

    def validation_step(self, indices: torch.Tensor, _index: int) -> None:
        samples = [self._samples[index] for index in indices.tolist()]
        images = torch.from_numpy(np.stack([image for image, _ in samples]))[:, None]
        heatmaps = heatmap_from_logits(self.logits(images)).cpu().numpy()
        for (image, points), heatmap in zip(samples, heatmaps, strict=True):
            keypoints, _ = keypoints_in_heatmap(heatmap, DetectionSettings())
            points = _off_border(points, image.shape)
            self._validation.add(_off_border(keypoints, image.shape), points)
            self._validation.draw(image, heatmap, points, keypoints)

    def on_validation_epoch_end(self) -> None:
        self.report(self._validation, main_metric='precision')


class SuperPointModule(TrainingModule):
    """
    Detector and descriptor, trained together on pairs of views of photographs.

    `initial` is a checkpoint or weight file from which the network is initialized.
    """

    name = 'superpoint'
    data = 'photographs'
    descriptors_trained = True

    def __init__(self, recipe: SuperPointRecipe, folder: Path, initial: Path | None = None):
        super().__init__(recipe, folder)
        self.losses: dict[str, tuple[float, Callable[[StepOutput], torch.Tensor]]] = {
            'detector': (1.0, make_detector_targets(recipe).loss)
        }
        if recipe.descriptor_weight:
            self.losses['descriptor'] = recipe.descriptor_weight, make_descriptor_loss(recipe)
        if recipe.distill_from:
            loss = DistillationLoss(
                recipe.distill_from,
                recipe.configuration.descriptor_size,
                recipe.distillation_scales,
                recipe.detector_distillation,
            )
            self.losses['distillation'] = recipe.distillation_weight, loss
        self._pairs: HomographyPairDataset | None = None
        if initial is not None:
            self._initialize(initial)

    def _initialize(self, path: Path) -> None:
        """Take the weights of a file; raise ValueError if they do not fit."""
        pairs = self.dataset()
        images = torch.cat([pairs[index]['images'] for index in range(CALIBRATION_PAIRS)])
        narrow = bool(self.recipe.stage_channels or self.recipe.head_channels)
        initialize_from(self.network, path, self.preprocess(images[:, None]), narrow)

    def dataset(self) -> Dataset:
        return make_pair_dataset(self.recipe)

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        images = self.preprocess(both_views(batch['images'])[:, None])
        step = StepOutput(self.network, images, self.network(images), batch)
        return self.record(
            {name: (weight, loss(step)) for name, (weight, loss) in self.losses.items()}
        )

    def val_dataloader(self) -> DataLoader:
        """Return indices of validation pairs, of photographs that are not trained on."""
        self._pairs = self._pairs or HomographyPairDataset(self.recipe, VALIDATION)
        return DataLoader(range(self.recipe.validation_images), batch_size=self.recipe.batch)

    def on_validation_epoch_start(self) -> None:
        self._validation = PairValidation(self.network, self.device)

    def validation_step(self, indices: torch.Tensor, _index: int) -> None:
        for index in indices.tolist():
            pair, homography = self._pairs.draw(self._pairs.rng(index))
            self._validation.add(pair.images, homography)

    def on_validation_epoch_end(self) -> None:
        self.report(self._validation, main_metric='homography_auc')


def set_keypoint_prior(network: SuperPoint) -> None:
    """
    Initialize the dustbin bias: the prior probability of a keypoint is 5 % per cell, not 64/65.

    An optimizer that moves a weight by its learning rate per step would need thousands of steps to
    learn that keypoints are rare. Source: Lin et al., "Focal Loss for Dense Object Detection",
    ICCV 2017, section 3.3.
    """
    last = network.convPb if network.config.normalization == 'none' else network.bnPb
    with torch.no_grad():
        last.bias[DUSTBIN] = math.log(DUSTBIN * (1 - EXPECTED_SHARE) / EXPECTED_SHARE)


def configure_optimizer(network: nn.Module, recipe: TrainingRecipe) -> dict:
    """
    Return AdamW and the learning-rate schedule, in the form that Lightning takes.

    Weight decay applies to the weights of convolutions, not to biases and batch norms. The
    multiplier of the learning rate rises linearly over the `warm_up` share of the steps, stays 1,
    and falls linearly to 0 over the `decay` share; both may overlap, which torch's SequentialLR
    cannot express.
    """
    used = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {'params': [p for p in used if p.ndim > 1], 'weight_decay': recipe.weight_decay},
            {'params': [p for p in used if p.ndim <= 1], 'weight_decay': 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
    )

    def multiplier(step: int) -> float:
        rise = (step + 1) / max(recipe.warm_up * recipe.max_steps, 1)
        fall = (recipe.max_steps - step) / max(recipe.decay * recipe.max_steps, 1)
        return max(0.0, min(1.0, rise, fall))

    return {
        'optimizer': optimizer,
        'lr_scheduler': {'scheduler': LambdaLR(optimizer, multiplier), 'interval': 'step'},
    }


def _off_border(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the points outside of the border in which detection removes keypoints."""
    margin = DetectionSettings().border_margin
    return points[is_inside(np.floor(points + 0.5), shape[::-1], margin)]
