# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint adapt` labels photographs and reports what failed."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('jsonargparse', reason="needs the extra 'train'")

from superpoint_ros.cli import adapt
from superpoint_ros.cli.main import main
from superpoint_ros.training import pseudo_labels
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.label_files import LabelFolder


@pytest.fixture
def photos(tmp_path):
    """Return a folder of two photographs."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for name in ('a.png', 'b.png'):
        image = np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)
        cv2.imwrite(str(folder / name), image)
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Return a list that gets the arguments of the labelling, which is not done."""
    calls = []
    monkeypatch.setattr(
        pseudo_labels, 'label_folder', lambda *arguments: calls.append(arguments) or ([5], [])
    )
    return calls


def test_adapt_writes_labels_for_a_folder_of_photographs(weights, photos, tmp_path, capsys):
    out = tmp_path / 'labels'
    (photos / 'bad.jpg').write_bytes(b'')
    options = ['--weights', weights, '--out', str(out), '--homographies', '3', '--device', 'cpu']
    assert main(['adapt', str(photos), *options, '--max-keypoints=7']) == 1
    said = capsys.readouterr()
    labelled = 'labelled 2 photographs, 7 keypoints each on average: see '
    assert f'{labelled}{out / "labels.png"}' in said.out
    assert 'skipped: 1 (see above)' in said.err
    assert [path.name for path in LabelFolder(out).labelled(photos)] == ['a.png', 'b.png']
    recipe = json.loads((out / 'labels.json').read_text())['recipe']
    assert (recipe['homographies'], recipe['max_keypoints']) == (3, 7)
    assert main(['adapt', str(photos), *options, '--max-keypoints=8']) == 2
    assert 'recipe differ' in capsys.readouterr().err


def test_adapt_says_that_no_photograph_has_a_keypoint(weights, photos, tmp_path, capsys):
    options = ['--weights', weights, '--out', str(tmp_path / 'labels'), '--device', 'cpu']
    assert main(['adapt', str(photos), *options, '--homographies=2', '--threshold=1']) == 1
    said = capsys.readouterr()
    assert 'labelled 2 photographs, 0 keypoints each on average' in said.out
    assert 'no photograph has a keypoint: the threshold 1.0 is too high' in said.err


def test_adapt_has_recipes_for_a_cpu_and_of_the_paper(weights, photos, asked):
    common = ['adapt', str(photos), '--weights', weights, '--out', 'labels']
    assert main(common) == main([*common, '--recipe', 'paper']) == 0
    cpu, paper = (arguments[3] for arguments in asked)
    assert cpu == AdaptationRecipe(homographies=24, batch=1)
    assert paper == AdaptationRecipe(homographies=100, max_keypoints=600, batch=32)


def test_adapt_passes_on_options_and_values_of_the_recipe(weights, photos, asked):
    options = '--workers 3 --threads 2 --bfloat16 --device cpu --scales [0.5,1] --seed 9'
    options += ' --homography.max_rotation 30'
    assert main(['adapt', str(photos), '--weights', weights, '--out', 'x', *options.split()]) == 0
    [(_, path, out, recipe, devices, bfloat16, threads)] = asked
    assert (str(path), str(out)) == (weights, 'x')
    assert (devices, bfloat16, threads) == (['cpu'] * 3, True, 2)
    assert (recipe.scales, recipe.seed, recipe.homography.max_rotation) == ((0.5, 1.0), 9, 30.0)
    assert recipe.homography.allow_artifacts


def test_adapt_distributes_workers_over_the_devices(monkeypatch):
    from superpoint_ros.engines import engine as engines

    monkeypatch.setattr(engines, 'find_device', lambda name: name)
    assert adapt._devices('cuda:0, cuda:1', None) == ['cuda:0', 'cuda:1']
    assert adapt._devices('cuda:0,cuda:1', 3) == ['cuda:0', 'cuda:1', 'cuda:0']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'name the folder for the labels: --out DIR'),
        (['--out', 'x', '--homographies', 'many'], 'homographies'),
        (['--out', 'x', '--homographies', '0'], 'homographies must be at least 1, got 0'),
        (['--out', 'x', '--brightness', '1'], 'brightness'),
        (['--out', 'x', '--recipe', 'gpu'], 'name a YAML file or one of corners, cpu, paper'),
        (['--out', 'x', '--workers', '0'], '--workers must be at least 1, got 0'),
        (['--out', 'x', '--workers', '99999'], '--workers must be at most 1024, got 99999'),
        (['--out', 'x', '--device', 'tpu'], "device must be 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        (['--out', 'x', '--weights', 'none.safetensors'], 'there is no weight file'),
    ],
)
def test_adapt_reports_wrong_input_in_one_line(
    photos, options, message, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert main(['adapt', str(photos), *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count('\n') == 1
    assert not (tmp_path / 'x').exists()


def test_adapt_help_lists_options_and_values(photos, capsys):
    assert main(['adapt', str(photos), '--help']) == 0
    said = capsys.readouterr().out
    for option in ('--workers', '--homographies', '--homography.perspective', '--scales'):
        assert option in said
