# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Stereo images and depth of benchmark folders, and their rectification."""

from __future__ import annotations

from dataclasses import replace
import logging

import cv2
import numpy as np
import pytest

from superpoint_ros.data.sequences.frame_files import nearest_stamps
from superpoint_ros.data.sequences.opening import list_sequences, open_sequence
from superpoint_ros.data.sequences.rectification import RectifiedStereo
from superpoint_ros.data.sequences.sequence import Frame, FrameSequence, SecondCamera
from superpoint_ros.geometry.camera_model import CameraModel
from support.recordings import (
    EUROC_START,
    write_depth,
    write_euroc,
    write_image,
    write_kitti,
    write_tum,
)


def test_a_euroc_folder_gives_the_second_image_and_the_pose_of_its_camera(tmp_path):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    sequence = open_sequence(folder, with_second=True)
    assert [int(frame.second[0, 0]) for frame in sequence] == [100, 101, 102]
    expected = np.eye(4)
    expected[1, 3] = -0.1
    np.testing.assert_allclose(sequence.second_camera.pose, expected, atol=1e-12)
    assert sequence.second_camera.camera.matrix[0, 0] == 20.5
    assert [frame.second for frame in open_sequence(folder)] == [None] * 3


def test_a_second_image_that_is_missing_or_damaged_is_left_out_and_named(tmp_path, caplog):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    data = folder / 'mav0' / 'cam1' / 'data'
    (data / f'{EUROC_START}.png').unlink()
    (data / f'{EUROC_START + 50_000_000}.png').write_bytes(b'no image')
    with caplog.at_level(logging.WARNING):
        frames = list(open_sequence(folder, with_second=True))
    assert [frame.second is None for frame in frames] == [True, True, False]
    assert f'there is no image file {data / str(EUROC_START)}.png' in caplog.text
    assert f'{EUROC_START + 50_000_000}.png cannot be read' in caplog.text


@pytest.mark.parametrize('lost', ['cam1', 'cam1/sensor.yaml'])
def test_a_euroc_folder_without_second_camera_is_monocular(tmp_path, lost):
    folder = write_euroc(tmp_path / 'MH_01_easy')
    (folder / 'mav0' / lost).rename(tmp_path / 'elsewhere')
    sequence = open_sequence(folder, with_second=True)
    assert sequence.second_camera is None
    assert len(list(sequence)) == 3
    with pytest.raises(ValueError, match='this one has no second camera'):
        RectifiedStereo(sequence)


def test_a_rendered_sequence_has_depth_in_millimetres(tmp_path):
    folder = write_euroc(tmp_path / 'house')
    write_depth(folder / 'mav0' / 'depth0' / 'data' / f'{EUROC_START}.png', 2500)
    first, second, _ = open_sequence(folder, with_depth=True)
    assert first.depth.dtype == np.float32
    assert first.depth[3, 4] == 2.5
    assert second.depth is None
    assert next(iter(open_sequence(folder))).depth is None


def test_a_kitti_folder_gives_the_right_image_and_the_baseline(tmp_path):
    folder = write_kitti(tmp_path, (0, 1))
    sequence = open_sequence(folder, with_second=True)
    assert [int(frame.second[0, 0]) for frame in sequence] == [100, 101, 102]
    assert [frame.second for frame in open_sequence(folder)] == [None] * 3
    np.testing.assert_allclose(sequence.second_camera.pose[:3, 3], [0.5, 0, 0])
    stereo = RectifiedStereo(sequence)
    assert stereo.baseline == pytest.approx(0.5)
    np.testing.assert_allclose(stereo.second_camera.pose[:3, 3], [0.5, 0, 0])
    assert stereo.camera is sequence.camera
    assert [int(frame.second[0, 0]) for frame in stereo] == [100, 101, 102]


