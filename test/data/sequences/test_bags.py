# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames of bags of ROS 2 in both formats and of ROS 1, with calibration and true poses."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from superpoint_ros.data.sequences.bag_reader import open_bag
from superpoint_ros.data.sequences.bags import BagSequence
from superpoint_ros.data.sequences.opening import open_sequence
from superpoint_ros.data.sequences.sequence import DEFAULT_RATE
from support.bags import BAG_CAMERA, write_bag, write_mixed_mcap

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


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3', 'ros1'])
@pytest.mark.parametrize(
    ('topic', 'kind'), [('/front/image', 'image'), ('/front/image/compressed', 'compressed')]
)
def test_a_bag_gives_its_images_with_stamps_poses_and_calibration(write_bag, storage, topic, kind):
    name = 'drive.bag' if storage == 'ros1' else 'drive'
    path = write_bag(messages(topic, kind), name, storage)
    sequence = open_sequence(path)
    assert sequence.topic == topic
    frames = list(sequence)
    assert [int(frame.image[5, 5]) for frame in frames] == [0, 10, 20, 30]
    assert [frame.stamp - START / 1e9 for frame in frames] == pytest.approx(
        [0, 0.1, 0.2, 0.3], abs=1e-6
    )
    assert [frame.nanoseconds - START for frame in frames] == [0, 10**8, 2 * 10**8, 3 * 10**8]
    # Every 0.05 s the true position went on by 1, from 0 at 0.05 s before the first image.
    assert [frame.pose[0, 3] for frame in frames] == pytest.approx([1, 3, 5, 7], abs=1e-5)
    np.testing.assert_allclose(sequence.camera.matrix, BAG_CAMERA.matrix)
    np.testing.assert_allclose(sequence.camera.distortion, BAG_CAMERA.distortion)
    assert sequence.camera.size == (64, 48)
    assert [frame.name for frame in sequence] == [frame.name for frame in frames]


