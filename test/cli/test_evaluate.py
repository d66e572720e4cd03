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
from superpoint_ros.data.homography_sequences import BenchmarkPlan, make_benchmark
from superpoint_ros.data.sequences import frame_files
from superpoint_ros.files import share_directory
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


def test_evaluate_homography_runs_without_baselines(weights, benchmark, tmp_path):
    arguments = ['evaluate', 'homography', '--data', str(benchmark), '--weights', weights[0]]
    arguments += ['--max-keypoints', '50', '--longest-side', '96', '--pictures', '0']
    assert main([*arguments, '--out', str(tmp_path), '--methods']) == 0
    result = json.loads((tmp_path / 'homography.json').read_text())
    assert list(result['methods']) == ['SuperPoint']


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
    assert {pair['image'] for pair in result['pairs']} == {3, 4, 5, 6}
    assert (tmp_path / 'out' / 'matches_v_incomplete.png').is_file()


CALIBRATION = """
image_width: 96
image_height: 72
camera_matrix: {data: [70, 0, 47.5, 0, 70, 35.5, 0, 0, 1]}
distortion_coefficients: {data: [-0.05, 0, 0, 0, 0]}
"""


def test_evaluate_odometry_measures_in_the_simulated_room(weights, tmp_path, capsys):
    pytest.importorskip('evo', reason='evo is not installed')
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    arguments = ['evaluate', 'odometry', '--weights', weights[0], '--methods', 'orb']
    arguments += ['--seeds', '4', '--frames', '5', '--gaps', '2', '--max-keypoints', '60']
    arguments += ['--calibration', str(tmp_path / 'camera.yaml'), '--out', str(tmp_path / 'out')]
    assert main(arguments) == 0
    result = json.loads((tmp_path / 'out' / 'odometry.json').read_text())
    assert list(result['sequences']) == ['room 4']
    assert list(result['all']) == ['SuperPoint', 'ORB']
    assert result['all']['ORB']['frames'] == 5
    assert result['all']['ORB']['two_views']['2']['pairs'] == 3
    assert result['source']['simulated']['seeds'] == [4]
    assert '| ORB, two views |' in capsys.readouterr().out
    assert (tmp_path / 'out' / 'trajectories.png').stat().st_size > 0
    again = tmp_path / 'again'
    assert main([*arguments[:-1], str(again)]) == 0
    assert (again / 'odometry.json').read_text() == (
        tmp_path / 'out' / 'odometry.json'
    ).read_text()


def test_a_report_of_the_odometry_has_no_trajectories_of_an_earlier_one(weights, tmp_path):
    pytest.importorskip('evo', reason='evo is not installed')
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    out = tmp_path / 'out'
    arguments = ['evaluate', 'odometry', '--weights', weights[0], '--out', str(out)]
    arguments += ['--calibration', str(tmp_path / 'camera.yaml'), '--max-keypoints', '60']
    arguments += ['--frames', '4', '--gaps', '2']
    assert main([*arguments, '--methods', 'orb', '--seeds', '4', '5']) == 0
    assert {path.name for path in (out / 'trajectories').iterdir()} == {'room_4', 'room_5'}
    (out / 'trajectories' / 'room_4' / 'notes.txt').write_text('of the user')
    (out / 'trajectories' / 'room_4' / 'ape.pdf').write_text('of evo')
    assert main([*arguments, '--methods', '--seeds', '5']) == 0
    files = {file for file in (out / 'trajectories').rglob('*') if file.is_file()}
    assert {file.relative_to(out / 'trajectories').as_posix() for file in files} == {
        'room_4/ape.pdf',
        'room_4/notes.txt',
        'room_5/SuperPoint.txt',
        'room_5/ground_truth.txt',
    }


def test_values_and_methods_that_are_given_twice_count_once(weights, tmp_path):
    pytest.importorskip('evo', reason='evo is not installed')
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    arguments = f'evaluate odometry --weights {weights[0]} --methods orb orb klt orb --frames 5'
    arguments += f' --seeds 4 4 --gaps 2 2 --max-keypoints 60 --out {tmp_path / "out"}'
    arguments += f' --calibration {tmp_path / "camera.yaml"}'
    assert main(arguments.split()) == 0
    result = json.loads((tmp_path / 'out' / 'odometry.json').read_text())
    assert list(result['all']) == ['SuperPoint', 'ORB', 'Shi-Tomasi + KLT']
    assert (result['all']['ORB']['frames'], result['gaps']) == (5, [2])
    assert result['all']['ORB']['two_views']['2']['pairs'] == 3
    assert result['source']['simulated']['seeds'] == [4]


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


