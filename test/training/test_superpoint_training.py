# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Runs of joint training: complete, killed and resumed, and with several processes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from types import ModuleType

import cv2
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.cli.main import main
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detector import Detector
from superpoint_ros.model.config import COMPACT
from superpoint_ros.model.pruning import remove_dead_channels
from superpoint_ros.model.weights import load_weights, read_weights
from superpoint_ros.training import channel_selection, lightning_modules
from superpoint_ros.training.checkpoints import read_checkpoint, WEIGHTS
from superpoint_ros.training.data_loading import TRAINING
from superpoint_ros.training.lightning_modules import SuperPointModule
from superpoint_ros.training.photographs import Photographs
from superpoint_ros.training.recipe_files import read_recipe
from superpoint_ros.training.training_recipes import SuperPointRecipe
from support.training_runs import (
    assert_same_state,
    final_state,
    kill_in_step,
    short_run_options,
    superpoint_command,
)

TERMINATED = """
import os, signal, sys, time
from superpoint_ros.cli.main import main
from superpoint_ros.training.lightning_modules import SuperPointModule

train = SuperPointModule.training_step

def train_or_end(self, batch, index):
    if self.global_step == 1 and self.trainer.is_global_zero:
        time.sleep(1)  # the other process waits for this one after its backward pass
        os.kill(os.getpid(), signal.SIGTERM)
    return train(self, batch, index)

SuperPointModule.training_step = train_or_end
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope='module')
def whole(tmp_path_factory, folders, magicpoint):
    """Return the folder of a run through the command line that nothing disturbed."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    assert main(superpoint_command(folders, folder, f'--start={magicpoint}')) == 0
    return folder


def test_the_train_command_writes_weights_that_a_detector_loads(whole, folders):
    _, metadata = load_weights(whole / WEIGHTS)
    assert metadata.descriptors_trained
    assert metadata.recipe == 'superpoint, compact, step 4 of 4'
    assert metadata.data == 'photographs'
    image = cv2.imread(str(folders[0] / '0.png'), cv2.IMREAD_GRAYSCALE)
    features = Detector.from_weights(whole / WEIGHTS, device='cpu', threshold=0.0)(image)
    assert len(features.keypoints) > 0
    assert features.descriptors.shape[1] == 128
    used = read_recipe(SuperPointRecipe, whole / 'recipe.yaml')
    assert (used.batch, used.images) == (2, str(folders[0]))
    picture = cv2.imread(str(whole / 'validation.png'))
    assert picture.shape[2] == 3
    assert list((whole / 'tensorboard').glob('events*'))


def test_trained_weights_have_their_activation_ranges_on_the_training_photographs(whole, folders):
    pytest.importorskip('openvino', reason='OpenVINO is not installed')
    from superpoint_ros.engines import int8

    network, _ = read_weights(whole / WEIGHTS)
    photographs = Photographs(*folders, stream=TRAINING)
    expected = int8.calibrate(network, map(read_image, photographs.paths))
    assert network.ranges == pytest.approx(expected)


@pytest.mark.parametrize('openvino', ['missing', 'cannot be imported', 'fails'])
def test_without_openvino_a_run_ends_with_the_command_that_adds_activation_ranges(
    folders, tmp_path, monkeypatch, capsys, openvino
):
    def fail(*_):
        raise RuntimeError('no plug-in for the CPU')

    module = None if openvino == 'missing' else ModuleType('superpoint_ros.engines.int8')
    if openvino == 'fails':
        vars(module).update(CALIBRATION_IMAGES=1, store_ranges=fail)
    monkeypatch.setitem(sys.modules, 'superpoint_ros.engines.int8', module)
    assert main(superpoint_command(folders, tmp_path, '--max_steps=1')) == 0
    weights = tmp_path / WEIGHTS
    assert (
        f'superpoint quantise --weights {weights} --images {folders[0]}' in capsys.readouterr().err
    )
    assert read_weights(weights)[0].ranges is None