@pytest.mark.parametrize(('storage', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
def test_a_single_file_of_a_bag_can_be_given(write_bag, storage, suffix):
    path = write_bag(messages(), storage=storage)
    (file,) = path.glob(f'*{suffix}')
    assert len(list(open_sequence(file))) == 4


def test_one_of_several_topics_of_images_must_be_chosen(write_bag):
    path = write_bag(
        [
            ('/left/image', 'image', flat(1), START),
            ('/right/image', 'image', flat(2), START),
            ('/vicon', 'pose', 0.0, START),
        ]
    )
    with pytest.raises(ValueError, match='give one of them: /left/image, /right/image'):
        BagSequence(path)
    (frame,) = BagSequence(path, '/right/image')
    assert int(frame.image[0, 0]) == 2
    assert frame.pose is None
    for topic in ('/rear/image', '/vicon'):
        with pytest.raises(ValueError, match=f'no images on {topic}; topics of images: /left'):
            BagSequence(path, topic)


def test_a_topic_without_poses_is_refused_with_those_that_have_them(write_bag):
    content = [('/left/image', 'image', flat(1), START)]
    path = write_bag(content)
    poses = [(f'/{name}', 'pose', 0.0, START) for name in ('vicon', 'odometry')]
    with_poses = write_bag([*content, *poses], 'with_poses')
    for topic in ('/truth', '/left/image'):
        with pytest.raises(
            ValueError, match=rf'no poses \(.*\) on {topic}; topics of poses: none'
        ):
            BagSequence(path, '/left/image', topic)
        with pytest.raises(ValueError, match='topics of poses: /odometry, /vicon'):
            BagSequence(with_poses, '/left/image', topic)


def test_a_topic_of_images_without_messages_is_named(tmp_path):
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='needs the library rosbags')
    from rosbags.typesys import get_typestore, Stores

    store = get_typestore(Stores.ROS2_JAZZY)
    with rosbag2.Writer(tmp_path / 'bag', version=9) as writer:
        writer.add_connection('/image', 'sensor_msgs/msg/Image', typestore=store)
    with pytest.raises(ValueError, match='bag has no message on /image'):
        BagSequence(tmp_path / 'bag')


def test_a_bag_tells_without_reading_images_whether_it_has_true_poses_and_depth(write_bag):
    with_truth = BagSequence(write_bag(messages()))
    without = BagSequence(write_bag([('/image', 'image', flat(1), START)], 'without'))
    assert (with_truth.has_truth, without.has_truth) == (True, False)
    assert not with_truth.has_depth


def test_frames_of_a_bag_are_gray_or_bgr(write_bag):
    red = np.full((48, 64, 3), (0, 0, 255), np.uint8)
    path = write_bag([('/image', 'image', red, START)])
    (gray,) = open_sequence(path)
    assert gray.image.shape == (48, 64)
    assert int(gray.image[0, 0]) == 76
    (color,) = open_sequence(path, color=True)
    assert color.image.shape == (48, 64, 3)


def test_an_unreadable_image_of_a_bag_is_named_and_skipped(write_bag, caplog):
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
    assert f'{path}, topic /image, message 1: skipped' in caplog.text


def test_unreadable_images_of_a_bag_are_not_all_named(write_bag, caplog):
    broken = np.zeros((1, 0), np.uint8)
    path = write_bag([('/image', 'image', broken if n else flat(1), START + n) for n in range(8)])
    with caplog.at_level(logging.WARNING):
        assert len(list(open_sequence(path))) == 1
    assert caplog.text.count('topic /image, message ') == 5
    assert caplog.messages[-1] == f'{path}: 2 more warnings like these'


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        ({'width': 0, 'height': 0}, 'image size'),
        ({'d': np.array([0.1, np.nan, 0, 0, 0])}, 'not finite'),
        ({'distortion_model': 'fisheye62'}, "the distortion model 'fisheye62' is unknown"),
    ],
)
def test_a_defective_calibration_in_a_bag_is_left_out_and_named(write_bag, caplog, fields, reason):
    content = messages()
    content[1] = ('/front/camera_info', 'info', fields, START)
    path = write_bag(content)
    with caplog.at_level(logging.WARNING):
        sequence = open_sequence(path)
    assert len(list(sequence)) == 4
    assert sequence.camera is None
    assert f'{path}, topic /front/camera_info, message 0: the calibration' in caplog.text
    assert reason in caplog.text
    # A later calibration that is valid is used.
    path = write_bag([*content, ('/front/camera_info', 'info', None, START + 9)], 'two')
    np.testing.assert_allclose(open_sequence(path).camera.matrix, BAG_CAMERA.matrix)


def test_a_bag_whose_driver_is_calibrated_during_the_recording_has_the_calibration(
    write_bag, caplog
):
    content = messages()
    content[1] = ('/front/camera_info', 'info', {'k': np.zeros(9)}, START)
    assert open_sequence(write_bag(content)).camera is None
    assert caplog.text == ''
    path = write_bag([*content, ('/front/camera_info', 'info', None, START + 9)], 'two')
    np.testing.assert_allclose(open_sequence(path).camera.matrix, BAG_CAMERA.matrix)


@pytest.mark.parametrize(('name', 'storage'), [('drive', 'mcap'), ('drive.bag', 'ros1')])
def test_the_calibration_of_a_bag_is_that_of_the_published_images(write_bag, name, storage):
    fields = {'width': 200, 'height': 140, 'binning': (2, 2), 'region': (36, 20, 96, 128)}
    content = messages()
    content[1] = ('/front/camera_info', 'info', fields, START)
    camera = open_sequence(write_bag(content, name, storage)).camera
    assert camera.size == (64, 48)
    assert camera.matrix[0, 0] == BAG_CAMERA.matrix[0, 0] / 2
    # The first pixel of an image is the mean of the pixels 36 and 37 of a row.
    assert camera.matrix[0, 2] == pytest.approx((BAG_CAMERA.matrix[0, 2] - 36.5) / 2)
    assert camera.matrix[1, 2] == pytest.approx((BAG_CAMERA.matrix[1, 2] - 20.5) / 2)


def test_a_defective_pose_in_a_bag_is_left_out_and_named(write_bag, caplog):
    content = messages()
    content[0] = ('/ground_truth/pose', 'pose', None, content[0][3])
    path = write_bag(content)
    with caplog.at_level(logging.WARNING):
        frames = list(open_sequence(path))
    assert frames[0].pose[0, 3] == pytest.approx(1)
    assert frames[3].pose[0, 3] == pytest.approx(7)
    assert f'{path}, topic /ground_truth/pose: left out 1 of 10 poses' in caplog.text


