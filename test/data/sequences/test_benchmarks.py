# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Folders in the layouts of the TUM RGB-D, KITTI odometry and EuRoC benchmarks."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from superpoint_ros.data.sequences.opening import list_sequences, open_sequence
from superpoint_ros.data.sequences.text_files import read_calibration
from superpoint_ros.geometry.poses import pose_matrix
from support.recordings import (
    CALIBRATION,
    EUROC_SENSOR,
    EUROC_START,
    QUARTER,
    TUM_POSES,
    write_depth,
    write_euroc,
    write_image,
    write_kitti,
    write_tum,
)


@pytest.mark.parametrize('listed', [True, False])
def test_a_tum_folder_gives_images_with_interpolated_poses(tmp_path, listed):
    stamps = ('99.9', '100.05', '100.10', '100.15', '100.6')
    sequence = open_sequence(write_tum(tmp_path / 'rgbd_freiburg2_test', stamps, listed))
    frames = list(sequence)
    assert [frame.stamp for frame in frames] == [float(stamp) for stamp in stamps]
    assert [int(frame.image[0, 0]) for frame in frames] == [0, 10, 20, 30, 40]
    assert sequence.rate == pytest.approx(4 / 0.7)
    # Before the first, and in a gap of the measurements, nothing is known.
    assert frames[0].pose is None
    assert frames[4].pose is None
    eighth = np.pi / 8
    half_way = pose_matrix([1.5, 2, 3], [0, 0, np.sin(eighth), np.cos(eighth)])
    np.testing.assert_allclose(frames[1].pose, half_way, atol=1e-12)
    measured = pose_matrix([2, 2, 3], [0, 0, QUARTER, QUARTER])
    np.testing.assert_allclose(frames[2].pose, measured, atol=1e-12)
    # The same rotation before and after, written with the other sign.
    np.testing.assert_allclose(frames[3].pose[:3, :3], measured[:3, :3], atol=1e-12)
    assert frames[3].pose[0, 3] == pytest.approx(2.5)


def test_the_calibration_of_a_tum_folder_is_its_own_or_that_of_the_benchmark(tmp_path):
    folder = write_tum(tmp_path / 'rgbd_dataset_freiburg2_desk', ['100.0'], True)
    camera = open_sequence(folder).camera
    assert camera.matrix[0, 0] == 520.908620
    assert camera.distortion[4] == 0.917205
    (folder / 'camera_info.yaml').write_text(CALIBRATION)
    assert open_sequence(folder).camera.matrix[1, 1] == 21
    assert open_sequence(write_tum(tmp_path / 'mine', ['100.0'], True)).camera is None


def test_a_calibration_file_replaces_that_of_the_source(tmp_path):
    write_image(tmp_path / 'images' / '1.png', 5)
    (tmp_path / 'camera.yaml').write_text(CALIBRATION)
    sequence = open_sequence(tmp_path / 'images', calibration=tmp_path / 'camera.yaml')
    assert sequence.camera.size == (32, 24)
    assert sequence.camera.distortion.tolist() == [0.1, 0.2, 0, 0, 0.3]
    assert open_sequence(tmp_path / 'images').camera is None
    (tmp_path / 'bad.yaml').write_text('camera_matrix: 3')
    with pytest.raises(ValueError, match=r'bad\.yaml is not a calibration'):
        open_sequence(tmp_path / 'images', calibration=tmp_path / 'bad.yaml')
    with pytest.raises(FileNotFoundError, match='no calibration file'):
        open_sequence(tmp_path / 'images', calibration=tmp_path / 'none.yaml')


def test_a_calibration_file_that_opencv_has_written_is_read(tmp_path):
    text = '%YAML:1.0\n---\n' + CALIBRATION
    for name in ('camera_matrix', 'distortion_coefficients'):
        text = text.replace(f'{name}:', f'{name}: !!opencv-matrix')
    assert '!!opencv-matrix' in text
    (tmp_path / 'camera.yaml').write_text(text)
    camera = read_calibration(tmp_path / 'camera.yaml')
    assert camera.distortion.tolist() == [0.1, 0.2, 0, 0, 0.3]


def test_tables_of_windows_programs_are_read(tmp_path):
    folder = write_tum(tmp_path / 'fr1', ['100.05', '100.10'], True)
    for table in folder.glob('*.txt'):
        lines = [line for line in table.read_text().splitlines() if not line.startswith('#')]
        table.write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(lines).encode())
    frames = list(open_sequence(folder))
    assert [frame.stamp for frame in frames] == [100.05, 100.10]
    assert all(frame.pose is not None for frame in frames)


