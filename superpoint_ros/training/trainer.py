# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A training run in its folder, from the first step or from the last checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import logging
import os
from pathlib import Path
from shlex import quote
import signal
import threading

from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
import torch

from superpoint_ros.common.file_reading import check_utf8
from superpoint_ros.common.file_writing import locked, write_atomically
from superpoint_ros.common.interruptions import raised_interruptions
from superpoint_ros.common.wording import counted
from superpoint_ros.data.sequences.image_files import evenly_spaced
from superpoint_ros.model.weights import read_weights
from superpoint_ros.training.checkpoints import (
    AtomicCheckpointIO,
    check_checkpoint,
    LAST,
    RunCheckpoint,
    WEIGHTS,
)
from superpoint_ros.training.lightning_modules import SuperPointModule, TrainingModule
from superpoint_ros.training.pair_dataset import HomographyPairDataset
from superpoint_ros.training.recipe_files import recipe_as_yaml
from superpoint_ros.training.training_recipes import SuperPointRecipe, TrainingRecipe

LOCK = '.lock'
"""File in the folder of a run that is locked while a process trains there."""

_OTHER_MACHINES = ('MASTER_ADDR', 'MASTER_PORT', 'NODE_RANK')
"""Variables by which Lightning finds the other machines, unless a cluster's scheduler does it."""

logger = logging.getLogger(__name__)