def test_a_kitti_folder_without_right_images_is_monocular(tmp_path):
    folder = write_kitti(tmp_path, (0,))
    sequence = open_sequence(folder, with_second=True)
    assert sequence.second_camera is None
    assert [frame.second for frame in sequence] == [None] * 3


def test_times_of_a_kitti_folder_that_go_back_are_named(tmp_path):
    folder = write_kitti(tmp_path)
    (folder / 'times.txt').write_text('0.0\n0.2\n0.1\n')
    with pytest.raises(ValueError, match=r'times\.txt: the stamps must ascend, number 3'):
        open_sequence(folder)


@pytest.mark.parametrize('listed', [True, False])
def test_a_tum_folder_gives_the_depth_with_the_nearest_stamp(tmp_path, listed):
    folder = write_tum(tmp_path / 'fr1', ['100.00', '100.05', '100.10'], listed)
    # Nearer to the second image than the one at 100.056; none is within 20 ms of the third.
    depths = {'99.99': 5000, '100.048': 10000, '100.056': 15000, '100.13': 20000}
    for stamp, value in depths.items():
        write_depth(folder / 'depth' / f'{stamp}.png', value)
    if listed:
        lines = [f'{stamp} depth/{stamp}.png' for stamp in reversed(depths)]
        (folder / 'depth.txt').write_text('# depth maps\n' + '\n'.join(lines))
    frames = list(open_sequence(folder, with_depth=True))
    assert [None if frame.depth is None else frame.depth[5, 5] for frame in frames] == [1, 2, None]
    assert [frame.depth for frame in open_sequence(folder)] == [None] * 3


def test_depth_images_that_cannot_be_used_are_left_out_and_named(tmp_path, caplog):
    stamps = ['100.00', '100.05', '100.10', '100.15', '100.20']
    folder = write_tum(tmp_path / 'fr1', stamps, True)
    lines = [f'{stamp} depth/{stamp}.png' for stamp in stamps]
    (folder / 'depth.txt').write_text('\n'.join(lines))
    (folder / 'depth').mkdir()
    cv2.imwrite(str(folder / 'depth' / '100.05.png'), np.zeros((24, 32, 3), np.uint8))
    cv2.imwrite(str(folder / 'depth' / '100.10.png'), np.ones((12, 16), np.uint16))
    write_depth(folder / 'depth' / '100.15.png', 5000)
    (folder / 'depth' / '100.20.png').write_bytes(b'P5\n1000000 1000000\n65535\n')
    with caplog.at_level(logging.WARNING):
        frames = list(open_sequence(folder, with_depth=True))
    assert [frame.depth is None for frame in frames] == [True, True, True, False, True]
    assert '100.00.png' in caplog.text
    assert '100.05.png is not a depth image: one channel of 16 bits is needed' in caplog.text
    assert '100.10.png has another size than' in caplog.text
    assert '100.20.png cannot be read as an image' in caplog.text


def test_depth_images_that_all_have_one_fault_are_not_all_named(tmp_path, caplog):
    stamps = [f'{100 + 0.05 * number:.2f}' for number in range(9)]
    folder = write_tum(tmp_path / 'fr1', stamps)
    for stamp in stamps:
        write_image(folder / 'depth' / f'{stamp}.png', 5)
    with caplog.at_level(logging.WARNING):
        assert len(list(open_sequence(folder, with_depth=True))) == 9
    assert caplog.text.count('is not a depth image') == 5
    assert caplog.messages[-1].endswith(': 4 more warnings like these')


