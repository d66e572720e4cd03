# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Checkpoints from which a run goes on exactly, and the weights of each as a file to use."""

from __future__ import annotations

from collections.abc import Callable
import io
import logging
from pathlib import Path
import pickle
import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
import torch

from superpoint_ros.files import write_atomically
from superpoint_ros.training.recipe import check_same_recipe

logger = logging.getLogger(__name__)

LAST = Path('checkpoints', 'last.ckpt')
"""Place of the newest checkpoint in a run's folder."""

WEIGHTS = Path('weights.safetensors')
"""Place of the newest weights in a run's folder."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints whole or not at all, and read nothing that could run code."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())

    def load_checkpoint(self, path, map_location=None, weights_only=True) -> dict:
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict:
    """
    Return what a checkpoint holds, on the CPU.

    Raises FileNotFoundError where there is none, ValueError where it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f'{path} is not a checkpoint that can be read ({reason})') from error


def check_checkpoint(path: Path, recipe: object) -> int:
    """
    Return the step that a checkpoint was written after, if a run of this recipe may resume it.

    Raises FileNotFoundError or ValueError that says why not.
    """
    checkpoint = read_checkpoint(path)
    if 'recipe' not in checkpoint:
        raise ValueError(f'{path} is not a checkpoint of this package: it records no recipe')
    check_same_recipe(checkpoint['recipe'], recipe, str(path))
    return checkpoint['global_step']


class Checkpoints(Callback):
    """
    Write a checkpoint and the weights every few minutes and at the end.

    Where they cannot be written, such as on a full disk, the run goes on with a warning, and the
    last good ones stay. ``save_weights`` is called with a path.
    """

    def __init__(self, folder: Path, minutes: float, save_weights: Callable[[Path], None]):
        self.folder = folder
        self.seconds = 60 * minutes
        self.save_weights = save_weights
        self._last_time = time.monotonic()
        self._last_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_time = time.monotonic()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        due = time.monotonic() - self._last_time >= self.seconds
        # Processes that train together have clocks of their own, but must write at one step.
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self.write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step != self._last_step:
            self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Write both files now."""
        try:
            trainer.save_checkpoint(self.folder / LAST)
            if trainer.is_global_zero:
                self.save_weights(self.folder / WEIGHTS)
            self._last_step = trainer.global_step
        except OSError as error:
            logger.warning(
                'step %d could not be saved (%s); the last good checkpoint stays',
                trainer.global_step,
                error,
            )
        self._last_time = time.monotonic()
