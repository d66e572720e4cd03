# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Runs of MagicPoint: complete, killed and resumed, diverged, and on a full disk."""

import errno
import os
import re
import subprocess
import sys

import pytest
import torch
from tqdm import tqdm

pytest.importorskip('lightning', reason="needs the extra 'train'")

from tensorboard.summary.writer.record_writer import RecordWriter
import yaml

from superpoint_ros.cli.main import main
from superpoint_ros.common.wording import counted
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import RECIPES
from superpoint_ros.training import checkpoints, lightning_modules
from superpoint_ros.training.checkpoints import LAST, WEIGHTS
from superpoint_ros.training.lightning_modules import MagicPointModule, TrainingDivergedError
from superpoint_ros.training.recipe_files import read_recipe
from superpoint_ros.training.trainer import train
from superpoint_ros.training.training_recipes import MagicPointRecipe
from support.training_runs import assert_same_state, final_state, kill_in_step, SHORT_RUN

RUN = {name: value for name, value in SHORT_RUN.items() if name != 'points'}
RUN |= {'max_steps': 6, 'validate_every': 4}
RECIPE = MagicPointRecipe(**RUN)
OPTIONS = [f'--{name}={value}' for name, value in RUN.items()]


def run(folder, recipe=RECIPE, **options):
    return train(MagicPointModule(recipe, folder), folder, accelerator='cpu', **options)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """Return the folder of a run through the command line that nothing disturbed."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    status = main(
        ['train', 'magicpoint', '--recipe', 'cpu', '--out', str(folder), '--accelerator=cpu']
        + OPTIONS
    )
    assert status == 0
    return folder


def test_the_train_command_writes_weights_recipe_checkpoint_curves_and_picture(uninterrupted):
    network, metadata = load_weights(uninterrupted / WEIGHTS)
    assert network.config.stage_channels == (16, 32, 64, 128)
    assert not metadata.descriptors_trained
    assert metadata.recipe == 'magicpoint, compact, step 6 of 6'
    used = read_recipe(MagicPointRecipe, uninterrupted / 'recipe.yaml')
    assert {name: getattr(used, name) for name in ('batch', 'width', 'max_steps')} == {
        'batch': 2,
        'width': 64,
        'max_steps': 6,
    }
    assert final_state(uninterrupted)[0] == 6
    assert (uninterrupted / 'validation.png').stat().st_size > 1000
    assert list((uninterrupted / 'tensorboard').glob('events*'))


def test_magicpoint_training_changes_the_detector_only(uninterrupted):
    before = MagicPointModule(RECIPE, uninterrupted).network.state_dict()
    after = final_state(uninterrupted)[1]
    for name, value in before.items():
        moved = not torch.equal(value, after[f'network.{name}'])
        assert moved == (not name.startswith(('convD', 'bnD', 'convF', 'bnF'))), name


def test_a_magicpoint_run_that_was_killed_resumes_with_equal_weights(uninterrupted, tmp_path):
    arguments = ['train', 'magicpoint', f'--out={tmp_path}', '--accelerator=cpu', *OPTIONS]
    kill_in_step(3, MagicPointModule, arguments)
    assert final_state(tmp_path)[0] == 3
    assert main([*arguments, '--resume']) == 0
    assert_same_state(tmp_path, uninterrupted)


def test_a_run_that_stopped_in_a_validation_resumes_exactly(uninterrupted, tmp_path, monkeypatch):
    recipe = read_recipe(MagicPointRecipe, uninterrupted / 'recipe.yaml')

    def stop(*_):
        raise RuntimeError('power cut')

    with monkeypatch.context() as patch:
        patch.setattr(MagicPointModule, 'on_validation_epoch_end', stop)
        with pytest.raises(RuntimeError, match='power cut'):
            run(tmp_path, recipe)
    assert final_state(tmp_path)[0] == 4
    run(tmp_path, recipe, resume=True)
    assert_same_state(tmp_path, uninterrupted)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    tmp_path, monkeypatch, capsys
):
    calls = []

    def loss(logits, labels):
        calls.append(1)
        return logits.float().mean() * (float('nan') if len(calls) == 4 else 1)

    monkeypatch.setattr(lightning_modules, 'cell_cross_entropy', loss)
    assert main(['train', 'magicpoint', f'--out={tmp_path}', '--accelerator=cpu', *OPTIONS]) == 1
    assert 'the loss is nan in step 3; the last good state' in capsys.readouterr().err
    step, tensors = final_state(tmp_path)
    assert step == 3
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_gradients_that_are_not_finite_stop_the_run_before_the_update(tmp_path, monkeypatch):
    # The derivative of the square root at 0 is infinite, and infinity times 0 is not a number.
    monkeypatch.setattr(
        lightning_modules,
        'cell_cross_entropy',
        lambda logits, labels: (logits.float() * 0).sqrt().sum(),
    )
    module = MagicPointModule(RECIPE, tmp_path)
    before = {name: value.clone() for name, value in module.network.named_parameters()}
    with pytest.raises(TrainingDivergedError, match='gradients are not finite in step 0'):
        train(module, tmp_path, accelerator='cpu')
    for name, value in module.network.named_parameters():
        assert torch.equal(value, before[name])
    with tqdm(range(1)) as bar:  # the first line is free: the bar of the run is closed
        assert bar.pos == 0


def test_a_run_on_a_full_disk_continues_and_keeps_the_last_checkpoint(
    uninterrupted, tmp_path, monkeypatch, caplog
):
    recipe = read_recipe(MagicPointRecipe, uninterrupted / 'recipe.yaml')
    write, writes = checkpoints.write_atomically, []

    def fail_from_the_third(path, content):
        writes.append(path)
        if len(writes) >= 3:
            raise OSError(errno.ENOSPC, 'No space left on device')
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, 'write_atomically', fail_from_the_third)
        with pytest.raises(OSError, match='No space left on device; when .* with --resume'):
            run(tmp_path, recipe)
    assert len(writes) >= 5
    assert final_state(tmp_path)[0] == 2
    assert 'No space left on device' in caplog.text
    assert 'the previous one is kept' in caplog.text
    run(tmp_path, recipe, resume=True)
    assert_same_state(tmp_path, uninterrupted)


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_run_whose_curves_cannot_be_written_continues(
    uninterrupted, tmp_path, monkeypatch, caplog
):
    write, writes = RecordWriter.write, []

    def fail_from_the_third(writer, data):
        writes.append(data)
        if len(writes) >= 3:
            raise OSError(errno.ENOSPC, 'No space left on device')
        write(writer, data)

    monkeypatch.setattr(RecordWriter, 'write', fail_from_the_third)
    run(tmp_path, read_recipe(MagicPointRecipe, uninterrupted / 'recipe.yaml'))
    assert_same_state(tmp_path, uninterrupted)
    assert caplog.text.count('the curves end here, as they cannot be written') == 1


@pytest.mark.parametrize('lost', ['weights', 'all'])
def test_a_result_that_cannot_be_written_is_an_error(
    uninterrupted, tmp_path, monkeypatch, capsys, lost
):
    def fail(path, *_):
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))

    arguments = ['train', 'magicpoint', f'--out={tmp_path}', '--accelerator=cpu', *OPTIONS]
    with monkeypatch.context() as patch:
        patch.setattr(MagicPointModule, 'save_weights', lambda module, path: fail(path))
        if lost == 'all':
            patch.setattr(checkpoints, 'write_atomically', fail)
        assert main(arguments) == 1
    again = 'repeat the run' if lost == 'all' else 'repeat the command with --resume'
    printed = capsys.readouterr().err
    assert f'No space left on device; when there is space again, {again}' in printed
    assert main([*arguments, *(['--resume'] if lost == 'weights' else [])]) == 0
    (network, metadata), (other, others) = (
        load_weights(folder / WEIGHTS) for folder in (tmp_path, uninterrupted)
    )
    assert metadata == others
    for name, value in other.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_a_checkpoint_of_another_recipe_is_refused(uninterrupted, capsys):
    arguments = [f'--out={uninterrupted}', '--accelerator=cpu', *OPTIONS, '--batch=3', '--resume']
    assert main(['train', 'magicpoint', *arguments]) == 2
    assert 'batch is 2 there and 3 here' in capsys.readouterr().err


def test_a_new_run_does_not_overwrite_an_old_one(uninterrupted, capsys):
    before = (uninterrupted / LAST).read_bytes()
    assert main(['train', 'magicpoint', f'--out={uninterrupted}', *OPTIONS]) == 2
    assert 'holds a run already: resume it with --resume' in capsys.readouterr().err
    assert (uninterrupted / LAST).read_bytes() == before


def test_two_processes_do_not_train_in_one_folder(tmp_path, monkeypatch):
    arguments = ['train', 'magicpoint', f'--out={tmp_path}', '--accelerator=cpu', *OPTIONS]
    program = [sys.executable, '-m', 'superpoint_ros.cli.main', *arguments]
    others = []

    def start_another(module, optimizer):
        if module.global_step in (0, 2):  # before the first checkpoint, and after it
            more = ['--resume'] if module.global_step else []
            other = subprocess.run([*program, *more], capture_output=True, text=True, check=False)
            others.append((other.returncode, other.stderr))

    monkeypatch.setattr(MagicPointModule, 'on_before_optimizer_step', start_another)
    assert main(arguments) == 0
    for status, printed in others:
        assert (status, f'another process trains in {tmp_path}: wait' in printed) == (2, True)
    assert len(others) == 2
    assert len(list((tmp_path / 'tensorboard').glob('events*'))) == 1
    assert final_state(tmp_path)[0] == 6


def test_wrong_options_of_train_are_refused_in_one_line(tmp_path, capsys):
    assert main(['train', 'magicpoint']) == 2
    assert '--out DIR' in capsys.readouterr().err
    assert main(['train', 'magicpoint', f'--out={tmp_path}', '--btach=3']) == 2
    assert 'btach' in capsys.readouterr().err
    assert main(['train', 'magicpoint', f'--out={tmp_path}', '--resume']) == 2
    assert 'there is no checkpoint' in capsys.readouterr().err
    (tmp_path / LAST).parent.mkdir()
    (tmp_path / LAST).write_bytes(b'no checkpoint')
    assert main(['train', 'magicpoint', f'--out={tmp_path}', '--resume']) == 2
    assert 'is damaged, or not a PyTorch file' in capsys.readouterr().err


def test_the_help_of_train_lists_the_values_of_the_recipe(capsys):
    assert main(['train', 'magicpoint', '--help']) == 0
    text = ' '.join(capsys.readouterr().out.split())
    for name in (
        '--max_steps',
        '--homography.max_rotation',
        '--photometric.max_noise',
        '--resume',
    ):
        assert name in text
    assert 'sample i is made from (seed, i).' in text
    assert 'Share of the images that are warped by a random homography. [0 to 1]' in text


@pytest.mark.parametrize(
    ('recipe', 'network', 'scale'),
    [('cpu', 'compact', 2.0), ('paper', 'paper', 2.0), ('shipped_nano', 'nano', 2.5)],
)
def test_the_help_of_train_gives_the_values_of_the_chosen_recipe(capsys, recipe, network, scale):
    chosen = [] if recipe == 'cpu' else ['--recipe', recipe]
    assert main(['train', 'superpoint', *chosen, '--help']) == 0
    text = ' '.join(capsys.readouterr().out.split())
    assert f'Values of the recipe {recipe}, each of which is an option:' in text
    form = re.compile(r'(\S+) .*\(type: \w+, default: ([^)]*)\)')
    values = dict(found.groups() for found in map(form.match, text.split(' --')) if found)
    assert values['network'] == network
    assert float(values['homography.max_scale']) == scale
    written = yaml.safe_load((RECIPES / f'superpoint_{recipe}.yaml').read_text())
    assert int(values['max_steps']) == written['max_steps']


def test_the_help_of_train_names_a_recipe_that_does_not_exist(capsys):
    assert main(['train', 'superpoint', '--recipe', 'gnu', '--help']) == 2
    assert 'there is no recipe gnu' in capsys.readouterr().err


@pytest.mark.parametrize(
    'hardware',
    [
        ['--accelerator=gpu'],
        ['--accelerator=abacus'],
        ['--accelerator=cpu', '--devices=0'],
        ['--accelerator=cpu', '--devices=x'],
        ['--accelerator=cpu', '--devices=99999'],
        ['--accelerator=cpu', f'--devices={10**10}'],
        ['--devices=99999'],
        ['--accelerator=cpu', '--strategy=x'],
        ['--accelerator=cpu', '--num_nodes=0'],
        ['--accelerator=cpu', '--num_nodes=2'],
    ],
)
def test_hardware_that_does_not_exist_is_named_in_one_line(
    tmp_path, capsys, monkeypatch, hardware
):
    for variable in ('MASTER_ADDR', 'MASTER_PORT', 'NODE_RANK'):
        monkeypatch.delenv(variable, raising=False)
    if hardware == ['--accelerator=gpu'] and torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
    assert main(['train', 'magicpoint', f'--out={tmp_path / "run"}', *OPTIONS, *hardware]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    name, value = hardware[-1].split('=')
    assert error.startswith('superpoint: cannot train with')
    assert f'{name} {value}' in error
    cores, gpus = counted(os.cpu_count(), 'CPU core'), counted(torch.cuda.device_count(), 'GPU')
    assert f'on a machine with {cores} and {gpus}: ' in error
    assert not (tmp_path / 'run').exists()


def test_machines_that_cannot_find_each_other_are_told_what_to_set(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('MASTER_ADDR', '10.0.0.1')
    for variable in ('MASTER_PORT', 'NODE_RANK'):
        monkeypatch.delenv(variable, raising=False)
    arguments = [f'--out={tmp_path / "run"}', *OPTIONS, '--accelerator=cpu', '--num_nodes=2']
    assert main(['train', 'magicpoint', *arguments]) == 2
    assert 'on each machine, set MASTER_PORT, NODE_RANK: address' in capsys.readouterr().err


@pytest.mark.parametrize('threads', ['0', '-1', 'x'])
def test_a_wrong_number_of_threads_is_refused_in_one_line(tmp_path, capsys, threads):
    with pytest.raises(SystemExit) as stop:
        main(['train', 'magicpoint', f'--out={tmp_path}', f'--threads={threads}'])
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"argument --threads: '{threads}' is not a number from 1" in error
