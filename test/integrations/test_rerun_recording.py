# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Recordings in Rerun have what was detected, tracked and estimated."""

from __future__ import annotations

import os
import sys
import sysconfig

import cv2
import numpy as np
import pytest

pytest.importorskip('rerun', reason='rerun-sdk is not installed')

from superpoint_ros.cli.main import main
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.integrations.rerun_recording import RerunRecording
from superpoint_ros.odometry.tracker import Tracks
from support.noise_pictures import noise_picture
from support.rerun_files import read_recording


@pytest.fixture
def recorded(tmp_path):
    """Return a function that records what another logs to a scene, and reads it back."""

    def record(log, name='scene'):
        path = tmp_path / 'new' / 'test.rrd'
        with RerunRecording(path) as recording:
            log(recording.scene(name))
        return read_recording(path)

    return record


def rgb(color):
    """Return red, green and blue of a colour of Rerun."""
    return [color >> 24 & 255, color >> 16 & 255, color >> 8 & 255]


def test_keypoints_are_at_their_pixels_and_coloured_by_score(recorded):
    keypoints = np.array([[0, 0], [10.25, 20], [63, 47]])
    features = Features(keypoints, np.array([0.9, 0.5, 0.1]), np.eye(3))

    def log(scene):
        scene.set_time(frame=7, stamp=2.5)
        scene.log_keypoints(features)

    [row] = recorded(log)['scene/world/camera/image/keypoints/SuperPoint']
    # In Rerun the centre of the first pixel is (0.5, 0.5).
    np.testing.assert_array_equal(row['positions'], keypoints + 0.5)
    assert row['frame'] == 7
    assert row['time'].total_seconds() == 2.5
    best, middle, last = map(rgb, row['colors'])
    assert best[1] > 200 > best[0]
    assert min(middle[:2]) > 200
    assert last[0] > 200 > last[1]


def test_images_are_recorded(recorded):
    image = noise_picture(0)
    [row] = recorded(lambda scene: scene.log_image(image))['scene/world/camera/image']
    assert row['media_type'] == ['image/jpeg']
    content = np.array(row['blob'][0], np.uint8)
    again = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
    assert np.abs(again.astype(int) - image).mean() < 3


def test_tracks_are_recorded_with_their_motion(recorded):
    keypoints = np.array([[5, 6], [7, 8]], np.float32)
    previous = np.array([[4, 6], [np.nan, np.nan]], np.float32)
    tracks = Tracks.new([3, 9], keypoints, previous=previous, ages=np.array([30, 1]))
    rows = recorded(lambda scene: scene.log_tracks(tracks))
    [points] = rows['scene/world/camera/image/tracks/SuperPoint']
    np.testing.assert_array_equal(points['positions'], keypoints + 0.5)
    old, new = map(rgb, points['colors'])
    assert old[1] > 200 > old[0]
    assert new[0] > 200 > new[1]
    [motion] = rows['scene/world/camera/image/motion/SuperPoint']
    np.testing.assert_array_equal(motion['strips'], [[[4.5, 6.5], [5.5, 6.5]]])


def test_poses_trajectories_and_maps_are_recorded(recorded):
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    pose[:3, 3] = 1, 2, 3
    camera = CameraModel(
        'plumb_bob', [[400, 0, 319.5], [0, 410, 239.5], [0, 0, 1]], [], (640, 480)
    )
    path, points = np.arange(9.0).reshape(3, 3), np.ones((4, 3))

    def log(scene):
        scene.log_camera(pose, camera)
        scene.log_trajectory(path, 'SuperPoint')
        scene.log_trajectory(path + 1, 'truth')
        scene.log_map(points)

    rows = recorded(log, 'room 0')
    [row] = rows['room_0/world/camera']
    assert row['translation'] == [[1, 2, 3]]
    # Column by column.
    np.testing.assert_array_equal(np.reshape(row['mat3x3'][0], (3, 3)).T, pose[:3, :3])
    [row] = rows['room_0/world/camera/image']
    np.testing.assert_array_equal(
        np.reshape(row['image_from_camera'][0], (3, 3)).T,
        [[400, 0, 320], [0, 410, 240], [0, 0, 1]],
    )
    assert row['resolution'] == [[640, 480]]
    [ours] = rows['room_0/world/SuperPoint/trajectory']
    [truth] = rows['room_0/world/truth/trajectory']
    np.testing.assert_array_equal(ours['strips'], [path])
    np.testing.assert_array_equal(truth['strips'], [path + 1])
    assert ours['colors'] != truth['colors']
    np.testing.assert_array_equal(rows['room_0/world/SuperPoint/map'][0]['positions'], points)


def test_empty_results_are_recorded(recorded):
    empty = Features.empty(8)

    def log(scene):
        scene.log_keypoints(empty)
        scene.log_trajectory(np.zeros((0, 3)))
        scene.log_map(np.zeros((0, 3)))

    rows = recorded(log)
    assert rows['scene/world/camera/image/keypoints/SuperPoint'][0]['positions'] == []
    assert rows['scene/world/SuperPoint/trajectory'][0]['strips'] == []