def test_evaluate_odometry_skips_and_names_photographs_that_cannot_be_read(
    weights, tmp_path, capsys
):
    pytest.importorskip('evo', reason='evo is not installed')
    photographs = tmp_path / 'photographs'
    photographs.mkdir()
    cv2.imwrite(str(photographs / 'good.png'), noise_picture(0, (128, 96)))
    (photographs / 'bad.jpg').write_bytes(b'no image')
    arguments = ['evaluate', 'odometry', '--weights', weights[0], '--methods']
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    arguments += ['--calibration', str(tmp_path / 'camera.yaml'), '--max-keypoints', '60']
    arguments += ['--frames', '3', '--gaps', '1', '--seeds', '0']
    arguments += ['--photographs', str(photographs)]
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 1
    assert f'skipped: {photographs / "bad.jpg"} cannot be read' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'odometry.json').is_file()
    (photographs / 'good.png').unlink()
    assert main([*arguments, '--out', str(tmp_path / 'none')]) == 2


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('--seeds=-1', 'seeds must be at least 0'),
        ('--rate=0', 'rate must be greater than 0'),
        ('--noise=-1', 'noise must lie between 0.0 and 100.0'),
        ('--exposure=-0.01', 'exposure must be at least 0'),
    ],
)
def test_evaluate_odometry_refuses_wrong_numbers_of_the_room(option, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['evaluate', 'odometry', '--out', str(tmp_path / 'out'), option])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            '--data {} --seeds 1 --noise 0',
            '--seeds, --noise: for the simulated room, which',
        ),
        ('--data {} --photographs {}', '--photographs: for the simulated room, which --data'),
        ('--topic /image --truth-topic /pose', '--topic, --truth-topic: for bags: name one with'),
    ],
)
def test_evaluate_odometry_refuses_options_without_effect(options, message, tmp_path, capsys):
    command = f'evaluate odometry --out {tmp_path}/out {options.format(tmp_path, tmp_path)}'
    assert main(command.split()) == 2
    assert f'superpoint: {message}' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_evaluate_odometry_needs_poses_and_calibration_of_a_recording(weights, tmp_path, capsys):
    pytest.importorskip('evo', reason='evo is not installed')
    folder = tmp_path / 'recording'
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), np.zeros((72, 96), np.uint8))
    arguments = ['evaluate', 'odometry', '--data', str(folder), '--weights', weights[0]]
    arguments += ['--methods', '--gaps', '2', '--out', str(tmp_path / 'out')]
    assert main(arguments) == 2
    assert 'recording: it has no calibration' in capsys.readouterr().err
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    assert main([*arguments, '--calibration', str(tmp_path / 'camera.yaml')]) == 2
    assert 'recording: it has no two frames with true poses' in capsys.readouterr().err
    assert main([*arguments, '--frames', '2']) == 2
    assert 'frames must be greater than the largest gap, 2; got 2' in capsys.readouterr().err


