# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate` measures weights and writes its reports."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.cli.main import main
from superpoint_ros.data.benchmark_from_photographs import BenchmarkPlan, make_benchmark
from superpoint_ros.resources import share_directory
from support.noise_pictures import noise_picture
from support.small_networks import write_weights


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Return two files of random weights of a tiny network."""
    folder = tmp_path_factory.mktemp('weights')
    return [str(write_weights(folder / f'tiny{seed}.safetensors', seed)) for seed in (0, 1)]


@pytest.fixture(scope='module')
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp('benchmark')
    cv2.imwrite(str(folder / 'photo.png'), noise_picture(0, (128, 96)))
    make_benchmark([folder / 'photo.png'], folder / 'data', BenchmarkPlan(1, 1, 1))
    return folder / 'data'


def test_evaluate_shapes_compares_with_classic_detectors(weights, tmp_path, capsys):
    arguments = ['evaluate', 'shapes', '--weights', weights[0], '--images', '1']
    assert main([*arguments, '--out', str(tmp_path)]) == 0
    result = json.loads((tmp_path / 'shapes.json').read_text())
    assert list(result['methods']) == ['SuperPoint', 'FAST', 'Harris', 'Shi-Tomasi']
    assert result['weights'] == 'tiny0.safetensors'
    said = capsys.readouterr().out
    assert '| Harris |' in said
    assert 'shapes_examples.png' in said


def test_the_shipped_magicpoint_is_as_good_on_shapes_as_its_card_states(tmp_path):
    weights = share_directory() / 'models' / 'magicpoint_compact.safetensors'
    arguments = ['evaluate', 'shapes', '--weights', str(weights), '--images', '2']
    assert main([*arguments, '--out', str(tmp_path)]) == 0
    ours = json.loads((tmp_path / 'shapes.json').read_text())['methods']['SuperPoint']
    assert ours['clean']['map'] > 0.97
    assert ours['clean']['localisation'] < 0.4


def test_evaluate_homography_compares_with_classic_methods(weights, benchmark, tmp_path, capsys):
    arguments = ['evaluate', 'homography', '--data', str(benchmark), '--weights', *weights]
    arguments += ['--max-keypoints', '50', '--longest-side', '128', '--pictures', '1']
    assert main([*arguments, '--methods', 'sift', 'orb', '--wide', '--out', str(tmp_path)]) == 0
    result = json.loads((tmp_path / 'homography.json').read_text())
    expected = ['tiny0', 'tiny1', 'SIFT', 'ORB', 'tiny0, wide', 'tiny1, wide']
    assert list(result['methods']) == expected
    assert result['longest_side'] == 128
    assert (result['ours']['precision'], result['ours']['keypoints']) == ('float32', 'hessian')
    assert len(list(tmp_path.glob('matches_*.png'))) == 1
    assert '| SIFT |' in capsys.readouterr().out
    arguments[-1] = '0'
    assert main([*arguments, '--methods', '--out', str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ['homography.json', 'homography.md']


def test_evaluate_homography_names_and_skips_unreadable_sequences(
    weights, benchmark, tmp_path, capsys
):
    data = tmp_path / 'data'
    data.mkdir()
    good = next(benchmark.glob('v_*'))
    (data / good.name).symlink_to(good)
    (data / 'v_empty').mkdir()
    (data / 'v_strip').mkdir()
    for number in (1, 2):  # 96x3 after the reduction to the longest side
        cv2.imwrite(str(data / 'v_strip' / f'{number}.png'), noise_picture(0, (640, 20)))
    np.savetxt(data / 'v_strip' / 'H_1_2', np.eye(3))
    arguments = ['evaluate', 'homography', '--data', str(data), '--weights', weights[0]]
    arguments += ['--max-keypoints', '20', '--longest-side', '96', '--methods', '--pictures', '0']
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 1
    printed = capsys.readouterr().err
    assert 'v_empty has no image 1' in printed
    result = json.loads((tmp_path / 'out' / 'homography.json').read_text())
    assert result['skipped'] == ['v_empty', 'v_strip']
    text = (tmp_path / 'out' / 'homography.md').read_text()
    assert 'Left out, because it cannot be used: v_empty, v_strip.\n' in text
    assert 'v_strip: an image must have at least 16x16 pixels; got 96x3' in printed


def test_evaluate_homography_draws_a_pair_that_can_be_read(weights, benchmark, tmp_path):
    data = tmp_path / 'data'
    folder = data / 'v_incomplete'
    shutil.copytree(next(benchmark.glob('v_*')), folder)
    (folder / '2.png').write_bytes(b'')
    arguments = ['evaluate', 'homography', '--data', str(data), '--weights', weights[0]]
    arguments += ['--max-keypoints', '20', '--longest-side', '96', '--methods']
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 0
    result = json.loads((tmp_path / 'out' / 'homography.json').read_text())
    assert list(result['methods']) == ['SuperPoint']
    assert {pair['image'] for pair in result['pairs']} == {3, 4, 5, 6}
    assert (tmp_path / 'out' / 'matches_v_incomplete.png').is_file()


def test_a_weight_file_that_is_named_as_a_baseline_is_refused(
    weights, benchmark, tmp_path, capsys
):
    shutil.copy(weights[0], tmp_path / 'ORB.safetensors')
    arguments = [
        'evaluate',
        'homography',
        '--data',
        str(benchmark),
        '--out',
        str(tmp_path / 'out'),
    ]
    arguments += ['--weights', weights[1], str(tmp_path / 'ORB.safetensors'), '--methods', 'orb']
    assert main(arguments) == 2
    assert 'a weight file is named as the baseline ORB: rename it' in capsys.readouterr().err


def test_evaluate_reports_wrong_input_in_one_line(weights, benchmark, tmp_path, capsys):
    common = ['--weights', weights[0], '--out', str(tmp_path)]
    assert main(['evaluate', 'homography', '--data', str(tmp_path), *common]) == 2
    assert 'has no sequences' in capsys.readouterr().err
    arguments = ['evaluate', 'homography', '--data', str(benchmark), *common]
    assert main([*arguments, '--methods', 'surf']) == 2
    assert "unknown method 'surf'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match='2'):
        main(['evaluate', 'shapes', '--images', '0', *common])
    assert 'images must be at least 1' in capsys.readouterr().err


def test_evaluate_threshold_takes_folders_and_skips_images_that_are_too_small(
    weights, tmp_path, capsys
):
    photos, out = tmp_path / 'photos', tmp_path / 'out'
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 80)).astype(np.uint8)
    cv2.imwrite(str(photos / 'a.png'), noise)
    command = ['evaluate', 'threshold', str(photos), '--thresholds', '0.01', '--views', '1']
    command += ['--weights', weights[0], '--out', str(out)]
    assert main(command) == 0
    assert '| 0.01 |' in capsys.readouterr().out
    result = json.loads((out / 'threshold.json').read_text())
    assert [row['threshold'] for row in result['rows']] == [0.01]
    assert np.ptp(cv2.imread(str(out / 'threshold.png'))) == 255
    cv2.imwrite(str(photos / 'b.png'), noise[:10])
    cv2.imwrite(str(photos / 'strip.png'), np.tile(noise[:20], (1, 16)))  # 640x10 if reduced
    assert main(command) == 1
    printed = capsys.readouterr()
    assert '| 0.01 |' in printed.out
    assert 'skipped: ' in printed.err
    assert 'b.png: an image must have at least 16x16 pixels' in printed.err
    assert 'strip.png: an image must have at least 16x16 pixels; got 640x10' in printed.err
    skipped = [str(photos / name) for name in ('b.png', 'strip.png')]
    assert json.loads((out / 'threshold.json').read_text())['skipped'] == skipped
    text = (out / 'threshold.md').read_text()
    assert f'Left out, because it cannot be used: {", ".join(skipped)}.\n' in text
    (photos / 'a.png').unlink()
    (photos / 'strip.png').unlink()
    assert main(command) == 2
    assert 'none of the images could be read (1 skipped)' in capsys.readouterr().err
