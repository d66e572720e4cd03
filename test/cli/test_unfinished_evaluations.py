# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate` that is stopped leaves a report of what it has measured."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip('evo', reason='evo is not installed')
pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.cli.main import main
from superpoint_ros.data.benchmark_from_photographs import BenchmarkPlan, make_benchmark
from superpoint_ros.data.scenes.pair_cache import PairCache
from superpoint_ros.data.scenes.pairs import PairSettings, RenderedPair
from superpoint_ros.data.scenes.ray_casting import PinholeCamera, RenderedView
from superpoint_ros.evaluation import (
    homography_benchmark,
    odometry_benchmark,
    odometry_report,
    scenes_benchmark,
    shapes_benchmark,
    threshold_sweep,
)
from support.noise_pictures import noise_picture

CALIBRATION = """
image_width: 96
image_height: 72
camera_matrix: {data: [70, 0, 47.5, 0, 70, 35.5, 0, 0, 1]}
distortion_coefficients: {data: [0, 0, 0, 0, 0]}
"""


def scenes(folder):
    """Write three rendered pairs; return the options that measure them."""
    view = RenderedView(noise_picture(0, (96, 72)), np.full((72, 96), 2, np.float32))
    pose = np.eye(4)
    pose[0, 3] = 0.1
    pair = RenderedPair(view, view, PinholeCamera(70.0, 96, 72), pose, 'wall')
    for number in range(3):
        PairCache(folder / 'pairs', PairSettings(96, 72), {}).write(number, pair)
    return ['--data', str(folder / 'pairs'), '--methods', 'orb', '--max-keypoints', '20']


def homography(folder):
    """Write three planar sequences; return the options that measure them."""
    cv2.imwrite(str(folder / 'photo.png'), noise_picture(0, (96, 72)))
    make_benchmark([folder / 'photo.png'], folder / 'data', BenchmarkPlan(1, 1, 1))
    return ['--data', str(folder / 'data'), '--methods', 'orb', '--max-keypoints', '20']


def odometry(folder):
    """Return the options that measure three flights."""
    (folder / 'camera.yaml').write_text(CALIBRATION)
    options = f'--calibration {folder}/camera.yaml --methods orb --max-keypoints 20'
    return [*options.split(), *['--seeds', '0', '1', '2', '--frames', '4', '--gaps', '2']]


def threshold(folder):
    """Write two images; return the options that measure them."""
    for number in range(2):
        cv2.imwrite(str(folder / f'{number}.png'), noise_picture(number, (96, 72)))
    return [str(folder / '0.png'), str(folder / '1.png'), '--thresholds', '0.01', '--views', '2']


def shapes(_folder):
    """Return the options that measure synthetic shapes."""
    return ['--images', '1']


@pytest.mark.parametrize(
    ('prepare', 'module', 'function', 'calls', 'done'),
    [
        (scenes, scenes_benchmark, 'measure_features', 5, '2 of 3 pairs'),
        (homography, homography_benchmark, '_measure_sequence', 3, '1 of 3 sequences'),
        (odometry, odometry_benchmark, '_run', 2, '2 of 3 sequences'),
        (threshold, threshold_sweep, '_measure', 3, '1 of 2 images'),
        (shapes, shapes_benchmark, '_detect', 50, '1 of 2 conditions'),
    ],
)
def test_a_stopped_evaluation_leaves_a_report_of_what_was_measured(
    prepare, module, function, calls, done, weights, tmp_path, monkeypatch, capsys
):
    kind, out = prepare.__name__, tmp_path / 'out'
    command = ['evaluate', kind, *prepare(tmp_path), '--weights', weights, '--out', str(out)]
    report, unfinished = out / f'{kind}.json', out / f'{kind}_unfinished'
    original, left = getattr(module, function), calls

    def interrupted(*args, **kwargs):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, function, interrupted)
        assert main(command) == 130
    assert f'measured {done}; their report is in {unfinished}' in capsys.readouterr().err
    measured = json.loads((unfinished / f'{kind}.json').read_text())
    assert measured['unfinished'] == f'measured {done}'
    assert (unfinished / f'{kind}.md').read_text().startswith(f'**Unfinished: measured {done}.**')
    assert not report.exists()

    assert main(command) == 0
    assert not unfinished.exists()
    complete = report.read_text()
    assert 'unfinished' not in json.loads(complete)
    if kind == 'scenes':
        assert all(method['pairs'] == 2 for method in measured['methods'].values())
        assert measured['pairs'] == json.loads(complete)['pairs'][:4]
        assert measured['ours'] == json.loads(complete)['ours']
    if kind == 'threshold':
        assert measured['images'] == 1

    left = calls
    with monkeypatch.context() as patch:
        patch.setattr(module, function, interrupted)
        assert main(command) == 130
    assert report.read_text() == complete
    assert json.loads((unfinished / f'{kind}.json').read_text()) == measured


def test_the_trajectories_of_a_sequence_are_written_when_it_is_measured(
    weights, tmp_path, monkeypatch
):
    command = ['evaluate', 'odometry', *odometry(tmp_path), '--weights', weights]
    out, kept = tmp_path / 'out', tmp_path / 'kept'
    original = odometry_benchmark._run

    def run(methods, name, *others):
        if name == 'room 1':  # as it is on the disk if the process is killed now
            shutil.copytree(out, kept)
        return original(methods, name, *others)

    monkeypatch.setattr(odometry_benchmark, '_run', run)
    assert main([*command, '--out', str(out)]) == 0
    folder = kept / 'odometry_unfinished'
    assert list(json.loads((folder / 'odometry.json').read_text())['sequences']) == ['room 0']
    trajectories = folder / 'trajectories' / 'room_0'
    complete = out / 'trajectories' / 'room_0'
    for name in ('ground_truth.txt', 'ORB.txt', 'SuperPoint.txt'):
        assert (trajectories / name).read_text() == (complete / name).read_text()


def test_what_was_measured_survives_if_the_complete_report_cannot_be_written(
    weights, tmp_path, monkeypatch, capsys
):
    command = ['evaluate', 'odometry', *odometry(tmp_path), '--weights', weights]
    out = tmp_path / 'out'
    original = odometry_report.write_result

    def write(folder, *others):
        if folder == out:
            raise OSError(28, 'No space left on device', str(folder / 'odometry.json'))
        return original(folder, *others)

    monkeypatch.setattr(odometry_report, 'write_result', write)
    assert main([*command, '--out', str(out)]) == 1
    printed = capsys.readouterr()
    assert '| ORB |' in printed.out
    assert 'odometry.json: No space left on device' in printed.err
    measured = json.loads((out / 'odometry_unfinished' / 'odometry.json').read_text())
    assert measured['unfinished'] == 'measured 3 of 3 sequences'
