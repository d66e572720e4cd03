# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Runs of joint training: complete, killed and resumed, with each loss, and with bad input."""

from dataclasses import replace
import shutil
import subprocess
import sys

import cv2
import pytest
import torch

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.cli.main import main
from superpoint_ros.detection.descriptors import average_scales, sample_descriptors
from superpoint_ros.detector import Detector
from superpoint_ros.model.config import COMPACT, SuperPointOutput
from superpoint_ros.model.pruning import remove_dead_channels
from superpoint_ros.model.weights import load_weights
from superpoint_ros.training import targets
from superpoint_ros.training.checkpoints import LAST, read_checkpoint, WEIGHTS
from superpoint_ros.training.lightning_modules import MagicPointModule, SuperPointModule
from superpoint_ros.training.losses import (
    cell_cross_entropy,
    contrastive_loss,
    hinge_loss,
    soft_cell_cross_entropy,
)
from superpoint_ros.training.recipe_files import read_recipe
from superpoint_ros.training.trainer import train
from superpoint_ros.training.training_recipes import MagicPointRecipe, SuperPointRecipe
from support.training_runs import assert_same_state, final_state, kill_in_step, write_photographs

VALUES = {
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
TARGETS = ('labels', 'targets', 'known')
OPTIONS = [f'--{name}={value}' for name, value in VALUES.items()]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Return the folders of images and of their labels."""
    return write_photographs(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def recipe(folders):
    images, labels = folders
    return SuperPointRecipe(images=str(images), labels=str(labels), **VALUES)


def from_magicpoint(folder, network):
    """Return the checkpoint of a step of MagicPoint."""
    recipe = MagicPointRecipe(network, max_steps=1, batch=1, width=64, height=48, workers=0)
    train(MagicPointModule(recipe, folder), folder, accelerator='cpu')
    return folder / LAST


@pytest.fixture(scope='module')
def magicpoint(tmp_path_factory):
    return from_magicpoint(tmp_path_factory.mktemp('magicpoint'), 'compact')


def arguments(folders, out, *more):
    """Return the command line of the run in a folder."""
    images, labels = folders
    data = [f'--images={images}', f'--labels={labels}', f'--out={out}', '--accelerator=cpu']
    return ['train', 'superpoint', *data, *OPTIONS, *more]


@pytest.fixture(scope='module')
def whole(tmp_path_factory, folders, magicpoint):
    """Return the folder of a run through the command line that nothing disturbed."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    assert main(arguments(folders, folder, f'--start={magicpoint}')) == 0
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


def test_joint_training_starts_from_magicpoint_and_changes_all_weights(whole, magicpoint, recipe):
    start = read_checkpoint(magicpoint)['state_dict']
    module = SuperPointModule(recipe, whole, magicpoint)
    after = final_state(whole)[1]
    for name, value in module.state_dict().items():
        assert torch.equal(value, start[name]), name
        assert not torch.equal(after[name], value), name


def test_a_superpoint_run_that_was_killed_resumes_with_equal_weights(
    whole, folders, magicpoint, tmp_path, capsys
):
    out = tmp_path / 'run'
    start = tmp_path / 'start.ckpt'
    shutil.copy(magicpoint, start)
    command = arguments(folders, out, f'--start={start}')
    kill_in_step(2, SuperPointModule, command)
    assert final_state(out)[0] == 2
    start.unlink()  # a run that goes on does not need it any more
    assert main([*command, '--resume']) == 0
    assert_same_state(out, whole)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f'for precision int8: superpoint quantise --weights {out / WEIGHTS}')


def test_a_run_with_repeatability_targets_can_be_resumed(folders, magicpoint, tmp_path):
    options = [
        '--detector_targets=repeatability',
        f'--start={magicpoint}',
        f'--images={folders[0]}',
    ]
    command = ['train', 'superpoint', *options, *OPTIONS, '--accelerator=cpu', '--workers=1']
    whole, killed = ([*command, f'--out={tmp_path / name}'] for name in ('whole', 'killed'))
    assert main(whole) == 0
    kill_in_step(3, SuperPointModule, killed)
    assert main([*killed, '--resume']) == 0
    assert_same_state(tmp_path / 'killed', tmp_path / 'whole')
    assert load_weights(tmp_path / 'whole' / WEIGHTS)[1].descriptors_trained