def rewrite(table, header, separator):
    """Rewrite a table as spreadsheets do: a header without #, CRLF, spaces, and empty lines."""
    lines = [line for line in table.read_text().splitlines() if not line.startswith('#')]
    lines = ['', header, *(line.replace(',', separator) for line in lines), '', '  ', '']
    table.write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(lines).encode())


def test_headers_of_tables_need_no_mark(tmp_path):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    expected = [(frame.nanoseconds, frame.pose) for frame in open_sequence(folder)]
    for camera in ('cam0', 'cam1'):
        rewrite(folder / 'mav0' / camera / 'data.csv', 'timestamp [ns],filename', ', ')
    poses = folder / 'mav0' / 'state_groundtruth_estimate0' / 'data.csv'
    rewrite(poses, 'timestamp, p_RS_R_x [m], p_RS_R_y [m]', ' , ')
    sequence = open_sequence(folder, with_second=True)
    assert [int(frame.second[0, 0]) for frame in sequence] == [100, 101, 102]
    for frame, (stamp, pose) in zip(sequence, expected, strict=True):
        assert frame.nanoseconds == stamp
        np.testing.assert_array_equal(frame.pose, pose)

    folder = write_tum(tmp_path / 'fr1', ['100.05', '100.10'], True)
    write_depth(folder / 'depth' / '100.05.png', 5000)
    (folder / 'depth.txt').write_text('100.05 depth/100.05.png')
    for table in folder.glob('*.txt'):
        rewrite(table, 'timestamp value', ',')
    first, last = open_sequence(folder, with_depth=True)
    assert [first.stamp, last.stamp] == [100.05, 100.10]
    assert first.pose is not None
    assert first.depth.max() == 1

    folder = write_kitti(tmp_path)
    rewrite(folder / 'times.txt', 'time', ',')
    rewrite(tmp_path / 'poses' / '07.txt', 'r11 r12 r13 tx', ',')
    rewrite(folder / 'calib.txt', '', ',')
    frames = list(open_sequence(folder))
    assert [frame.stamp for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert frames[2].pose[:3, 3].tolist() == [2, 0, 4]


@pytest.mark.parametrize(
    ('table', 'line', 'problem'),
    [
        ('groundtruth.txt', '100.0 1 2 3 0 0 0', 'groundtruth.txt, line 2: 8 columns are needed'),
        ('groundtruth.txt', 'a b\nc d', 'groundtruth.txt, line 3: 8 columns are needed, got 2'),
        ('groundtruth.txt', '100.0 1 2 x 0 0 0 1', 'groundtruth.txt must have 8 numbers in each'),
        ('rgb.txt', 'nan rgb/100.0.png', 'rgb.txt has stamps that are not finite'),
        ('rgb.txt', '', 'fr1 has no images that rgb.txt lists'),
    ],
)
def test_a_bad_line_of_a_tum_folder_is_named(tmp_path, table, line, problem):
    folder = write_tum(tmp_path / 'fr1', ['100.0'], True)
    (folder / table).write_text(f'# comment\n{line}\n')
    with pytest.raises(ValueError, match=problem):
        open_sequence(folder)


def test_a_pose_of_a_tum_folder_that_is_not_valid_is_left_out_and_named(tmp_path, caplog):
    folder = write_tum(tmp_path / 'fr1', ['100.05', '100.15'], True)
    lines = TUM_POSES.splitlines()
    lines[3] = '100.20 3 2 3 0 0 0 0'
    (folder / 'groundtruth.txt').write_text('\n'.join(lines))
    with caplog.at_level(logging.WARNING):
        poses = [frame.pose for frame in open_sequence(folder)]
    assert poses[0] is not None
    assert poses[1] is None
    assert 'groundtruth.txt: left out 1 of 4 poses, the first is number 2' in caplog.text


def test_a_kitti_folder_gives_its_images_with_calibration_and_poses(tmp_path):
    sequence = open_sequence(write_kitti(tmp_path, (2, 0)))
    frames = list(sequence)
    assert [int(frame.image[0, 0]) for frame in frames] == [0, 1, 2]
    assert [frame.stamp for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert sequence.rate == pytest.approx(10)
    assert frames[2].pose[:3, 3].tolist() == [2, 0, 4]
    assert sequence.camera.matrix.tolist() == [[700, 0, 15], [0, 700, 11], [0, 0, 1]]
    assert sequence.camera.size == (32, 24)


def test_poses_of_a_kitti_folder_are_those_of_the_colour_camera(tmp_path):
    sequence = open_sequence(write_kitti(tmp_path, (2,)))
    frames = list(sequence)
    assert int(frames[1].image[0, 0]) == 101
    # A point at the origin of the world is seen at x = 42 / z: the camera is 0.06 m to the left.
    np.testing.assert_allclose(frames[1].pose[:3, 3], [1 - 0.06, 0, 2])
    np.testing.assert_allclose(frames[2].pose[:3, 3], [2, 0, 4 + 0.06])


def test_images_of_a_part_of_a_kitti_sequence_have_their_own_stamps_and_poses(tmp_path):
    folder = write_kitti(tmp_path, (0, 1))
    (folder / 'image_0' / '000001.png').unlink()
    sequence = open_sequence(folder, with_second=True)
    first, last = sequence
    assert [first.stamp, last.stamp] == [0, 0.2]
    assert last.pose[:3, 3].tolist() == [2, 0, 4]
    assert (int(last.image[0, 0]), int(last.second[0, 0])) == (2, 102)
    assert sequence.rate == pytest.approx(5)
    (folder / 'image_0' / '000002.png').rename(folder / 'image_0' / '000003.png')
    with pytest.raises(ValueError, match=r'times\.txt has 3 lines, for .* none for .*000003\.png'):
        open_sequence(folder)
    # Names that are not numbers of frames are in the order of the lines.
    (folder / 'image_0' / '000003.png').rename(folder / 'image_0' / 'last.png')
    assert [frame.stamp for frame in open_sequence(folder)] == [0, 0.1]


def test_a_damaged_first_image_of_a_kitti_folder_is_skipped_and_named(tmp_path, caplog):
    folder = write_kitti(tmp_path)
    (folder / 'image_0' / '000000.png').write_bytes(b'')
    sequence = open_sequence(folder)
    assert sequence.camera.size == (32, 24)
    assert [frame.stamp for frame in sequence] == [0.1, 0.2]
    assert 'skipped: ' in caplog.text
    assert '000000.png' in caplog.text
    for number in (1, 2):
        (folder / 'image_0' / f'{number:06d}.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'none of the images could be read \(3 skipped\)'):
        open_sequence(folder)


@pytest.mark.parametrize('name', ['times.txt', 'calib.txt'])
def test_a_file_that_a_kitti_folder_lacks_is_named(tmp_path, name):
    folder = write_kitti(tmp_path)
    (folder / name).unlink()
    assert list_sequences(tmp_path) == [folder]
    with pytest.raises(ValueError, match=f'has no {name}, which sequences of KITTI'):
        open_sequence(folder)


def test_a_kitti_folder_without_poses_or_with_too_few_times(tmp_path):
    folder = write_kitti(tmp_path)
    (tmp_path / 'poses' / '07.txt').unlink()
    assert [frame.pose for frame in open_sequence(folder)] == [None] * 3
    (folder / 'times.txt').write_text('0.0\n')
    with pytest.raises(ValueError, match=r'times\.txt has 1 line for 3 images'):
        open_sequence(folder)
    (folder / 'calib.txt').write_text('P1: 1 2 3')
    (folder / 'times.txt').write_text('0.0\n0.1\n0.2\n')
    with pytest.raises(ValueError, match='no line P0'):
        open_sequence(folder)
    (folder / 'calib.txt').write_text(f'P0: {" 0" * 12}')
    with pytest.raises(ValueError, match=r'calib\.txt is not a calibration: .* focal lengths'):
        open_sequence(folder)
    (folder / 'calib.txt').write_text(f'P0: {" 1" * 11} one')
    with pytest.raises(ValueError, match=r'calib\.txt, line P0: could not convert'):
        open_sequence(folder)
    (folder / 'times.txt').write_text('0.0\nnan\n0.2\n')
    with pytest.raises(ValueError, match=r'times\.txt has stamps that are not finite'):
        open_sequence(folder)
    (folder / 'image_0').rename(folder / 'image_4')
    with pytest.raises(ValueError, match='07 has none of image_0 to image_3'):
        open_sequence(folder)
    (folder / 'image_0').mkdir()
    with pytest.raises(ValueError, match='image_0 has no images'):
        open_sequence(folder)


@pytest.mark.parametrize('poses', ['state_groundtruth_estimate0', 'mocap0'])
@pytest.mark.parametrize('part', ['', 'mav0', 'mav0/cam0', 'mav0/cam0/data'])
def test_a_euroc_folder_gives_images_with_stamps_calibration_and_poses(tmp_path, part, poses):
    sequence = open_sequence(write_euroc(tmp_path / 'MH_01_easy', poses) / part)
    frames = list(sequence)
    assert [int(frame.image[0, 0]) for frame in frames] == [0, 1, 2]
    expected = [EUROC_START / 1e9 + 0.05 * index for index in range(3)]
    assert [frame.stamp for frame in frames] == pytest.approx(expected, abs=1e-6)
    assert frames[0].nanoseconds == EUROC_START
    assert sequence.rate == pytest.approx(20)
    assert sequence.camera.matrix.tolist() == [[20.5, 0, 15], [0, 21.5, 11], [0, 0, 1]]
    assert sequence.camera.model == 'plumb_bob'
    assert sequence.camera.distortion.tolist() == [-0.28, 0.07, 0.0002, 1.7e-05]
    assert sequence.camera.size == (32, 24)
    # The camera is 0.5 m along x of the body, which is -x of the world.
    for index, frame in enumerate(frames):
        np.testing.assert_allclose(frame.pose[:3, 3], [0.05 * index - 0.5, 2, 3], atol=1e-6)
        # x of the camera is y of the body, hence -y of the world.
        np.testing.assert_allclose(frame.pose[:3, 0], [0, -1, 0], atol=1e-12)


def test_quaternions_of_a_euroc_folder_begin_with_w(tmp_path):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    table = folder / 'mav0' / 'state_groundtruth_estimate0' / 'data.csv'
    table.write_text(f'{EUROC_START},4,5,6,0.1,0.3,-0.5,0.7')
    sequence = open_sequence(folder)
    (first, *_) = sequence
    body = first.pose @ np.linalg.inv(
        [[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]  # T_BS of EUROC_SENSOR
    )
    np.testing.assert_allclose(body, pose_matrix([4, 5, 6], [0.3, -0.5, 0.7, 0.1]), atol=1e-9)


def test_the_second_camera_of_a_euroc_folder_can_be_given(tmp_path):
    folder = write_euroc(tmp_path / 'V1_01_easy')
    (first, *_) = open_sequence(folder / 'mav0' / 'cam1')
    assert int(first.image[0, 0]) == 100


def test_a_euroc_folder_without_tables_has_stamps_and_a_warning(tmp_path, caplog):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    for name in ('data.csv', 'sensor.yaml'):
        (folder / 'mav0' / 'cam0' / name).unlink()
    with caplog.at_level(logging.WARNING):
        sequence = open_sequence(folder)
    assert next(iter(sequence)).stamp == pytest.approx(EUROC_START / 1e9, abs=1e-6)
    assert sequence.camera is None
    assert 'left out the calibration and the true poses' in caplog.text
    assert 'sensor.yaml' in caplog.text


def test_a_euroc_folder_with_a_bad_calibration_has_none_and_a_warning(tmp_path, caplog):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    bad = EUROC_SENSOR.replace('T_BS:', 'T_SB:')
    (folder / 'mav0' / 'cam0' / 'sensor.yaml').write_text(bad)
    with caplog.at_level(logging.WARNING):
        sequence = open_sequence(folder)
    assert (sequence.camera, next(iter(sequence)).pose) == (None, None)
    assert 'sensor.yaml is not a calibration of EuRoC' in caplog.text
    assert "KeyError: 'T_BS'" in caplog.text


def test_a_euroc_pose_of_the_camera_must_be_finite(tmp_path, caplog):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    bad = EUROC_SENSOR.replace('data: [0,', 'data: [.nan,')
    (folder / 'mav0' / 'cam0' / 'sensor.yaml').write_text(bad)
    assert open_sequence(folder).camera is None
    assert 'T_BS has numbers that are not finite' in caplog.text


@pytest.mark.parametrize('stamp', ['soon', '1.5', '9' * 20])
def test_a_stamp_of_a_euroc_image_that_is_no_number_of_nanoseconds_is_named(tmp_path, stamp):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    (folder / 'mav0' / 'cam0' / 'data.csv').write_text(f'#stamp,name\n0,a.png\n{stamp},b.png')
    with pytest.raises(ValueError, match=r'data\.csv must have stamps in nanoseconds'):
        open_sequence(folder)


def test_a_calibration_file_that_is_not_yaml_is_named(tmp_path):
    write_image(tmp_path / '1.png', 5)
    (tmp_path / 'sensor.yaml').write_text('T_BS: [0, 1')
    with pytest.raises(ValueError, match=r'sensor\.yaml is not a YAML file'):
        open_sequence(tmp_path / '1.png', calibration=tmp_path / 'sensor.yaml')


def test_a_sensor_yaml_of_euroc_can_be_the_calibration_of_any_source(tmp_path):
    write_image(tmp_path / 'images' / '1.png', 5)
    (tmp_path / 'sensor.yaml').write_text(EUROC_SENSOR)
    sequence = open_sequence(tmp_path / 'images', calibration=tmp_path / 'sensor.yaml')
    assert sequence.camera.matrix[0, 0] == 20.5