@pytest.mark.parametrize('kind', ['stereo', 'depth'])
def test_stamps_that_never_belong_together_are_named(tmp_path, caplog, kind):
    if kind == 'stereo':
        folder = write_euroc(tmp_path / 'MH_01_easy')
        table = folder / 'mav0' / 'cam1' / 'data.csv'
        rows = [line.split(',') for line in table.read_text().splitlines()[1:]]
        table.write_text(''.join(f'{int(stamp) + 25_000_000},{name}\n' for stamp, name in rows))
        named, difference = table, '0.025 s, 0.001 s are allowed'
    else:
        folder = write_tum(tmp_path / 'fr1', ['100.00', '100.05', '100.10'])
        named, difference = folder / 'depth', '0.08 s, 0.02 s are allowed'
        write_depth(named / '100.18.png', 5000)
    with caplog.at_level(logging.WARNING):
        frames = list(open_sequence(folder, with_second=True, with_depth=True))
    assert [(frame.second, frame.depth) for frame in frames] == [(None, None)] * 3
    assert f'{named}: none of its images belongs to one of the camera' in caplog.text
    assert f'stamps differ by at least {difference}' in caplog.text


def test_stamps_are_associated_one_to_one_smallest_difference_first():
    assert nearest_stamps([1.0, 2.0, 3.0], [1.01, 1.99, 2.005, 4.0], 0.02) == {0: 0, 1: 2}
    # 1.00 is nearer to 1.004 than 1.01 is.
    assert nearest_stamps([1.0, 1.01], [1.004], 0.02) == {0: 0}
    assert nearest_stamps([], [1.0], 0.02) == {}
    assert nearest_stamps([1.0], [], 0.02) == {}


class Pair(FrameSequence):
    """One frame of a stereo pair with distortion, whose cameras are turned a little."""

    rate = 10.0

    def __init__(self, distortion=(-0.2, 0.05, 0.001, 0.0), model='plumb_bob'):
        base = CameraModel.of_view((320, 240), 80)
        self.camera = CameraModel(model, base.matrix, np.array(distortion), (320, 240))
        pose = np.eye(4)
        pose[:3, :3], _ = cv2.Rodrigues(np.array([0.02, -0.03, 0.05]))
        pose[:3, 3] = [0.11, 0.004, -0.003]
        self.second_camera = SecondCamera(self.camera, pose)

    def __iter__(self):
        images = [np.zeros((240, 320), np.uint8) for _ in range(2)]
        poses = (np.eye(4), self.second_camera.pose)
        for image, pose in zip(images, poses, strict=True):
            for point in POINTS:
                seen = self.pixel(point, pose)
                cv2.circle(image, tuple(round(16 * s) for s in seen), 48, 255, -1, shift=4)
        yield Frame(images[0], 0.0, '0', pose=np.eye(4), second=images[1])

    def pixel(self, point, pose):
        """Return the pixel of a point of the first camera's coordinates."""
        inverse = np.linalg.inv(pose)
        turn, shift = cv2.Rodrigues(inverse[:3, :3])[0], inverse[:3, 3]
        camera, points = self.camera, np.array([[point]], float)
        if camera.model == 'equidistant':
            fisheye = cv2.fisheye.projectPoints
            seen, _ = fisheye(points, turn, shift, camera.matrix, camera.distortion)
        else:
            seen, _ = cv2.projectPoints(points, turn, shift, camera.matrix, camera.distortion)
        return seen.ravel()


POINTS = ((-0.5, -0.3, 2.0), (0.4, 0.5, 3.0), (0.6, -0.4, 1.8))


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [('plumb_bob', (-0.2, 0.05, 0.001, 0.0)), ('equidistant', (-0.01, 0.003, 0, 0))],
)
def test_rectified_images_have_corresponding_points_in_one_row(model, distortion):
    pair = Pair(distortion, model)
    stereo = RectifiedStereo(pair)
    length = np.linalg.norm(pair.second_camera.pose[:3, 3])
    assert stereo.baseline == pytest.approx(length)
    (frame,) = stereo
    spots = []
    for image in (frame.image, frame.second):
        _, _, _, centres = cv2.connectedComponentsWithStats((image > 127).astype(np.uint8))
        spots.append(centres[1:])
    assert len(spots[0]) == len(spots[1]) == len(POINTS)
    focal = stereo.camera.matrix[0, 0]
    for point in POINTS:
        # The pose of the frame is that of the rectified camera; the first one is at the origin.
        inside = frame.pose[:3, :3].T @ point
        expected = (stereo.camera.matrix @ inside / inside[2])[:2]
        left, right = (each[np.argmin(abs(each - expected).sum(axis=1))] for each in spots)
        np.testing.assert_allclose(left, expected, atol=0.5)
        assert left[1] == pytest.approx(right[1], abs=0.5)
        assert focal * stereo.baseline / (left[0] - right[0]) == pytest.approx(inside[2], rel=0.06)


