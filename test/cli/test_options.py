# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Every setting of the detector is an option of each command that runs one."""

from __future__ import annotations

import argparse
import importlib
from importlib.util import find_spec

import pytest
import torch

from superpoint_ros.cli.main import COMMANDS, main
from superpoint_ros.cli.method_options import weight_names
from superpoint_ros.cli.options import add_detector_options, given_settings, make_detector
from superpoint_ros.common.settings_table import table_of
from superpoint_ros.detection.settings import DetectionSettings
from support.settings import other_settings

RUN_A_DETECTOR = (
    'detect',
    'process-bag',
    'explain',
    'export',
    'demo',
    'soak',
    'evaluate shapes',
    'evaluate homography',
    'evaluate scenes',
    'evaluate odometry',
    'evaluate threshold',
)
NEEDED = {
    'detect': 'IMAGE --out x',
    'process-bag': 'IN OUT',
    'explain': 'IMAGE --out x',
    'export': '--out x.onnx',
    'evaluate shapes': '--out x',
    'evaluate homography': '--data x --out x',
    'evaluate scenes': '--data x --out x',
    'evaluate odometry': '--out x',
    'evaluate threshold': '--out x',
}
OTHER = other_settings(DetectionSettings)


def parse(*words):
    parser = argparse.ArgumentParser()
    add_detector_options(parser)
    return parser.parse_args(words)


def parse_command(command, *words):
    """Return what the command reads from its command line."""
    name, *kind = command.split()
    parser = argparse.ArgumentParser()
    module = importlib.import_module(f'superpoint_ros.cli.{COMMANDS[name].module}')
    module.add_arguments(parser)
    return parser.parse_args([*kind, *NEEDED.get(command, '').split(), *words])


def options_of(settings):
    """Return the options that give these settings."""
    words = []
    for name, value in vars(settings).items():
        option = f'--{name.replace("_", "-")}'
        words += [option, str(value)] if not isinstance(value, bool) else [f'--no-{name}']
    return words


@pytest.mark.parametrize('command', RUN_A_DETECTOR)
def test_every_setting_of_the_detection_is_an_option(command):
    given = given_settings(parse_command(command, *options_of(OTHER)))
    assert {name: given[name] for name in table_of(DetectionSettings)} == vars(OTHER)
    assert all(value != vars(DetectionSettings())[name] for name, value in vars(OTHER).items())


def test_engine_precision_threads_and_settings_reach_the_detector(restore_threads):
    words = ['--device=cpu', '--engine=torch', '--precision=bfloat16', '--threads=1']
    detector = make_detector(parse(*words, '--max-keypoints=7'))
    assert (detector.engine.name, detector.engine.precision) == ('torch', 'bfloat16')
    assert torch.get_num_threads() == 1
    assert detector.settings == DetectionSettings(max_keypoints=7)


def test_settings_that_are_not_given_are_left_to_the_detector():
    assert given_settings(parse()) == {}


@pytest.mark.parametrize('words', [['--threads=-1'], ['--threads=257']])
def test_a_number_of_threads_that_is_not_allowed_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        parse(*words)
    assert 'threads must lie between 0 and 256' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['shapes', 'homography', 'scenes', 'odometry', 'threshold'])
def test_weights_are_measured_in_float32_by_default(kind):
    args = parse_command(f'evaluate {kind}')
    assert given_settings(args)['precision'] == 'float32'
    args = parse_command(f'evaluate {kind}', '--precision=int8')
    assert given_settings(args)['precision'] == 'int8'


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('detect a.png --out x --no-blobs', "--no-blobs was renamed: use --keypoints ('hessian'"),
        ('detect a.png --out x --levels 2', '--levels was renamed: use --descriptor-scales'),
        ('detect a.png --magnification 2', '--magnification was renamed: use --upscale-factor'),
        ('evaluate homography --heatmap', '--heatmap was renamed: use --keypoints heatmap'),
        ('evaluate homography --keypoints 300', 'a number of keypoints is --max-keypoints N'),
        ('evaluate odometry --keypoints 300', 'a number of keypoints is --max-keypoints N'),
        ('benchmark --keypoints 300', '--keypoints was renamed: use --max-keypoints'),
        ('evaluate homography --max-pairs 0', "'0' is not a number from 1 to 1000000"),
        ('evaluate scenes --pictures -1', "'-1' is not a number from 0 to 1000"),
    ],
)
def test_an_option_that_is_wrong_or_was_renamed_is_refused_with_what_is_right(
    line, message, capsys
):
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_setting_that_is_not_given_keeps_its_default():
    args = parse_command('evaluate odometry', '--threshold=0.01')
    assert given_settings(args)['threshold'] == 0.01
    assert 'threshold' not in given_settings(parse_command('evaluate odometry'))


def test_weight_files_of_the_same_name_are_distinguished_by_their_folders():
    files = ['runs/a/weights.safetensors', 'runs/b/weights.safetensors', 'c.safetensors']
    assert weight_names(files[1:]) == ['weights', 'c']
    assert weight_names(files)[:2] == ['a/weights', 'b/weights']
    assert weight_names(files[2:]) == ['c']
    with pytest.raises(ValueError, match='given twice: c.safetensors, ./c.safetensors'):
        weight_names(['c.safetensors', './c.safetensors'])


@pytest.mark.parametrize(
    ('command', 'line'),
    [
        ('detect a.png --out file', 'file is a file: name a folder for the results'),
        ('match a.png b.png --out file/new', '/file is a file: a folder is needed there'),
        ('evaluate shapes --out /proc/new', '/proc: '),
        ('evaluate threshold --out /proc/new', '/proc: '),
        ('export --out /proc/new.onnx', '/proc: '),
        ('export --out folder', 'folder is a folder: name a file for the result'),
        ('make-benchmark photos --out /proc/new', '/proc: '),
        pytest.param(
            'train superpoint --out /proc/new',
            '/proc: ',
            marks=pytest.mark.skipif(
                not find_spec('jsonargparse'), reason='needs the library jsonargparse'
            ),
        ),
        ('process-bag in /proc/new', '/proc: '),
    ],
)
def test_a_place_for_results_that_cannot_be_written_is_named_before_the_work(
    command, line, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    assert main(command.split()) in (1, 2)
    message = capsys.readouterr().err
    assert message.startswith('superpoint: ')
    assert line in message
    assert message.count('\n') == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'folder']