def write_recording(folder, count):
    """Write a sequence in the layout of TUM RGB-D: noise that moves to the left."""
    noise = np.random.default_rng(0).integers(0, 255, (72, 300), np.uint8)
    (folder / 'rgb').mkdir(parents=True)
    poses = []
    for index in range(count):
        stamp = f'{100 + index / 10:.6f}'
        cv2.imwrite(str(folder / 'rgb' / f'{stamp}.png'), noise[:, 4 * index : 4 * index + 96])
        poses.append(f'{stamp} {0.1 * index} 0 0 0 0 0 1')
    (folder / 'groundtruth.txt').write_text('\n'.join(poses))
    (folder / 'camera_info.yaml').write_text(CALIBRATION)


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('still', '5 frames apart, between which the camera moved; it has 8 frames, 8 of them'),
        ('another time', 'it has 8 frames, 0 of them with a true pose'),
        (
            'too short',
            '5 frames apart, between which the camera moved; it has 6 frames, 3 of',
        ),
        ('no depth', 'recording: it has no depth images for the scale'),
        ('video', 'it has no true poses'),
    ],
)
def test_evaluate_odometry_refuses_what_has_no_pairs_before_it_reads_images(
    weights, tmp_path, capsys, monkeypatch, kind, message
):
    pytest.importorskip('evo', reason='evo is not installed')
    source = tmp_path / 'recording'
    write_recording(source, 8)
    rows = [row.split() for row in (source / 'groundtruth.txt').read_text().splitlines()]
    if kind == 'still':
        rows = [[row[0], '1', *row[2:]] for row in rows]
    if kind == 'another time':
        rows = [[f'{float(row[0]) + 1000}', *row[1:]] for row in rows]
    if kind == 'too short':
        rows = rows[2:5]
    (source / 'groundtruth.txt').write_text('\n'.join(map(' '.join, rows)))
    camera = tmp_path / 'camera.yaml'
    camera.write_text(CALIBRATION)
    if kind == 'video':
        source = tmp_path / 'recording.avi'
        writer = cv2.VideoWriter(str(source), cv2.VideoWriter_fourcc(*'MJPG'), 20, (96, 72))
        writer.write(np.zeros((72, 96, 3), np.uint8))
        writer.release()

    def read(*_):
        raise AssertionError('an image is read')

    monkeypatch.setattr(frame_files, 'read_image', read)
    arguments = ['evaluate', 'odometry', '--data', str(source), '--weights', weights[0]]
    arguments += ['--calibration', str(camera), '--methods', 'klt', '--out', str(tmp_path / 'out')]
    arguments += ['--scale', 'depth'] if kind == 'no depth' else []
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_evaluate_odometry_measures_a_folder_of_sequences_and_writes_trajectories(
    weights, tmp_path, capsys
):
    pytest.importorskip('evo', reason='evo is not installed')
    for name, count in (('first', 6), ('second', 5), ('single', 1)):
        write_recording(tmp_path / 'all' / name, count)
    out = tmp_path / 'out'
    arguments = ['evaluate', 'odometry', '--data', str(tmp_path / 'all'), '--out', str(out)]
    arguments += ['--methods', 'klt', 'orb', '--gaps', '2', '--max-keypoints', '60']
    arguments += ['--weights', weights[0]]
    # 1: one sequence could not be measured.
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert 'left out single: it has no two frames' in printed.err
    result = json.loads((out / 'odometry.json').read_text())
    assert list(result['sequences']) == ['first', 'second']
    assert list(result['all']) == ['SuperPoint', 'Shi-Tomasi + KLT', 'ORB']
    assert result['all']['ORB']['frames'] == 11
    assert '| Shi-Tomasi + KLT, two views |' in printed.out
    truth = (out / 'trajectories' / 'first' / 'ground_truth.txt').read_text().splitlines()
    assert len(truth) == 6
    assert truth[1].split()[:2] == ['100.100000000', '0.100000000']
    assert sorted(path.name for path in (out / 'trajectories' / 'second').iterdir()) == [
        'ORB.txt',
        'Shi-Tomasi_KLT.txt',
        'SuperPoint.txt',
        'ground_truth.txt',
    ]


def test_sequences_of_the_same_name_are_distinguished_and_measured_once(weights, tmp_path):
    pytest.importorskip('evo', reason='evo is not installed')
    for flight in 'abc':
        write_recording(tmp_path / flight / 'mav' / 'seq', 5)
    out = tmp_path / 'out'
    data = [str(tmp_path / 'a'), str(tmp_path)]
    arguments = ['evaluate', 'odometry', '--data', *data, '--out', str(out), '--methods']
    assert main([*arguments, '--gaps', '2', '--weights', weights[0]]) == 0
    result = json.loads((out / 'odometry.json').read_text())
    assert list(result['sequences']) == ['a/mav/seq', 'b/mav/seq', 'c/mav/seq']
    assert result['all']['SuperPoint']['frames'] == 15
    assert (out / 'trajectories' / 'c_mav_seq' / 'SuperPoint.txt').is_file()


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
