# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames come from ROS 2 bags of both formats, with calibration and true poses."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from superpoint_ros.data.sequences.bags import BagSequence
from superpoint_ros.data.sequences.opening import open_sequence

START = 1_700_000_000_000_000_000


def flat(value):
    return np.full((48, 64), value, np.uint8)


def messages(topic='/front/image', kind='image'):
    result = [('/front/camera_info', 'info', None, START)]
    for index in range(4):
        result.append((topic, kind, flat(10 * index), START + 100_000_000 * index))
    for index in range(10):  # at other times than the images
        result.append(
            ('/ground_truth/pose', 'pose', float(index), START - 50_000_000 + 50_000_000 * index)
        )
    return sorted(result, key=lambda message: message[3])


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize(
    ('topic', 'kind'), [('/front/image', 'image'), ('/front/image/compressed', 'compressed')]
)
def test_a_bag_gives_its_images_with_stamps_poses_and_calibration(
    write_bag, bag_camera, storage, topic, kind
):
    path = write_bag(messages(topic, kind), storage=storage)
    sequence = open_sequence(path)
    assert sequence.topic == topic
    frames = list(sequence)
    assert [int(frame.image[5, 5]) for frame in frames] == [0, 10, 20, 30]
    assert [frame.stamp - START / 1e9 for frame in frames] == pytest.approx(
        [0, 0.1, 0.2, 0.3], abs=1e-6
    )
    # Every 0.05 s the true position went on by 1, from 0 at 0.05 s before the first image.
    assert [frame.pose[0, 3] for frame in frames] == pytest.approx([1, 3, 5, 7], abs=1e-5)
    np.testing.assert_allclose(sequence.camera.matrix, bag_camera.matrix)
    np.testing.assert_allclose(sequence.camera.distortion, bag_camera.distortion)
    assert sequence.camera.size == (64, 48)
    assert [frame.name for frame in sequence] == [frame.name for frame in frames]


@pytest.mark.parametrize(('storage', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
def test_a_file_of_a_bag_will_do(write_bag, storage, suffix):
    path = write_bag(messages(), storage=storage)
    (file,) = path.glob(f'*{suffix}')
    assert len(list(open_sequence(file))) == 4


def test_of_several_topics_one_must_be_named(write_bag):
    path = write_bag(
        [('/left/image', 'image', flat(1), START), ('/right/image', 'image', flat(2), START)]
    )
    with pytest.raises(ValueError, match='name one of them: /left/image, /right/image'):
        BagSequence(path)
    (frame,) = BagSequence(path, '/right/image')
    assert int(frame.image[0, 0]) == 2
    assert frame.pose is None
    with pytest.raises(ValueError, match='no images on /rear/image; topics of images: /left'):
        BagSequence(path, '/rear/image')
    with pytest.raises(ValueError, match='no topic /truth'):
        BagSequence(path, '/left/image', '/truth')


def test_colour_becomes_gray_and_gray_is_given_as_bgr_where_asked(write_bag):
    red = np.full((48, 64, 3), (0, 0, 255), np.uint8)
    path = write_bag([('/image', 'image', red, START)])
    (gray,) = open_sequence(path)
    assert gray.image.shape == (48, 64)
    assert int(gray.image[0, 0]) == 76
    (color,) = open_sequence(path, color=True)
    assert color.image.shape == (48, 64, 3)


def test_a_broken_image_is_named_and_skipped(write_bag, caplog):
    path = write_bag(
        [
            ('/image', 'image', flat(1), START),
            ('/image', 'image', np.zeros((1, 0), np.uint8), START + 1),
            ('/image', 'image', flat(3), START + 2),
        ]
    )
    with caplog.at_level(logging.WARNING):
        values = [int(frame.image[0, 0]) for frame in open_sequence(path)]
    assert values == [1, 3]
    assert 'image 1' in caplog.text


def test_what_is_no_bag_is_named(tmp_path, write_bag):
    broken = tmp_path / 'broken.mcap'
    broken.write_bytes(b'not a bag at all')
    with pytest.raises(ValueError, match=r'broken\.mcap cannot be read'):
        open_sequence(broken)
    database = tmp_path / 'broken.db3'
    database.write_bytes(b'not a database' * 100)
    with pytest.raises(ValueError, match=r'broken\.db3 cannot be read'):
        open_sequence(database)
    folder = tmp_path / 'folder'
    folder.mkdir()
    (folder / 'metadata.yaml').write_text('nonsense: [')
    with pytest.raises(ValueError, match='folder cannot be read'):
        open_sequence(folder)
    empty = write_bag([('/pose', 'pose', 1.0, START)], name='poses')
    with pytest.raises(ValueError, match='no topic of images'):
        open_sequence(empty)


def test_the_player_plays_the_topic_of_a_bag_that_it_is_told(write_bag):
    pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
    from superpoint_ros.ros.player_parameters import open_source, PlayerSettings

    path = write_bag(
        [('/left/image', 'image', flat(1), START), ('/right/image', 'image', flat(2), START)]
    )
    settings = PlayerSettings(source=str(path), topic='/right/image')
    assert [int(frame.image[0, 0]) for frame in open_source(settings)] == [2]