def test_a_network_that_uses_fewer_channels_is_saved_as_wide_as_its_configuration(
    folders, magicpoint, tmp_path
):
    options = ['--stage_channels=[8, 16, 24, 32]', '--head_channels=24', '--max_steps=2']
    options.append(f'--start={magicpoint}')
    command = arguments(folders, tmp_path / 'run', *options)
    kill_in_step(1, SuperPointModule, command)
    assert main([*command, '--resume']) == 0
    model, _ = load_weights(tmp_path / 'run' / WEIGHTS)
    assert model.config == COMPACT
    used = remove_dead_channels(model).config
    assert (used.stage_channels, used.head_channels) == ((8, 16, 24, 32), 24)
    features = Detector.from_weights(tmp_path / 'run' / WEIGHTS, device='cpu', threshold=0.0)
    assert len(features(cv2.imread(str(folders[0] / '0.png'), cv2.IMREAD_GRAYSCALE)).keypoints)


class Fixed(torch.nn.Module):
    """A network whose outputs are known, one after the other, whatever it sees."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = outputs
        self.seen = []

    def forward(self, images):
        assert images.max() <= 1
        self.seen.append(images)
        return self.outputs[len(self.seen) - 1]


@pytest.mark.parametrize('detector', ['pseudo_labels', 'repeatability'])
@pytest.mark.parametrize('loss', ['contrastive', 'hinge'])
def test_the_training_loss_is_the_weighted_sum_of_its_parts_on_both_views(
    recipe, tmp_path, loss, detector
):
    changed = replace(
        recipe,
        detector_targets=detector,
        descriptor_loss=loss,
        descriptor_weight=0.7,
        precision='32-true',
    )
    module = SuperPointModule(changed, tmp_path)
    samples = module.dataset()
    batch = torch.utils.data.default_collate([samples[0], samples[1]])
    generator = torch.Generator().manual_seed(0)
    output = SuperPointOutput(
        torch.randn(4, 65, 6, 8, generator=generator), torch.randn(4, 5, 6, 8, generator=generator)
    )
    module.network = Fixed(output)
    module.log = lambda *_, **__: None
    got = module.training_step(batch, 0)

    # Pairs come one after the other in a batch; the network gets all A, then all B.
    a, b = (batch['images'][:, i].float()[:, None] / 255 for i in (0, 1))
    (seen,) = module.network.seen
    assert torch.equal(seen, torch.cat([a, b]))
    expected_targets = {
        name: torch.cat([batch[name][:, 0], batch[name][:, 1]])
        for name in batch
        if name in TARGETS
    }
    if detector == 'pseudo_labels':
        expected = cell_cross_entropy(output.logits, expected_targets['labels'])
    else:
        expected = soft_cell_cross_entropy(
            output.logits, expected_targets['targets'], expected_targets['known']
        )
    maps = output.descriptors[:2], output.descriptors[2:]
    if loss == 'hinge':
        descriptor = hinge_loss(*maps, batch['cells_in_b'], batch['shown'][:, 1], 250.0)
    else:
        points = batch['points']
        points = points[:, 0], points[:, 1]
        sampled = [
            sample_descriptors(SuperPointOutput(None, each), where)
            for each, where in zip(maps, points, strict=True)
        ]
        descriptor = contrastive_loss(*sampled, *points, batch['valid'], 20.0)
    expected = expected + 0.7 * descriptor
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_contrastive_loss_describes_points_at_one_scale_and_at_several(recipe, tmp_path):
    module = SuperPointModule(replace(recipe, precision='32-true', descriptor_scales=2), tmp_path)
    samples = module.dataset()
    batch = torch.utils.data.default_collate([samples[0], samples[1]])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 65, 6, 8, generator=generator)
    maps = [torch.randn(4, 5, *size, generator=generator) for size in ((6, 8), (3, 4))]
    module.network = Fixed(*(SuperPointOutput(logits, each) for each in maps))
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    module.training_step(batch, 0)

    seen = module.network.seen
    assert torch.allclose(seen[1], torch.nn.functional.avg_pool2d(seen[0], 2))
    points = [batch['points'][:, i] for i in (0, 1)]
    sampled = [
        [
            sample_descriptors(SuperPointOutput(None, maps[0][i : i + 2]), where),
            sample_descriptors(SuperPointOutput(None, maps[1][i : i + 2]), where / 2 - 0.25),
        ]
        for i, where in zip((0, 2), points, strict=True)
    ]
    expected = [
        contrastive_loss(*descriptors, *points, batch['valid'], 20.0)
        for descriptors in (
            [of_scales[0] for of_scales in sampled],
            [average_scales(of_scales) for of_scales in sampled],
        )
    ]
    assert logged['train/descriptor'].item() == pytest.approx(sum(expected).item() / 2, rel=1e-5)


def test_joint_training_lowers_the_loss_on_its_pairs(recipe, tmp_path):
    module = SuperPointModule(replace(recipe, precision='32-true'), tmp_path)
    samples = module.dataset()
    batch = torch.utils.data.default_collate([samples[i] for i in range(4)])
    module.log = lambda *_, **__: None
    optimizer = torch.optim.Adam(module.network.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize('precision', ['32-true', '16-mixed'])
def test_the_recipe_of_the_paper_trains(recipe, folders, tmp_path, precision):
    # On a CPU, Lightning uses bfloat16 instead of float16, with a warning.
    small = ('batch', 'width', 'height', 'workers', 'validation_images', 'log_every')
    options = [f'--{name}={VALUES[name]}' for name in small]
    images, labels = folders
    data = [f'--images={images}', f'--labels={labels}', f'--out={tmp_path}', '--accelerator=cpu']
    command = ['train', 'superpoint', '--recipe=paper', *data, *options, '--max_steps=2']
    assert main([*command, f'--precision={precision}', '--validate_every=1']) == 0
    network, _ = load_weights(tmp_path / WEIGHTS)
    assert network.config.descriptor_size == 256
    step, tensors = final_state(tmp_path)
    assert step == 2
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    folders, tmp_path, monkeypatch, capsys
):
    calls = []

    def loss(logits, labels):
        calls.append(1)
        return logits.float().mean() * (float('nan') if len(calls) == 3 else 1)

    monkeypatch.setattr(targets, 'cell_cross_entropy', loss)
    assert main(arguments(folders, tmp_path)) == 1
    assert 'the loss is nan in step 2; the last good state' in capsys.readouterr().err
    step, tensors = final_state(tmp_path)
    assert step == 2
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_initialization_from_a_wider_checkpoint_is_refused(folders, tmp_path, capsys):
    start = from_magicpoint(tmp_path / 'paper', 'paper')
    assert main(arguments(folders, tmp_path / 'out', f'--start={start}')) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f'cannot initialize this network from {start}: conv1a has 64 channels there' in error


def test_initialization_from_a_file_that_is_not_a_checkpoint_is_refused(
    folders, tmp_path, capsys, whole
):
    assert main(arguments(folders, tmp_path, f'--start={tmp_path / "none.ckpt"}')) == 2
    assert f'there is no checkpoint {tmp_path / "none.ckpt"}' in capsys.readouterr().err
    damaged = tmp_path / 'damaged.ckpt'
    damaged.write_bytes((whole / LAST).read_bytes()[:1000])
    assert main(arguments(folders, tmp_path, f'--start={damaged}')) == 2
    assert f'{damaged} is damaged, or not a PyTorch file' in capsys.readouterr().err
    torch.save({'weights': torch.zeros(2)}, damaged)
    assert main(arguments(folders, tmp_path, f'--start={damaged}')) == 2
    assert f'{damaged} is not a checkpoint of a training run' in capsys.readouterr().err


def test_folders_that_are_missing_are_named(folders, tmp_path, capsys):
    images, labels = folders
    out = tmp_path / 'out'

    def answer(*data):
        status = main(
            ['train', 'superpoint', f'--out={out}', '--accelerator=cpu', *OPTIONS, *data]
        )
        lines = capsys.readouterr().err.strip().splitlines()
        assert status == 2
        return lines[-1]

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


def test_labels_of_other_images_are_refused_in_one_line(folders, tmp_path, capsys):
    images, labels = write_photographs(tmp_path)
    for path in images.iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[::-1])
    assert main(arguments((images, labels), tmp_path / 'out')) == 2
    assert 'was made for another image than' in capsys.readouterr().err
    assert not (tmp_path / 'out' / LAST).exists()


def test_an_error_of_a_worker_process_is_reported_in_one_line(tmp_path, capsys, monkeypatch):
    images, labels = write_photographs(tmp_path)
    text = 'Caught ValueError in DataLoader worker process 0.\nOriginal Traceback (most ...):\n'

    def fail(*_):
        raise ValueError(f'{text}ValueError: a.png.npz was made for another image\n')

    monkeypatch.setattr(SuperPointModule, 'training_step', fail)
    assert main(arguments((images, labels), tmp_path / 'out')) == 2
    error = capsys.readouterr().err
    assert 'superpoint: a.png.npz was made for another image' in error
    assert 'Traceback' not in error


def test_two_processes_share_the_pairs_of_a_step(folders, tmp_path):
    command = arguments(folders, tmp_path, '--devices=2', '--batch=1')
    subprocess.run(
        [sys.executable, '-m', 'superpoint_ros.cli.main', *command],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert final_state(tmp_path)[0] == 4
