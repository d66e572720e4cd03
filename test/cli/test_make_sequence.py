# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`superpoint make-sequence` renders a flight that is read back with exact poses and depth."""

from __future__ import annotations

import errno
import json

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.data.scenes import sources, variations
from superpoint_ros.data.scenes.correspondences import DepthView, transfer
from superpoint_ros.data.sequences.euroc_writer import EurocWriter
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.data.sequences.rectification import RectifiedStereo
from support.recordings import write_euroc
from support.rooms import picture, write_room

pytest.importorskip('embreex', reason="needs the extra 'scenes'")
pytest.importorskip('scipy', reason="needs the extra 'scenes'")

from superpoint_ros.data.scenes.flights import RENDERER_VERSION

SMALL = ['--width', '96', '--height', '64', '--frames', '5', '--rate', '5', '--posters', '4']
STILL = ['--noise', '0', '--exposure', '0', '--light-change', '0', '--exposure-change', '0']


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    return str(write_room(tmp_path_factory.mktemp('scene') / 'room.glb'))


@pytest.fixture(scope='module')
def flight(room, tmp_path_factory):
    """Return the folder of a flight without noise, blur and changes of light."""
    out = tmp_path_factory.mktemp('flights') / 'room'
    assert main(['make-sequence', room, '--out', str(out), *SMALL, *STILL]) == 0
    return out


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def test_a_flight_is_read_back_with_calibration_stamps_and_moving_poses(flight):
    sequence = open_sequence(flight, with_second=True, with_depth=True)
    frames = list(sequence)
    assert sequence.camera.size == (96, 64)
    assert sequence.rate == pytest.approx(5)
    assert [frame.image.shape for frame in frames] == [(64, 96)] * 5
    assert sequence.second_camera.pose[:3, 3] == pytest.approx([0.11, 0, 0])
    assert RectifiedStereo(sequence).baseline == pytest.approx(0.11)
    places = np.array([frame.pose[:3, 3] for frame in frames])
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) * 5
    # A person walks at 0.8 m/s; in a small room corners are cut.
    assert 0.3 < speeds.mean() < 1.2
    assert ((places > [-3, -2.5, 0]) & (places < [3, 2.5, 3])).all()
    assert min(frame.depth[frame.depth > 0].min() for frame in frames) > 0.1
    assert cv2.imread(str(flight / 'frames.jpg')) is not None


def test_depth_and_poses_of_a_flight_agree(flight):
    sequence = open_sequence(flight, with_depth=True)
    first, *_, last = sequence
    views = [DepthView(frame.depth, sequence.camera.matrix) for frame in (first, last)]
    x, y = np.meshgrid(np.arange(4, 92, 4), np.arange(4, 60, 4))
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    change = np.linalg.inv(last.pose) @ first.pose
    places, seen = transfer(points, *views, change)
    # Seen: the depth in the last frame is that of the point, within 2 %.
    inside = ((places > 1) & (places < [94, 62])).all(axis=1)
    assert seen[inside].mean() > 0.9
    assert inside.mean() > 0.2


def test_the_second_image_of_a_flight_shows_what_the_depth_predicts(flight):
    sequence = open_sequence(flight, with_second=True, with_depth=True)
    frame = next(iter(sequence))
    x, y = np.meshgrid(np.arange(96, dtype=np.float32), np.arange(64, dtype=np.float32))
    shift = sequence.camera.matrix[0, 0] * 0.11 / np.maximum(frame.depth, 0.1)
    predicted = cv2.remap(frame.second, x - shift.astype(np.float32), y, cv2.INTER_LINEAR)
    inside = (x - shift > 1)[8:-8, 8:-8]
    a, b = (each[8:-8, 8:-8][inside].astype(float) for each in (frame.image, predicted))
    assert np.corrcoef(a, b)[0, 1] > 0.97
    unmoved = frame.second[8:-8, 8:-8][inside].astype(float)
    assert np.corrcoef(a, unmoved)[0, 1] < 0.9


def test_the_same_command_continues_a_flight_and_gives_the_same_files(room, tmp_path, capsys):
    out = tmp_path / 'flight'
    command = ['make-sequence', room, '--out', str(out), *SMALL, '--seed', '2']
    assert main(command) == 0
    assert '5 frames: see' in capsys.readouterr().out
    before = files_of(out)
    for sensor, number in (('cam1', 1), ('depth0', 3)):
        sorted((out / 'mav0' / sensor / 'data').iterdir())[number].unlink()
    assert main(command) == 0
    assert files_of(out) == before
    assert main([*command[:-1], '3']) == 2
    assert 'seed is 2 there and 3 here; name another folder' in capsys.readouterr().err


def test_a_recording_is_not_overwritten(room, tmp_path, capsys):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    before = files_of(folder)
    assert main(['make-sequence', room, '--out', str(folder), *SMALL]) == 2
    assert 'that superpoint make-sequence did not make; name another' in capsys.readouterr().err
    assert files_of(folder) == before


def test_flights_of_two_processes_with_other_settings_are_not_mixed(
    room, tmp_path, capsys, monkeypatch
):
    out = tmp_path / 'flight'
    command = ['make-sequence', room, '--out', str(out), *SMALL, '--frames', '2', '--seed']
    read = sources.read_sources

    def read_while_another_begins(*arguments):
        monkeypatch.undo()
        assert main([*command, '2']) == 0
        return read(*arguments)

    monkeypatch.setattr(sources, 'read_sources', read_while_another_begins)
    assert main([*command, '3']) == 2
    assert 'seed is 2 there and 3 here; name another folder' in capsys.readouterr().err
    assert json.loads((out / 'sequence.json').read_text())['settings']['seed'] == 2