@pytest.mark.parametrize('has_content', [False, True])
def test_a_recording_replaces_a_file_only_if_something_was_recorded(tmp_path, has_content):
    path = tmp_path / 'old.rrd'
    path.write_bytes(b'old')
    recording = RerunRecording(path)
    scene = recording.scene('scene')
    if has_content:
        scene.log_image(noise_picture(0))
    assert path.read_bytes() == b'old'
    recording.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [each.name for each in tmp_path.iterdir()] == ['old.rrd']
    if has_content:
        assert len(read_recording(path)['scene/world/camera/image']) == 1
    else:
        assert path.read_bytes() == b'old'


@pytest.fixture
def pictures(tmp_path):
    for number in range(2):
        cv2.imwrite(str(tmp_path / f'{number}.png'), noise_picture(number))
    return tmp_path


def test_detect_records_images_and_keypoints(pictures):
    command = f'detect {pictures}/0.png {pictures}/1.png --out {pictures}/out --threshold 0.001'
    assert main([*command.split(), '--rerun', f'{pictures}/detect.rrd']) == 0
    rows = read_recording(pictures / 'detect.rrd')
    images = rows['images/world/camera/image']
    assert [row['frame'] for row in images] == [0, 1]
    for number, row in enumerate(rows['images/world/camera/image/keypoints/SuperPoint']):
        saved = Features.load(pictures / 'out' / f'{number}.npz')
        assert len(saved) > 10
        np.testing.assert_allclose(row['positions'], saved.keypoints + 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ('options', 'status', 'message'),
    [
        (['--rerun', '{}/1.png'], 2, "1.png' does not end in .rrd; for the viewer, write --rerun"),
        (['--rerun', '{}/0.png/a.rrd'], 2, '0.png'),
        (['--rerun', '{}/folder.rrd'], 2, 'folder.rrd is a folder: name a file'),
        (['--rerun', '/proc/a.rrd'], 2, 'superpoint: /proc: '),
    ],
)
def test_a_recording_that_cannot_be_written_is_named(pictures, options, status, message, capsys):
    (pictures / 'folder.rrd').mkdir()
    command = ['detect', f'{pictures}/0.png', '--out', f'{pictures}/out']
    try:
        ended = main([*command, *(option.format(pictures) for option in options)])
    except SystemExit as error:
        ended = error.code
    assert ended == status
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_recording_whose_name_is_not_utf_8_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'\.rrd is not a path in UTF-8, as Rerun needs'):
        RerunRecording(tmp_path / os.fsdecode(b'caf\xe9.rrd'))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != 'linux', reason='displays of other systems are not checked')
def test_a_viewer_without_a_display_is_one_clear_line(pictures, monkeypatch, capsys):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    command = f'detect {pictures}/0.png --out {pictures}/out --rerun'
    assert main(command.split()) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == ('superpoint: there is no display for the Rerun viewer: give a file, FILE.rrd')


def test_the_viewer_is_found_next_to_the_python_that_runs(monkeypatch):
    given = []
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setenv('PATH', '/somewhere')
    monkeypatch.setattr('rerun.RecordingStream.spawn', lambda _: given.append(os.environ['PATH']))
    with RerunRecording():
        assert given == [f'/somewhere:{sysconfig.get_path("scripts")}']
        assert os.environ['PATH'] == '/somewhere'


def test_a_viewer_that_ends_early_is_a_warning(monkeypatch, caplog):
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setattr('rerun.RecordingStream.spawn', lambda _: None)

    def fail(_):
        raise RuntimeError('unable to connect')

    monkeypatch.setattr('rerun.RecordingStream.flush', fail)
    with RerunRecording():
        pass
    [message] = caplog.messages
    assert message == 'the Rerun viewer does not answer; was it closed? (unable to connect)'


@pytest.mark.parametrize('fails', ['save', 'flush'])
def test_a_recording_on_a_full_disk_is_one_clear_line(pictures, monkeypatch, capsys, fails):
    def fail(*_, **__):
        raise RuntimeError('No space left on device')

    (pictures / 'a.rrd').write_bytes(b'old')
    monkeypatch.setattr(f'rerun.RecordingStream.{fails}', fail)
    command = f'detect {pictures}/0.png --out {pictures}/out --rerun {pictures}/a.rrd'
    assert main(command.split()) == 1
    problem = f'{pictures}/a.rrd cannot be written: is the disk full? (No space left on device)'
    assert capsys.readouterr().err.splitlines()[-1] == f'superpoint: {problem}'
    assert (pictures / 'a.rrd').read_bytes() == b'old'
    assert not list(pictures.glob('.partial*'))
    assert (pictures / 'out' / '0.npz').exists() == (fails == 'flush')


def test_an_error_before_the_end_is_not_hidden_by_a_full_disk(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError('No space left on device')

    monkeypatch.setattr('rerun.RecordingStream.flush', fail)
    with pytest.raises(KeyboardInterrupt), RerunRecording(tmp_path / 'a.rrd'):
        raise KeyboardInterrupt
    assert 'a.rrd cannot be written: is the disk full?' in caplog.messages[-1]
    assert not list(tmp_path.iterdir())


def test_rerun_that_is_not_installed_is_named(pictures, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    monkeypatch.delitem(sys.modules, 'superpoint_ros.integrations.rerun_recording')
    command = f'detect {pictures}/0.png --out {pictures}/out --rerun'
    assert main(command.split()) == 2
    assert "needs the module rerun: pip install '.[rerun]'" in capsys.readouterr().err