def test_joint_training_starts_from_magicpoint_and_changes_all_weights(
    whole, magicpoint, short_recipe
):
    start = read_checkpoint(magicpoint)['state_dict']
    module = SuperPointModule(short_recipe, whole, magicpoint)
    after = final_state(whole)[1]
    for name, value in module.state_dict().items():
        assert torch.equal(value, start[name]), name
        assert not torch.equal(after[name], value), name


def test_a_superpoint_run_that_was_killed_resumes_with_equal_weights(
    whole, folders, magicpoint, tmp_path
):
    out = tmp_path / 'run'
    start = tmp_path / 'start.ckpt'
    shutil.copy(magicpoint, start)
    command = superpoint_command(folders, out, f'--start={start}')
    kill_in_step(2, SuperPointModule, command)
    assert final_state(out)[0] == 2
    start.unlink()  # a run that goes on does not need it any more
    assert main([*command, '--resume']) == 0
    assert_same_state(out, whole)


def test_a_network_that_uses_fewer_channels_is_saved_as_wide_as_its_configuration(
    folders, magicpoint, tmp_path, monkeypatch
):
    def stop(module, _optimizer):
        if module.global_step == 1:
            raise RuntimeError('power cut')

    # The choice of channels is tested elsewhere; on all pairs and in four rounds it takes long.
    monkeypatch.setattr(lightning_modules, 'CALIBRATION_PAIRS', 1)
    monkeypatch.setattr(channel_selection, 'ROUNDS', 1)
    options = ['--stage_channels=[8, 16, 24, 32]', '--head_channels=24', '--max_steps=2']
    options.append(f'--start={magicpoint}')
    command = superpoint_command(folders, tmp_path / 'run', *options)
    with monkeypatch.context() as patch:
        patch.setattr(SuperPointModule, 'on_before_optimizer_step', stop)
        with pytest.raises(RuntimeError, match='power cut'):
            main(command)
    assert main([*command, '--resume']) == 0
    model, _ = load_weights(tmp_path / 'run' / WEIGHTS)
    assert model.config == COMPACT
    used = remove_dead_channels(model).config
    assert (used.stage_channels, used.head_channels) == ((8, 16, 24, 32), (24, 24))
    features = Detector.from_weights(tmp_path / 'run' / WEIGHTS, device='cpu', threshold=0.0)
    assert len(features(cv2.imread(str(folders[0] / '0.png'), cv2.IMREAD_GRAYSCALE)).keypoints)


def test_the_recipe_of_the_paper_trains(folders, tmp_path, capsys):
    options = short_run_options(
        'batch', 'width', 'height', 'workers', 'validation_images', 'log_every'
    )
    images, labels = folders
    data = [f'--images={images}', f'--labels={labels}', f'--out={tmp_path}', '--accelerator=cpu']
    command = ['train', 'superpoint', '--recipe=paper', *data, *options, '--max_steps=2']
    assert main([*command, '--precision=16-mixed', '--validate_every=1']) == 0
    said = capsys.readouterr().err
    assert 'precision 16-mixed needs a GPU: bf16-mixed is used' in said
    assert 'Trainer(' not in said  # the words of Lightning
    network, _ = load_weights(tmp_path / WEIGHTS)
    assert network.config.descriptor_size == 256
    step, tensors = final_state(tmp_path)
    assert step == 2
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_two_processes_share_the_pairs_of_a_step(folders, tmp_path):
    command = superpoint_command(folders, tmp_path, '--devices=2', '--batch=1')
    done = subprocess.run(
        [sys.executable, '-m', 'superpoint_ros.cli.main', *command],
        check=True,
        capture_output=True,
        text=True,
    )
    assert final_state(tmp_path)[0] == 4
    assert done.stdout.count(f'weights: {tmp_path / WEIGHTS}') == 1


def test_sigterm_ends_a_run_of_two_processes(folders, tmp_path):
    program = tmp_path / 'terminated.py'  # Lightning starts it again for the second process
    program.write_text(TERMINATED)
    command = superpoint_command(folders, tmp_path / 'out', '--devices=2', '--batch=1')
    run = subprocess.Popen([sys.executable, program, *command], start_new_session=True)
    try:
        assert run.wait(timeout=100) == 143
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