def test_compressed_depth_images_are_not_a_topic_of_images(write_bag):
    path = write_bag(
        [
            ('/camera/image_raw', 'image', flat(5), START),
            ('/camera/depth/image_raw/compressedDepth', 'compressed', flat(1), START),
        ]
    )
    assert open_sequence(path).topic == '/camera/image_raw'


def test_of_the_transports_of_a_camera_the_raw_images_are_read(write_bag):
    path = write_bag(
        [
            ('/camera/image_raw', 'image', flat(5), START),
            ('/camera/image_raw/compressed', 'compressed', flat(5), START),
            ('/camera/image_raw/zstd', 'compressed', flat(5), START),
        ]
    )
    assert open_sequence(path).topic == '/camera/image_raw'
    assert open_sequence(path, topic='/camera/image_raw/compressed').count == 1


def test_a_folder_named_like_a_bag_of_ros_1_is_read_as_what_it_is(write_bag):
    path = write_bag(messages(), name='drive.bag')
    assert len(list(open_sequence(path))) == 4


def test_metadata_that_contradicts_the_files_of_a_bag_is_an_error(write_bag):
    path = write_bag(messages())
    metadata = path / 'metadata.yaml'
    text = metadata.read_text()
    metadata.write_text(text.replace('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'))
    with pytest.raises(ValueError, match=r'lists 4 messages on /front/image, .* bag reindex'):
        open_sequence(path)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_topic_that_metadata_does_not_list_is_an_error(write_bag, storage):
    yaml = pytest.importorskip('yaml', reason='needs the library pyyaml')
    path = write_bag(messages(), storage=storage)
    metadata = yaml.safe_load((path / 'metadata.yaml').read_text())
    content = metadata['rosbag2_bagfile_information']
    listed = content['topics_with_message_count']
    (pose,) = (each for each in listed if each['topic_metadata']['name'].endswith('pose'))
    listed.remove(pose)
    content['message_count'] -= pose['message_count']
    (path / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    said = r'not list /ground_truth/pose, of which its files have 10 messages; .* bag reindex'
    with pytest.raises(ValueError, match=said):
        open_sequence(path)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3', 'ros1'])
def test_a_bag_whose_messages_have_one_time_has_the_default_rate(write_bag, storage):
    name = 'drive.bag' if storage == 'ros1' else 'drive'
    path = write_bag([(*each, START) for *each, _ in messages()], name, storage)
    assert open_sequence(path).rate == DEFAULT_RATE


def test_a_bag_without_metadata_is_read_if_it_is_one_file(write_bag):
    path = write_bag(messages())
    (path / 'metadata.yaml').unlink()
    assert len(list(open_sequence(path))) == 4
    (file,) = path.glob('*.mcap')
    (path / 'second.mcap').write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match=r'no metadata\.yaml: give one of its files, .* reindex'):
        open_sequence(path)


