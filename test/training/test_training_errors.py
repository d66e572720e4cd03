# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Joint training that cannot start or continue names the cause in one line."""

import errno
import os
import signal

import cv2
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.cli.main import main
from superpoint_ros.common import file_writing
from superpoint_ros.training.checkpoints import LAST, WEIGHTS
from superpoint_ros.training.lightning_modules import MagicPointModule, SuperPointModule
from superpoint_ros.training.trainer import train
from superpoint_ros.training.training_recipes import MagicPointRecipe
from support.training_runs import (
    SHORT_RUN,
    short_run_options,
    superpoint_command,
    write_photographs,
)


def test_initialization_from_a_file_that_is_not_a_checkpoint_is_refused(
    folders, magicpoint, tmp_path, capsys
):
    assert main(superpoint_command(folders, tmp_path, f'--start={tmp_path / "none.ckpt"}')) == 2
    assert f'there is no checkpoint {tmp_path / "none.ckpt"}' in capsys.readouterr().err
    damaged = tmp_path / 'damaged.ckpt'
    damaged.write_bytes(magicpoint.read_bytes()[:1000])
    assert main(superpoint_command(folders, tmp_path, f'--start={damaged}')) == 2
    assert f'{damaged} is damaged, or not a PyTorch file' in capsys.readouterr().err
    torch.save({'weights': torch.zeros(2)}, damaged)
    assert main(superpoint_command(folders, tmp_path, f'--start={damaged}')) == 2
    assert f'{damaged} is not a checkpoint of a training run' in capsys.readouterr().err


def test_a_checkpoint_of_another_program_is_not_resumed(tmp_path):
    (tmp_path / LAST).parent.mkdir()
    torch.save({'global_step': 1}, tmp_path / LAST)
    module = MagicPointModule(MagicPointRecipe(), tmp_path)
    with pytest.raises(ValueError, match='is not a checkpoint of this package: it records no'):
        train(module, tmp_path, resume=True)


def test_a_run_starts_on_a_file_system_without_locks_and_with_a_picture_that_cannot_be_written(
    tmp_path, monkeypatch, capsys
):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(file_writing.fcntl, 'lockf', no_locks)
    (tmp_path / 'validation.png').mkdir()
    names = [name for name in SHORT_RUN if name != 'points']
    assert main(['train', 'magicpoint', f'--out={tmp_path}', *short_run_options(*names)]) == 0
    assert (tmp_path / WEIGHTS).is_file()
    assert 'the picture of the validation cannot be written' in capsys.readouterr().err


def test_folders_that_are_missing_are_named(folders, tmp_path, capsys):
    images, labels = folders
    out = tmp_path / 'out'

    def answer(*data):
        assert main(['train', 'superpoint', f'--out={out}', *short_run_options(), *data]) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    assert 'name the folder of the images: --images DIR' in answer()
    assert 'name the folder of the labels: --labels DIR' in answer(f'--images={images}')
    nowhere = tmp_path / 'nowhere'
    assert f'{nowhere} is not a folder' in answer(f'--images={nowhere}', f'--labels={labels}')
    assert (
        f"{nowhere} is not a label folder, it has no labels.json: make one with 'superpoint adapt'"
        in (answer(f'--images={images}', f'--labels={nowhere}'))
    )
    assert f'{labels} has labels for none of the images in {tmp_path}' in answer(
        f'--images={tmp_path}', f'--labels={labels}'
    )


def test_a_folder_of_a_run_whose_name_is_not_utf_8_is_refused(tmp_path):
    module = MagicPointModule(MagicPointRecipe(), tmp_path)
    out = tmp_path / os.fsdecode(b'caf\xe9')
    with pytest.raises(ValueError, match='is not a path in UTF-8, as TensorBoard needs'):
        train(module, out)
    assert not out.exists()


def test_labels_of_other_images_are_refused_in_one_line(tmp_path, capsys):
    images, labels = write_photographs(tmp_path)
    for path in images.iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[::-1])
    assert main(superpoint_command((images, labels), tmp_path / 'out')) == 2
    assert 'was made for another image than' in capsys.readouterr().err
    assert not (tmp_path / 'out' / LAST).exists()


@pytest.mark.parametrize(
    ('number', 'status', 'said'),
    [(signal.SIGINT, 130, 'interrupted'), (signal.SIGTERM, 143, 'terminated')],
)
def test_a_run_that_a_signal_ends_has_the_exit_status_of_other_commands(
    tmp_path, capsys, monkeypatch, number, status, said
):
    def receive(*_):
        os.kill(os.getpid(), number)

    monkeypatch.setattr(SuperPointModule, 'training_step', receive)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main(superpoint_command(write_photographs(tmp_path), tmp_path / 'out')) == status
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith(f'superpoint: {said}\n')


@pytest.mark.parametrize(
    ('kind', 'text'),
    [
        (ValueError, 'a.png.npz was made for another image'),
        (FileNotFoundError, "[Errno 2] No such file or directory: 'a.png.npz'"),
    ],
)
def test_an_error_of_a_worker_process_is_reported_in_one_line(
    tmp_path, capsys, monkeypatch, kind, text
):
    images, labels = write_photographs(tmp_path)
    name = kind.__name__
    caught = f'Caught {name} in DataLoader worker process 0.\nOriginal Traceback (most ...):\n'

    def fail(*_):
        raise kind(f'{caught}{name}: {text}\n')

    monkeypatch.setattr(SuperPointModule, 'training_step', fail)
    assert main(superpoint_command((images, labels), tmp_path / 'out')) == 2
    error = capsys.readouterr().err
    assert f'superpoint: {text}' in error
    assert 'Traceback' not in error


def test_a_run_whose_photographs_are_removed_ends_with_its_weights(tmp_path, capsys, monkeypatch):
    images, labels = write_photographs(tmp_path)

    def remove(self):
        for path in images.iterdir():
            path.unlink()

    monkeypatch.setattr(SuperPointModule, 'on_train_end', remove)
    assert main(superpoint_command((images, labels), tmp_path / 'out')) == 0
    assert (tmp_path / 'out' / WEIGHTS).is_file()
    assert 'has no activation ranges for int8' in capsys.readouterr().err
