# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint evaluate odometry` measures in the simulated room and on recordings."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('evo', reason='evo is not installed')
pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.cli.main import main
from superpoint_ros.data.sequences import frame_files
from support.noise_pictures import noise_picture

CALIBRATION = """
image_width: 96
image_height: 72
camera_matrix: {data: [70, 0, 47.5, 0, 70, 35.5, 0, 0, 1]}
distortion_coefficients: {data: [-0.05, 0, 0, 0, 0]}
"""


@pytest.fixture
def calibration(tmp_path):
    """Return the file of a calibration, as a word."""
    path = tmp_path / 'camera.yaml'
    path.write_text(CALIBRATION)
    return str(path)


def test_evaluate_odometry_measures_in_the_simulated_room(weights, calibration, tmp_path, capsys):
    arguments = ['evaluate', 'odometry', '--weights', weights, '--methods', 'orb']
    arguments += ['--seeds', '4', '--frames', '5', '--gaps', '2', '--max-keypoints', '60']
    arguments += ['--calibration', calibration, '--out', str(tmp_path / 'out')]
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


def test_a_report_of_the_odometry_has_no_trajectories_of_an_earlier_one(
    weights, calibration, tmp_path
):
    out = tmp_path / 'out'
    arguments = ['evaluate', 'odometry', '--weights', weights, '--out', str(out)]
    arguments += ['--calibration', calibration, '--max-keypoints', '60']
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


def test_values_and_methods_that_are_given_twice_count_once(weights, calibration, tmp_path):
    arguments = f'evaluate odometry --weights {weights} --methods orb orb klt orb --frames 5'
    arguments += f' --seeds 4 4 --gaps 2 2 --max-keypoints 60 --out {tmp_path / "out"}'
    arguments += f' --calibration {calibration}'
    assert main(arguments.split()) == 0
    result = json.loads((tmp_path / 'out' / 'odometry.json').read_text())
    assert list(result['all']) == ['SuperPoint', 'ORB', 'Shi-Tomasi + KLT']
    assert (result['all']['ORB']['frames'], result['gaps']) == (5, [2])
    assert result['all']['ORB']['two_views']['2']['pairs'] == 3
    assert result['source']['simulated']['seeds'] == [4]


def test_evaluate_odometry_skips_and_names_photographs_that_cannot_be_read(
    weights, calibration, tmp_path, capsys
):
    photographs = tmp_path / 'photographs'
    photographs.mkdir()
    cv2.imwrite(str(photographs / 'good.png'), noise_picture(0, (128, 96)))
    (photographs / 'bad.jpg').write_bytes(b'no image')
    arguments = ['evaluate', 'odometry', '--weights', weights, '--methods']
    arguments += ['--calibration', calibration, '--max-keypoints', '60']
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


def test_evaluate_odometry_needs_poses_and_calibration_of_a_recording(
    weights, calibration, tmp_path, capsys
):
    folder = tmp_path / 'recording'
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), np.zeros((72, 96), np.uint8))
    arguments = ['evaluate', 'odometry', '--data', str(folder), '--weights', weights]
    arguments += ['--methods', '--gaps', '2', '--out', str(tmp_path / 'out')]
    assert main(arguments) == 2
    assert 'recording: it has no calibration' in capsys.readouterr().err
    assert main([*arguments, '--calibration', calibration]) == 2
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
    weights, calibration, tmp_path, capsys, monkeypatch, kind, message
):
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
    if kind == 'video':
        source = tmp_path / 'recording.avi'
        writer = cv2.VideoWriter(str(source), cv2.VideoWriter_fourcc(*'MJPG'), 20, (96, 72))
        writer.write(np.zeros((72, 96, 3), np.uint8))
        writer.release()

    def read(*_):
        raise AssertionError('an image is read')

    monkeypatch.setattr(frame_files, 'read_image', read)
    arguments = ['evaluate', 'odometry', '--data', str(source), '--weights', weights]
    arguments += ['--calibration', calibration, '--methods', 'klt', '--out', str(tmp_path / 'out')]
    arguments += ['--scale', 'depth'] if kind == 'no depth' else []
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_evaluate_odometry_measures_a_folder_of_sequences_and_writes_trajectories(
    weights, tmp_path, capsys
):
    for name, count in (('first', 6), ('second', 5), ('single', 1)):
        write_recording(tmp_path / 'all' / name, count)
    out = tmp_path / 'out'
    arguments = ['evaluate', 'odometry', '--data', str(tmp_path / 'all'), '--out', str(out)]
    arguments += ['--methods', 'klt', 'orb', '--gaps', '2', '--max-keypoints', '60']
    arguments += ['--weights', weights]
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
    for flight in 'abc':
        write_recording(tmp_path / flight / 'mav' / 'seq', 5)
    out = tmp_path / 'out'
    data = [str(tmp_path / 'a'), str(tmp_path)]
    arguments = ['evaluate', 'odometry', '--data', *data, '--out', str(out), '--methods']
    assert main([*arguments, '--gaps', '2', '--weights', weights]) == 0
    result = json.loads((out / 'odometry.json').read_text())
    assert list(result['sequences']) == ['a/mav/seq', 'b/mav/seq', 'c/mav/seq']
    assert result['all']['SuperPoint']['frames'] == 15
    assert (out / 'trajectories' / 'c_mav_seq' / 'SuperPoint.txt').is_file()
