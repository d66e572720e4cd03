# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One training run in one folder, from its first step or from its last checkpoint."""

from __future__ import annotations

import logging
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from superpoint_ros.files import write_atomically
from superpoint_ros.training.checkpoints import (
    AtomicCheckpointIO,
    check_checkpoint,
    Checkpoints,
    LAST,
    WEIGHTS,
)
from superpoint_ros.training.recipe import recipe_as_yaml

logger = logging.getLogger(__name__)


def train(
    module: LightningModule,
    recipe,
    folder: Path,
    resume: bool = False,
    accelerator: str = 'auto',
    devices: int | str = 'auto',
) -> Path:
    """
    Run a stage until its ``max_steps`` and return the weight file it leaves.

    ``folder`` gets ``recipe.yaml`` as used, ``checkpoints/last.ckpt``, ``weights.safetensors``,
    curves for TensorBoard and ``validation.png``. With ``resume`` the run goes on from the last
    checkpoint there, exactly as if it had not been interrupted.

    Raises FileNotFoundError where there is no checkpoint to resume, ValueError where it belongs to
    another recipe or where a new run would overwrite an old one.
    """
    checkpoint = folder / LAST
    if resume:
        step = check_checkpoint(checkpoint, recipe)
        logger.info('resuming %s after step %d', folder, step)
    elif checkpoint.exists():
        raise ValueError(
            f'{folder} holds a run already: resume it with --resume, or name another folder'
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / 'recipe.yaml', recipe_as_yaml(recipe).encode())
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=recipe.precision,
        max_steps=recipe.max_steps,
        max_epochs=-1,
        gradient_clip_val=recipe.gradient_clip or None,
        val_check_interval=recipe.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=recipe.log_every,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        logger=TensorBoardLogger(folder, name='tensorboard', version=''),
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            Checkpoints(folder, recipe.checkpoint_minutes, module.save_weights),
            LearningRateMonitor('step'),
            TQDMProgressBar(refresh_rate=recipe.log_every),
        ],
    )
    trainer.fit(module, ckpt_path=checkpoint if resume else None, weights_only=True)
    return folder / WEIGHTS