@pytest.mark.parametrize(('storage', 'suffix'), [('mcap', '.mcap'), ('sqlite3', '.db3')])
def test_the_files_of_a_split_bag_are_read_in_the_order_of_their_times(tmp_path, storage, suffix):
    yaml = pytest.importorskip('yaml', reason='needs the library pyyaml')
    pytest.importorskip('rosbags', reason='needs the library rosbags')
    later = [(*each, nanoseconds + 10**9) for *each, nanoseconds in messages()]
    path = write_bag(tmp_path / 'bag', messages(), storage)
    late = write_bag(tmp_path / 'late', later, storage)
    # `ros2 bag reindex` lists file 10 before file 2.
    (late / f'late{suffix}').rename(path / f'bag_10{suffix}')
    (path / f'bag{suffix}').rename(path / f'bag_2{suffix}')
    metadata = yaml.safe_load((path / 'metadata.yaml').read_text())
    content = metadata['rosbag2_bagfile_information']
    content['relative_file_paths'] = [f'bag_10{suffix}', f'bag_2{suffix}']
    content['files'] = []
    content['message_count'] *= 2
    for topic in content['topics_with_message_count']:
        topic['message_count'] *= 2
    (path / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    stamps = [frame.stamp for frame in open_sequence(path)]
    assert len(stamps) == 8
    assert stamps == sorted(stamps)


def test_topics_of_an_mcap_file_that_are_not_of_ros_2_are_left_out_and_named(tmp_path, caplog):
    pytest.importorskip('rosbags', reason='needs the library rosbags')
    file = write_mixed_mcap(tmp_path / 'mixed', messages())
    frames = list(open_sequence(file))
    assert [int(frame.image[5, 5]) for frame in frames] == [0, 10, 20, 30]
    assert [frame.pose[0, 3] for frame in frames] == pytest.approx([1, 3, 5, 7], abs=1e-5)
    assert 'left out: /custom: ' in caplog.text
    assert 'in the format protobuf, not of ROS 2' in caplog.text


def test_an_mcap_file_without_topics_of_ros_2_is_named_with_its_formats(tmp_path):
    pytest.importorskip('rosbags', reason='needs the library rosbags')
    file = write_mixed_mcap(tmp_path / 'mixed', messages())
    file.write_bytes(file.read_bytes().replace(b'\x03\x00\x00\x00cdr', b'\x03\x00\x00\x00xml'))
    with pytest.raises(ValueError) as error:
        open_sequence(file)
    said = f'{file} has no topic of ROS 2: its messages are in the format protobuf, xml'
    assert str(error.value) == said


@pytest.mark.parametrize('mode', ['FILE', 'MESSAGE'])
def test_a_compressed_bag_without_metadata_is_named(write_bag, tmp_path, mode, caplog):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, Writer

    path = tmp_path / 'compressed'
    writer = Writer(path, version=9)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with Reader(write_bag(messages())) as whole, writer:
        for old in whole.connections:
            new = writer.add_connection(
                old.topic, old.msgtype, msgdef=old.msgdef.data, rihs01=old.digest
            )
            for _, timestamp, data in whole.messages([old]):
                writer.write(new, timestamp, data)
    assert len(list(open_sequence(path))) == 4
    (path / 'metadata.yaml').unlink()
    with pytest.raises(ValueError) as error:
        list(open_sequence(path))
    said = f'{error.value} {caplog.text}'
    assert ('zstd -d' if mode == 'FILE' else 'compressed: the bag must have a metadata') in said


@pytest.mark.parametrize(
    ('storage', 'repair'), [('mcap', 'mcap recover'), ('sqlite3', r'sqlite3 .* \.recover')]
)
def test_a_cut_off_recording_is_named_with_the_command_that_repairs_it(write_bag, storage, repair):
    path = write_bag(messages(), storage=storage)
    (file,) = (each for each in path.iterdir() if each.suffix in ('.mcap', '.db3'))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match=rf'{file.name} cannot be read: .*{repair}'):
        list(open_sequence(file))
    spaced = file.rename(file.with_name(f'a bag{file.suffix}'))
    with pytest.raises(ValueError, match=rf"(mcap recover|sqlite3) '{spaced}' "):
        list(open_sequence(spaced))


def test_a_bag_of_ros_1_that_is_damaged_or_cannot_be_copied_is_named(tmp_path):
    pytest.importorskip('rosbags.rosbag1', reason='needs the library rosbags')
    path = tmp_path / 'drive.bag'
    path.write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(ValueError, match=r'drive\.bag cannot be read: .*rosbag reindex'):
        open_sequence(path)
    with pytest.raises(ValueError, match=r'bag of ROS 1: convert it with `rosbags-convert --src'):
        open_bag(path).__enter__()


def test_a_damaged_or_missing_bag_is_named(tmp_path, write_bag):
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


def test_the_player_plays_the_topic_of_a_bag_that_is_set(write_bag):
    pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
    from superpoint_ros.ros.player_parameters import open_source, PlayerSettings

    path = write_bag(
        [('/left/image', 'image', flat(1), START), ('/right/image', 'image', flat(2), START)]
    )
    settings = PlayerSettings(source=str(path), topic='/right/image')
    assert [int(frame.image[0, 0]) for frame in open_source(settings)] == [2]
