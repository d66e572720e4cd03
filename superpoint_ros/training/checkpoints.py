# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Checkpoints of training runs, and the weight file that is written with each."""

from __future__ import annotations

from datetime import timedelta
import io
import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
import torch

from superpoint_ros.common.file_writing import write_atomically
from superpoint_ros.model.pytorch_files import read_torch_file
from superpoint_ros.training.recipe_files import check_same_recipe

LAST = Path('checkpoints', 'last.ckpt')
"""Path of the newest checkpoint in the folder of a run."""

WEIGHTS = Path('weights.safetensors')
"""Path of the newest weights in the folder of a run."""

logger = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """
    Checkpoint files that are written completely or not at all.

    Lightning writes to the system's temporary folder and moves the file; on another file system
    the move is a copy, which a full disk leaves incomplete. If a checkpoint cannot be written, the
    run continues with a warning and the previous one stays.

    Attributes:
        failure: why the last checkpoint could not be written, None if it was.

    """

    failure: OSError | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        self.failure = None
        try:
            write_atomically(Path(path), content.getvalue())
        except OSError as error:
            self.failure = error
            logger.warning(
                'the checkpoint of step %d cannot be written (%s); the previous one is kept',
                checkpoint['global_step'],
                error,
            )


class RunCheckpoint(ModelCheckpoint):
    """
    Lightning's checkpoints every few minutes, and one at the end, for the folder of a run.

    The weight file is written with each. If it cannot be written, the run continues with a
    warning and the previous one stays.

    Attributes:
        weights: the weight file.
        failure: why it could not be written with the last checkpoint, None if it was.

    """

    def __init__(self, folder: Path, minutes: float):
        super().__init__(
            dirpath=folder / LAST.parent,
            save_top_k=0,
            save_last=True,
            train_time_interval=timedelta(minutes=minutes),
            enable_version_counter=False,
        )
        self.weights = folder / WEIGHTS
        self.failure: OSError | None = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(Path(self.dirpath, LAST.name), weights_only=False)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.is_global_zero:
            self.failure = None
            try:
                pl_module.save_weights(self.weights)
            except OSError as error:
                self.failure = error
                logger.warning('the weights cannot be written: %s', error)


def read_checkpoint(path: Path) -> dict:
    """
    Return the content of a checkpoint, on the CPU; nothing in the file is run as code.

    Raises FileNotFoundError if there is none, ValueError if it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    return read_torch_file(path)


def check_checkpoint(path: Path, recipe: object) -> int:
    """
    Return the step of a checkpoint if a run with this recipe can resume it.

    Raises FileNotFoundError or ValueError that gives the reason why not.
    """
    checkpoint = read_checkpoint(path)
    if 'recipe' not in checkpoint:
        raise ValueError(f'{path} is not a checkpoint of this package: it records no recipe')
    check_same_recipe(checkpoint['recipe'], recipe, str(path))
    return checkpoint['global_step']
