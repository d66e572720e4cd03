# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Small labelled photographs to train on, short training runs, and their states."""

from __future__ import annotations

from pathlib import Path
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.training.checkpoints import LAST, read_checkpoint
from superpoint_ros.training.label_files import LabelFolder, Labels
from support.spots import draw_spots

SIZE = (150, 110)

SHORT_RUN = {
    'network': 'compact',
    'max_steps': 4,
    'batch': 2,
    'width': 64,
    'height': 48,
    'points': 16,
    'warm_up': 0.3,
    'decay': 0.5,
    'weight_decay': 0.01,
    'gradient_clip': 1.0,
    'precision': 'bf16-mixed',
    'channels_last': True,
    'workers': 0,
    'validate_every': 3,
    'validation_images': 2,
    'log_every': 1,
    'checkpoint_minutes': 0.0,  # every step
}
"""Values of the recipe of joint training for a run of seconds."""

KILLED = """
import importlib, os, signal, sys
from superpoint_ros.cli.main import main

module, name, step = sys.argv[1:4]
stage = getattr(importlib.import_module(module), name)

def kill_in_step(self, optimizer):
    if self.global_step == int(step):
        os.kill(os.getpid(), signal.SIGKILL)

stage.on_before_optimizer_step = kill_in_step
main(sys.argv[4:])
"""


def draw_dots(rng: np.random.Generator, size=SIZE, count=25) -> tuple[np.ndarray, np.ndarray]:
    """Return a gray image with bright dots, and the dots' centres (N, 2), between pixels."""
    width, height = size
    cells = np.stack(np.meshgrid(np.arange(12, width - 12, 18), np.arange(12, height - 12, 18)))
    centres = rng.permutation(cells.reshape(2, -1).T)[:count] + rng.uniform(-3, 3, (count, 2))
    return draw_spots(centres, size, heights=200, ground=40), centres.astype(np.float32)


def write_photographs(folder: Path, count: int = 6, size=SIZE) -> tuple[Path, Path]:
    """Return the folders of images with dots, and of their labels, which are the dots."""
    images, labels = folder / 'photos', LabelFolder(folder / 'labels', {'weights': 'by hand'})
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        path = images / f'{number}.png'
        image, points = draw_dots(rng, size)
        cv2.imwrite(str(path), image)
        # Written from the file's pixels, as any reader will see them.
        scores = np.linspace(1, 0.1, len(points))
        labels.write(path, read_image(path), Labels(points, scores))
    return images, labels.folder


def superpoint_command(folders: tuple[Path, Path], out: Path, *more: str) -> list[str]:
    """Return the command line of a short run of joint training in the folder `out`."""
    images, labels = folders
    data = [f'--images={images}', f'--labels={labels}', f'--out={out}', '--accelerator=cpu']
    return ['train', 'superpoint', *data, *short_run_options(), *more]


def short_run_options(*names: str) -> list[str]:
    """Return the options of a short run, all of them unless some are named."""
    return [f'--{name}={SHORT_RUN[name]}' for name in names or SHORT_RUN]


def final_state(folder: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """Return the step of the last checkpoint, and the tensors of network and optimizer."""
    checkpoint = read_checkpoint(folder / LAST)
    tensors = dict(checkpoint['state_dict'])
    for index, values in checkpoint['optimizer_states'][0]['state'].items():
        tensors |= {f'optimizer {index} {name}': value for name, value in values.items()}
    return checkpoint['global_step'], tensors


def assert_same_state(folder: Path, other: Path) -> None:
    """Fail unless two runs ended in the same step with the same tensors, bit for bit."""
    (step, tensors), (other_step, others) = map(final_state, (folder, other))
    assert (step, tensors.keys()) == (other_step, others.keys())
    assert [name for name in tensors if not torch.equal(tensors[name], others[name])] == []


def kill_in_step(step: int, stage: type, command: list[str]) -> None:
    """Run `superpoint` as a process that is killed before a step of its stage takes effect."""
    program = [sys.executable, '-c', KILLED, stage.__module__, stage.__name__, str(step)]
    killed = subprocess.run([*program, *command], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