class _ProgressBar(TQDMProgressBar):
    """Progress bar that an error closes, too: Lightning's would be drawn around later ones."""

    def on_exception(self, *_) -> None:
        """Close the bars of training and validation."""
        for bar in (self._val_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()


class _Curves(TensorBoardLogger):
    """Curves for TensorBoard, without which a run continues if they cannot be written."""

    _ended = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._attempt(super().log_metrics, metrics, step)

    def save(self) -> None:
        self._attempt(super().save)

    def finalize(self, status: str) -> None:
        self._attempt(super().finalize, status)

    def _attempt(self, write: Callable[..., None], *values: object) -> None:
        """Call a method that writes; after an OSError, once with a warning, none is called."""
        if self._ended:
            return
        try:
            write(*values)
        except (OSError, ValueError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__  # Lightning's
            if not isinstance(cause, OSError):
                raise
            self._ended = True
            logger.warning('the curves end here, as they cannot be written: %s', cause)


class _SigtermHandler(Callback):
    """
    Replaces Lightning's handler of SIGTERM by the previous one if several processes train.

    Lightning's waits for the other processes, which may wait for this one in another operation.
    """

    def __init__(self):
        self._previous = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, _module: LightningModule) -> None:
        """Set the previous handler; Lightning has set its own one after `on_fit_start`."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if trainer.world_size > 1 and in_main_thread:
            signal.signal(signal.SIGTERM, self._previous)


def train(
    module: TrainingModule, folder: Path, resume: bool = False, **hardware: int | str
) -> Path | None:
    """
    Run a stage until the `max_steps` of its recipe and return its weight file.

    Of several processes, the first one writes all files; the others return None.

    Joint training adds the activation ranges that int8 needs, if OpenVINO is installed and works.

    `folder` gets the recipe as used, `checkpoints/last.ckpt`, `weights.safetensors`, curves for
    TensorBoard and `validation.png`. With `resume` the run continues from the last checkpoint
    there, exactly as if it had not been interrupted. `hardware` holds arguments of Lightning's
    Trainer, such as `accelerator` and `devices`; it starts one process per device.

    Raises OSError if the result cannot be written at the end, as on a full disk; FileNotFoundError
    if there is no checkpoint to resume; ValueError if it belongs to another recipe, if a new run
    would overwrite an old one, if another process trains in the folder, if the devices do not
    exist, or if the path of the folder is not UTF-8.
    """
    check_utf8(folder, 'TensorBoard')
    recipe = module.recipe
    checkpoint = folder / LAST
    if resume:
        step = check_checkpoint(checkpoint, recipe)
        logger.info('resuming %s after step %d', folder, step)
    elif checkpoint.exists():
        raise ValueError(
            f'{folder} holds a run already: resume it with --resume, or name another folder'
        )
    trainer = _make_trainer(recipe, folder, **hardware)
    if not trainer.is_global_zero:  # a process that Lightning started for one more device
        _fit(trainer, module, checkpoint if resume else None)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, f'another process trains in {folder}'):
        write_atomically(folder / 'recipe.yaml', recipe_as_yaml(recipe).encode())
        _fit(trainer, module, checkpoint if resume else None)
        _check_written(trainer, checkpoint)
        _complete_weights(module, folder / WEIGHTS)
        if isinstance(module, SuperPointModule):
            _store_ranges(folder / WEIGHTS, module.recipe)
    return folder / WEIGHTS


def _fit(trainer: Trainer, module: TrainingModule, checkpoint: Path | None) -> None:
    """Train, from a checkpoint if one is given; Ctrl-C raises KeyboardInterrupt."""
    try:
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning's exit after Ctrl-C
            raise stop.__context__ from None
        raise


def _check_written(trainer: Trainer, checkpoint: Path) -> None:
    """Raise OSError that says how to go on if the last checkpoint or weights are not written."""
    failure = trainer.strategy.checkpoint_io.failure or trainer.checkpoint_callback.failure
    if failure:
        again = 'repeat the run'
        if checkpoint.exists():
            again = 'repeat the command with --resume, which continues from the last checkpoint'
        reason = failure.strerror or failure
        raise OSError(
            failure.errno, f'{reason}; when there is space again, {again}', failure.filename
        ) from failure


def _complete_weights(module: TrainingModule, weights: Path) -> None:
    """
    Write the weight file of a complete run, unless it has the weights of the last step.

    It has not if it was lost, or could not be written with the checkpoint that the run resumed.
    """
    with contextlib.suppress(ValueError, OSError):
        if read_weights(weights)[1].recipe == module.progress:
            return
    module.save_weights(weights)


def _make_trainer(recipe: TrainingRecipe, folder: Path, **hardware: int | str) -> Trainer:
    """Return the trainer of a run; raise ValueError if it cannot use the hardware."""
    try:
        _check_devices(str(hardware.get('devices', 'auto')))
        trainer = Trainer(
            **hardware,
            precision=recipe.precision,
            max_steps=recipe.max_steps,
            max_epochs=-1,
            gradient_clip_val=recipe.gradient_clip or None,
            val_check_interval=recipe.validate_every,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=recipe.log_every,
            use_distributed_sampler=False,
            enable_model_summary=False,
            logger=_Curves(folder, name='tensorboard', version=''),
            plugins=[AtomicCheckpointIO()],
            callbacks=[
                RunCheckpoint(folder, recipe.checkpoint_minutes),
                LearningRateMonitor('step'),
                _ProgressBar(refresh_rate=recipe.log_every),
                _SigtermHandler(),
            ],
        )
        _check_machines(trainer)
    # Lightning raises whatever the parsing of an option raises.
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, KeyError) as error:
        options = ', '.join(f'--{name} {value}' for name, value in hardware.items())
        cores, gpus = os.cpu_count() or 1, torch.cuda.device_count()
        machine = f'{counted(cores, "CPU core")} and {counted(gpus, "GPU")}'
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'cannot train with {options} on a machine with {machine}: {reason}'
        ) from error
    if trainer.precision != recipe.precision:
        logger.warning('precision %s needs a GPU: %s is used', recipe.precision, trainer.precision)
    return trainer


def _check_devices(devices: str) -> None:
    """Raise ValueError for a number of devices that no machine of this size has."""
    # All cores, not those of this process: a scheduler may give each process its own.
    most = max(os.cpu_count() or 1, torch.cuda.device_count())
    if devices.strip().isdecimal() and int(devices) > most:
        raise ValueError(f'--devices must be at most {most}')


def _check_machines(trainer: Trainer) -> None:
    """Raise ValueError if the trainer would wait for other machines that it cannot find."""
    environment = getattr(trainer.strategy, 'cluster_environment', None)
    missing = [name for name in _OTHER_MACHINES if name not in os.environ]
    if trainer.num_nodes > 1 and isinstance(environment, LightningEnvironment) and missing:
        raise ValueError(
            f'on each machine, set {", ".join(missing)}: address and a free port of the first '
            'machine, and the number of this one, from 0'
        )


def _store_ranges(weights: Path, recipe: SuperPointRecipe) -> None:
    """Add to a weight file its activation ranges on the photographs that it was trained on."""
    try:
        with raised_interruptions():
            from superpoint_ros.engines.int8 import CALIBRATION_IMAGES, store_ranges

            photographs = HomographyPairDataset(recipe).photographs
            chosen = evenly_spaced(range(len(photographs)), CALIBRATION_IMAGES)
            store_ranges(weights, weights, (photographs[index].image for index in chosen))
    # RuntimeError and other ImportErrors: OpenVINO is installed but does not work. ValueError:
    # the photographs were removed while the run continued with those in memory.
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        logger.warning(
            '%s has no activation ranges for int8 (%s); to add them, which needs OpenVINO, run '
            'superpoint quantise --weights %s --images %s',
            weights,
            error,
            quote(str(weights)),
            quote(str(recipe.images)),
        )