@pytest.mark.parametrize('recorded', [{}, {'renderer': RENDERER_VERSION + 1}])
def test_frames_of_another_version_of_the_renderer_are_rendered_again(
    room, tmp_path, capsys, recorded
):
    out = tmp_path / 'flight'
    command = ['make-sequence', room, '--out', str(out), *SMALL, '--frames', '2']
    assert main(command) == 0
    before = files_of(out)
    description = json.loads((out / 'sequence.json').read_text())
    assert description.pop('renderer') == RENDERER_VERSION
    (out / 'sequence.json').write_text(json.dumps({**description, **recorded}))
    for sensor in ('cam0', 'cam1', 'depth0'):
        for path in (out / 'mav0' / sensor / 'data').iterdir():
            path.write_bytes(b'made by another renderer')
    capsys.readouterr()
    assert main(command) == 0
    message = 'has frames of another version of the renderer: they are rendered again'
    assert f'superpoint: {out} {message}' in capsys.readouterr().err
    assert files_of(out) == before
    assert main(command) == 0
    assert message not in capsys.readouterr().err


@pytest.mark.parametrize('outdated', [False, True])
def test_a_flight_whose_rendering_was_interrupted_is_refused_until_it_is_finished(
    room, tmp_path, capsys, monkeypatch, outdated
):
    out = tmp_path / 'flight'
    command = ['make-sequence', room, '--out', str(out), *SMALL, '--frames', '3']
    if outdated:
        assert main(command) == 0
        description = json.loads((out / 'sequence.json').read_text())
        (out / 'sequence.json').write_text(json.dumps({**description, 'renderer': 0}))
    write, written = EurocWriter.write, []

    def write_two(*arguments):
        written.append(arguments)
        if len(written) > 2:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(EurocWriter, 'write', write_two)
        assert main(command) == 130
    capsys.readouterr()
    assert main(['evaluate', 'odometry', '--data', str(out), '--out', str(tmp_path / 'out')]) == 2
    expected = f'{out} is not finished: the same superpoint make-sequence continues'
    assert expected in capsys.readouterr().err
    assert main(command) == 0
    assert len(list(open_sequence(out))) == 3


def test_a_flight_of_one_camera_has_neither_second_images_nor_depth(room, tmp_path):
    out = tmp_path / 'mono'
    options = ['--baseline', '0', '--no-depth', '--frames', '2']
    assert main(['make-sequence', room, '--out', str(out), *SMALL, *options]) == 0
    assert sorted(path.name for path in (out / 'mav0').iterdir()) == [
        'cam0',
        'state_groundtruth_estimate0',
    ]
    sequence = open_sequence(out, with_second=True, with_depth=True)
    assert sequence.second_camera is None
    assert [frame.depth for frame in sequence] == [None, None]


def test_objects_become_a_street_along_which_a_car_drives(room, tmp_path):
    cv2.imwrite(str(tmp_path / 'asphalt.png'), picture(5))
    out = tmp_path / 'street'
    options = ['--motion', 'drive', '--pictures', str(tmp_path), '--no-depth']
    command = ['make-sequence', '--street', room, '--out', str(out), *SMALL, *options]
    assert main(command) == 0
    places = np.array([frame.pose[:3, 3] for frame in open_sequence(out)])
    assert places[-1, 0] - places[0, 0] > 3  # 0.8 s at 7 m/s
    assert (np.abs(places[:, 1]) < 3).all()
    assert places[:, 2] == pytest.approx(1.5, abs=0.3)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'give one scene, SCENE or --street'),
        (['ROOM', '--street', 'ROOM'], 'give one scene, SCENE or --street'),
        (['nowhere.glb'], 'nowhere.glb does not exist'),
        (['ROOM', '--rate', '200'], 'exposure must be at most the frame interval, 0.005 s'),
        (['ROOM', '--frames', '1'], 'frames must lie between 2 and 100000, got 1'),
        (['ROOM', '--motion', 'drive', '--unit', '0.1'], 'room: found no free place'),
    ],
)
def test_wrong_input_is_named_in_one_line(room, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.setattr(variations, 'PLACES', 2)  # of 60, the search takes seconds
    words = [room if word == 'ROOM' else word for word in words]
    try:
        status = main(['make-sequence', *words, '--out', str(tmp_path / 'out')])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_several_scenes_is_refused(tmp_path, capsys):
    for name in ('a.glb', 'b.glb'):
        write_room(tmp_path / name)
    assert main(['make-sequence', str(tmp_path), '--out', str(tmp_path / 'out')]) == 2
    assert 'has 2 scenes: give one of them' in capsys.readouterr().err


def test_a_full_disk_ends_the_flight_and_the_same_command_continues(
    room, flight, tmp_path, capsys, monkeypatch
):
    write, written = EurocWriter.write, []

    def full(self, stamp, *arguments):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, 'No space left on device')
        written.append(stamp)
        write(self, stamp, *arguments)

    out = tmp_path / 'room'
    command = ['make-sequence', room, '--out', str(out), *SMALL, *STILL]
    monkeypatch.setattr(EurocWriter, 'write', full)
    assert main(command) == 1
    error = capsys.readouterr().err
    assert 'No space left on device; complete: 2 frames; the same command continues' in error
    monkeypatch.setattr(EurocWriter, 'write', write)
    assert main(command) == 0
    assert files_of(out) == files_of(flight)