def test_pairs_are_rectified_unless_nothing_is_left_to_do():
    def is_rectified(pose=(), first=(), second=()):
        """Return whether frames pass unchanged; values differ from those of a rectified pair."""
        pair = Pair(distortion=(), model='plumb_bob')
        to_second = np.eye(4)
        to_second[:3, 3] = [0.11, 0, 0]
        for place, value in pose:
            to_second[place] = value
        pair.camera = replace(pair.camera, **dict(first))
        pair.second_camera = SecondCamera(replace(pair.camera, **dict(second)), to_second)
        (original,), (frame,) = pair, RectifiedStereo(pair)
        return (frame.image == original.image).all() and (frame.second == original.second).all()

    assert is_rectified()
    assert is_rectified(pose=[((1, 3), 0.001)])  # a hundredth of the baseline
    turned = cv2.Rodrigues(np.array([0, 0, 0.01]))[0]
    longer = np.diag([1.05, 1.05, 1]) @ Pair().camera.matrix
    distortion = np.array([-0.2, 0.05, 0.0, 0.0])
    for difference in (
        {'pose': [((1, 3), 0.005)]},
        {'pose': [((slice(3), slice(3)), turned)]},
        {'second': [('matrix', longer)]},
        {'second': [('distortion', distortion)]},
        {'first': [('distortion', distortion)], 'second': [('distortion', np.zeros(0))]},
    ):
        assert not is_rectified(**difference), difference


def test_cameras_that_are_not_side_by_side_are_named():
    pair = Pair()
    pair.second_camera.pose[:3, 3] *= -1
    with pytest.raises(ValueError, match='to the right of the first: exchange'):
        RectifiedStereo(pair)
    pair.second_camera.pose[:3, 3] = 0
    with pytest.raises(ValueError, match='both cameras are in one place'):
        RectifiedStereo(pair)
    pair.second_camera.pose[:3, 3] = [0, 0.1, 0]
    with pytest.raises(ValueError, match='one camera is above the other'):
        RectifiedStereo(pair)


def test_images_of_another_size_than_the_calibration_are_not_rectified():
    class Reduced(Pair):
        def __iter__(self):
            for frame in super().__iter__():
                yield replace(frame, second=frame.second[::2, ::2])

    with pytest.raises(ValueError, match='0: .* for images of 320x240, not 160x120'):
        next(iter(RectifiedStereo(Reduced())))


def test_the_recordings_of_a_folder_are_found_at_any_depth(tmp_path):
    euroc = write_euroc(tmp_path / 'euroc' / 'V1_01_easy')
    tum = write_tum(tmp_path / 'tum' / 'rgbd_fr1', ['100.0'], True)
    kitti = write_kitti(tmp_path / 'kitti', (0, 1))
    (tmp_path / 'drive.bag').write_bytes(b'')
    (tmp_path / 'notes.txt').write_text('no recording')
    (tmp_path / '.hidden').mkdir()
    (tmp_path / 'euroc' / 'back').symlink_to(tmp_path)
    expected = sorted([euroc, tum, kitti, tmp_path / 'drive.bag'])
    assert list_sequences(tmp_path) == expected
    # A recording is not searched: its parts are recordings, too.
    assert list_sequences(euroc) == [euroc]
    assert list_sequences(tmp_path / '.hidden') == [tmp_path / '.hidden']
    assert list_sequences(tmp_path / 'nowhere') == [tmp_path / 'nowhere']
