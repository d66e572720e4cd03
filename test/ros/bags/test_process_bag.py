# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags in, bags out: all that was there, and the messages that the node would have published."""

from __future__ import annotations

import sqlite3

import cv2
import numpy as np
import pytest

from support.bags import BAG_CAMERA

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('rosbags', reason='needs the library rosbags')

from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header
import torch
import yaml

from superpoint_ros import Detector
from superpoint_ros.cli.main import main
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.ros import bag_processing
from superpoint_ros.ros.bag_processing import BagOptions, choose_topics, process_bag
from superpoint_ros.ros.messages.feature_messages import (
    features_from_message,
    features_to_message,
    normalized_from_message,
)

START = 1_700_000_000_000_000_000
CONFIG = SuperPointConfig(stage_channels=(4, 4, 4, 8), head_channels=8, descriptor_size=8)


def picture(seed):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(48, 64)).astype(np.float32), (0, 0), 1.5)
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def recording(count=5):
    """Return the messages of two cameras, a calibration for each, and poses."""
    result = []
    for index in range(count):
        when = START + 100_000_000 * index
        for side in ('left', 'right'):
            result.append((f'/{side}/camera_info', 'info', None, when))
            result.append((f'/{side}/image_raw', 'image', picture(index), when + 1))
        result.append(('/pose', 'pose', float(index), when + 50_000_000))
    return result


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return SuperPoint(CONFIG).eval()


@pytest.fixture
def detector(model):
    return Detector.from_model(
        model, 'cpu', 'float32', 'torch', threshold=1e-4, max_keypoints=30, nms_radius=2
    )


def read(path, topic=None):
    """Return (topic, time of recording, bytes) of a bag's messages."""
    with AnyReader([path]) as reader:
        return [
            (connection.topic, timestamp, bytes(data))
            for connection, timestamp, data in reader.messages()
            if topic in (None, connection.topic)
        ]


def expected_message(detector, index, when, descriptor_format='float32', normalized=None):
    header = Header(frame_id='camera')
    header.stamp.sec, header.stamp.nanosec = divmod(when, 1_000_000_000)
    features = detector(picture(index))
    return features_to_message(features, header, descriptor_format, normalized)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('descriptor_format', ['float32', 'int8'])
def test_the_features_are_byte_for_byte_the_nodes_messages(
    write_bag, tmp_path, detector, storage, descriptor_format
):
    source, target = write_bag(recording(), storage=storage), tmp_path / 'out'
    options = BagOptions(descriptor_format=descriptor_format)
    summary = process_bag(source, target, detector, options)
    assert summary.images == 10
    assert summary.bad == 0
    assert summary.topics == {
        '/left/image_raw': '/left/features',
        '/right/image_raw': '/right/features',
    }
    for side in ('left', 'right'):
        messages = read(target, f'/{side}/features')
        assert len(messages) == 5
        for index, (_, _, data) in enumerate(messages):
            when = START + 100_000_000 * index + 1
            message = deserialize_message(data, PointCloud2)
            expected = expected_message(detector, index, when, descriptor_format)
            assert message == expected
            assert bytes(message.data) == bytes(expected.data)
    # Somebody who knows nothing of this package's tests reads them, too.
    first = deserialize_message(read(target, '/left/features')[0][2], PointCloud2)
    features = features_from_message(first)
    assert 5 < len(features) <= 30
    np.testing.assert_allclose(features.keypoints, detector(picture(0)).keypoints)
    assert summary.keypoints == sum(len(detector(picture(index))) for index in range(5)) * 2
    (file,) = target.glob(f'out.{"mcap" if storage == "mcap" else "db3"}')
    assert file.stat().st_size > 0
    process_bag(source, tmp_path / 'again', detector, options)
    assert read(tmp_path / 'again') == read(target)


def test_process_bag_copies_all_messages_in_order(write_bag, tmp_path, detector):
    source, target = write_bag(recording()), tmp_path / 'out'
    process_bag(source, target, detector, BagOptions(batch=3))
    before, after = read(source), read(target)
    assert sorted(m for m in after if 'features' not in m[0]) == sorted(before)
    times = [timestamp for _, timestamp, _ in after]
    assert times == sorted(times)
    # Features carry the time of their image.
    images = [timestamp for topic, timestamp, _ in after if topic == '/left/image_raw']
    assert [m[1] for m in after if m[0] == '/left/features'] == images
    with AnyReader([source]) as old, AnyReader([target]) as new:
        for topic, known in old.topics.items():
            assert new.topics[topic].msgtype == known.msgtype
            assert new.topics[topic].msgcount == known.msgcount
        (connection,) = new.topics['/left/features'].connections
        qos = connection.ext.offered_qos_profiles[0]
        assert (qos.reliability.name, qos.durability.name) == ('RELIABLE', 'VOLATILE')
        assert (qos.history.name, qos.depth) == ('KEEP_LAST', 10)


def without_definitions(bag):
    """Make a bag like one of Humble: no definitions, and a topic of a type of its own."""
    database = sqlite3.connect(bag / f'{bag.name}.db3')
    database.execute("update topics set type='my_msgs/msg/Foo' where name='/pose'")
    database.execute('drop table message_definitions')
    database.execute('alter table topics drop column type_description_hash')
    database.execute('update schema set schema_version=3')
    database.commit()
    database.close()
    metadata = yaml.safe_load((bag / 'metadata.yaml').read_text())
    information = metadata['rosbag2_bagfile_information']
    information['version'] = 5
    for name in ('custom_data', 'ros_distro'):
        information.pop(name)
    for topic in information['topics_with_message_count']:
        topic['topic_metadata'].pop('type_description_hash')
        if topic['topic_metadata']['name'] == '/pose':
            topic['topic_metadata']['type'] = 'my_msgs/msg/Foo'
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(metadata))


def test_a_bag_without_definitions_and_with_an_unknown_type_is_copied_readably(
    write_bag, tmp_path, detector
):
    source, target = write_bag(recording(), storage='sqlite3'), tmp_path / 'out'
    without_definitions(source)
    summary = process_bag(source, target, detector)
    assert summary.images == 10
    copied = read(target)
    assert sum(topic == '/pose' for topic, _, _ in copied) == 5
    assert sum(topic == '/left/features' for topic, _, _ in copied) == 5
    with AnyReader([target]) as reader:
        assert reader.topics['/pose'].msgtype == 'my_msgs/msg/Foo'


def test_a_new_bag_that_cannot_be_opened_is_an_error_and_is_not_kept(
    write_bag, tmp_path, detector, monkeypatch
):
    source, target = write_bag(recording(), storage='sqlite3'), tmp_path / 'out'
    without_definitions(source)
    wrong = {'msgdef': 'float32 x', 'rihs01': f'RIHS01_{"0" * 64}'}
    monkeypatch.setattr(bag_processing, '_unknown_definition', lambda name: wrong)
    with pytest.raises(ValueError, match='cannot be read'):
        process_bag(source, target, detector)
    assert list(target.parent.glob('*out*')) == []


def test_a_bag_of_which_messages_are_missing_is_refused(write_bag, tmp_path, detector):
    source, target = write_bag(recording(), storage='sqlite3'), tmp_path / 'out'
    database = sqlite3.connect(source / 'bag.db3')
    database.execute('delete from messages where id = 3')
    database.commit()
    database.close()
    with pytest.raises(ValueError, match='has 25 messages by its metadata, but 24 could be read'):
        process_bag(source, target, detector)
    assert not target.exists()


IDL = """================================================================================
IDL: my_msgs/msg/Pair
module my_msgs {
  module msg {
    struct Pair {
      double first;
      double second;
    };
  };
};
"""


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compression', [None, 'FILE', 'MESSAGE', 'STORAGE'])
def test_messages_of_all_kinds_of_bags_are_copied_bytewise(
    tmp_path, detector, storage, compression
):
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores

    if compression == 'STORAGE' and storage == 'sqlite3':
        pytest.skip('sqlite3 has no compression of its own')
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg('float32[] values\nstring name', 'my_msgs/msg/Foo'))
    store.register(get_types_from_idl(IDL.partition('Pair\n')[2]))
    never = QosTime(2147483647, 4294967295)

    def qos(durability):
        return Qos(
            QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, durability,
            never, never, QosLiveliness.AUTOMATIC, never, False,
        )  # fmt: skip

    source, target = tmp_path / 'in', tmp_path / 'out'
    writer = Writer(source, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression:
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        foo = [
            writer.add_connection(
                '/foo', 'my_msgs/msg/Foo', typestore=store, offered_qos_profiles=[qos(durability)]
            )
            for durability in (QosDurability.VOLATILE, QosDurability.TRANSIENT_LOCAL)
        ]
        pair = writer.add_connection(
            '/pair', 'my_msgs/msg/Pair', msgdef=IDL, rihs01=store.hash_rihs01('my_msgs/msg/Pair')
        )
        writer.add_connection('/empty', 'my_msgs/msg/Foo', typestore=store)
        images = writer.add_connection('/image', 'sensor_msgs/msg/Image', typestore=store)
        for index in range(6):
            when = START + index // 2  # some at the same time
            value = store.types['my_msgs/msg/Foo'](np.float32([index]), 'x' * index)
            data = store.serialize_cdr(value, 'my_msgs/msg/Foo')
            writer.write(foo[index % 2], when, data)
            value = store.types['my_msgs/msg/Pair'](index, -index)
            writer.write(pair, when, store.serialize_cdr(value, 'my_msgs/msg/Pair'))
        header = store.types['std_msgs/msg/Header'](
            store.types['builtin_interfaces/msg/Time'](1, 2), 'camera'
        )
        pixels = picture(0)
        image = store.types['sensor_msgs/msg/Image'](
            header, 48, 64, 'mono8', 0, 64, pixels.reshape(-1)
        )
        writer.write(images, START, store.serialize_cdr(image, 'sensor_msgs/msg/Image'))
    assert process_bag(source, target, detector).images == 1
    copied = [each for each in read(target) if each[0] != '/features']
    assert sorted(copied) == sorted(read(source))
    with AnyReader([source]) as old, AnyReader([target]) as new:
        assert new.topics['/empty'].msgcount == 0
        assert len(new.topics['/foo'].connections) == 2
        for before in old.connections:
            after = [each for each in new.connections if each.ext == before.ext]
            after = [each for each in after if each.topic == before.topic]
            assert [each.msgcount for each in after] == [before.msgcount]
            assert (after[0].digest, after[0].msgdef) == (before.digest, before.msgdef)
        (*_, (_, _, data)) = (each for each in read(target, '/pair'))
        value = new.deserialize(data, 'my_msgs/msg/Pair')
        assert (value.first, value.second) == (5.0, -5.0)


def test_process_bag_gives_equal_features_in_batches_and_singly(write_bag, tmp_path, detector):
    source = write_bag(recording())
    process_bag(source, tmp_path / 'one', detector, BagOptions(['/left/image_raw']))
    process_bag(source, tmp_path / 'four', detector, BagOptions(['/left/image_raw'], batch=4))
    one, four = (read(tmp_path / name, '/left/features') for name in ('one', 'four'))
    assert len(one) == len(four) == 5
    for (_, _, a), (_, _, b) in zip(one, four, strict=True):
        a, b = (features_from_message(deserialize_message(each, PointCloud2)) for each in (a, b))
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
        np.testing.assert_allclose(a.descriptors, b.descriptors, atol=1e-4)


def test_undistorted_coordinates_are_those_of_the_recorded_calibration(
    write_bag, tmp_path, detector
):
    source, target = write_bag(recording(2)), tmp_path / 'out'
    options = BagOptions(['/left/image_raw:/found'], normalized=True)
    process_bag(source, target, detector, options)
    info = CameraInfo(width=64, height=48, distortion_model='plumb_bob')
    info.k, info.d = BAG_CAMERA.matrix.ravel().tolist(), BAG_CAMERA.distortion.tolist()
    expected = CameraModel.from_message(info)
    for index, (_, _, data) in enumerate(read(target, '/found')):
        features = detector(picture(index))
        normalized = expected.normalize(features.keypoints, (64, 48))
        when = START + 100_000_000 * index + 1
        message = deserialize_message(data, PointCloud2)
        assert message == expected_message(detector, index, when, normalized=normalized)
        np.testing.assert_array_equal(normalized_from_message(message), normalized)


def test_process_bag_finds_no_keypoints_where_the_mask_is_black(write_bag, tmp_path, detector):
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 32:] = 255
    source = write_bag(recording(1))
    process_bag(source, tmp_path / 'out', detector, BagOptions(['/left/image_raw'], mask=mask))
    ((_, _, data),) = read(tmp_path / 'out', '/left/features')
    features = features_from_message(deserialize_message(data, PointCloud2))
    assert len(features) > 0
    assert features.keypoints[:, 0].min() > 31


def test_bad_images_are_copied_named_and_counted(write_bag, tmp_path, detector):
    messages = recording(2)
    messages.insert(4, ('/left/image_raw', 'image', np.zeros((8, 8), np.uint8), START + 5))
    messages.insert(5, ('/left/image_raw', 'image', np.zeros((1, 0), np.uint8), START + 6))
    complaints, done = [], []
    source = write_bag(messages)
    summary = process_bag(
        source, tmp_path / 'out', detector, None, lambda: done.append(1), complaints.append
    )
    assert (summary.images, summary.bad, len(done)) == (4, 2, 6)
    said = '/left/image_raw at 1700000000.000000005: an image must have at least 16x16 pixels; got'
    assert f'{said} 8x8' in complaints
    assert len(read(tmp_path / 'out', '/left/image_raw')) == 4
    assert len(read(tmp_path / 'out', '/left/features')) == 2


def test_an_interrupted_process_bag_leaves_nothing_behind(write_bag, tmp_path, detector):
    source, target = write_bag(recording()), tmp_path / 'place' / 'out'

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_bag(source, target, detector, None, stop)
    assert list(target.parent.iterdir()) == []
    # One that was killed left its workshop behind: that is no obstacle.
    workshop = target.with_name('.out.partial')
    workshop.mkdir(parents=True)
    (workshop / 'rest').write_text('half a bag')
    process_bag(source, target, detector)
    assert [path.name for path in target.parent.iterdir()] == ['out']
    assert len(read(target, '/left/features')) == 5
    with pytest.raises(FileExistsError, match='already exists: remove it'):
        process_bag(source, target, detector)


def test_features_are_named_after_the_cameras_namespace():
    assert choose_topics(['/camera/image_raw'], []) == {'/camera/image_raw': '/camera/features'}
    assert choose_topics(['/image'], []) == {'/image': '/features'}
    both = ['/a/image', '/a/image/compressed', '/b/image/compressed']
    assert choose_topics(both, []) == {
        '/a/image': '/a/features',
        '/b/image/compressed': '/b/features',
    }
    assert choose_topics(both, ['/a/image:/x']) == {'/a/image': '/x'}
    with pytest.raises(ValueError, match=r'both|two topics would be on /a/features'):
        choose_topics(['/a/left', '/a/right'], [])
    with pytest.raises(ValueError, match='no images on /c'):
        choose_topics(both, ['/c'])
    with pytest.raises(ValueError, match='no topic of images'):
        choose_topics([], [])


@pytest.fixture
def weights(tmp_path, model):
    path = tmp_path / 'tiny.safetensors'
    save_weights(path, model, WeightsMetadata())
    return str(path)


def test_the_command_process_bag_processes_a_bag(write_bag, tmp_path, weights, capsys):
    source, target = write_bag(recording(3)), tmp_path / 'out'
    arguments = ['process-bag', str(source), str(target), '--weights', weights]
    arguments += ['--threshold', '0.0001', '--topics', '/right/image_raw', '--device', 'cpu']
    assert main([*arguments, '--storage', 'sqlite3', '--descriptor-format', 'int8']) == 0
    said = capsys.readouterr().out
    assert '3 images' in said
    assert '/right/image_raw -> /right/features' in said
    assert (target / 'out.db3').is_file()
    assert 'tiny.safetensors' in (target / 'metadata.yaml').read_text()
    message = deserialize_message(read(target, '/right/features')[0][2], PointCloud2)
    assert message.fields[3].datatype == message.fields[3].INT8
    assert main(arguments) == 2
    assert 'already exists' in capsys.readouterr().err


def test_invalid_input_of_process_bag_is_one_line(write_bag, tmp_path, weights, capsys):
    source = write_bag(recording(1))
    common = ['--weights', weights]
    for words, arguments in (
        ('no bag', [str(tmp_path / 'none'), str(tmp_path / 'out')]),
        ('no images on /rear', [str(source), str(tmp_path / 'out'), '--topics', '/rear']),
        ('batch must be 1', [str(source), str(tmp_path / 'out'), '--batch', '0']),
        (
            'already has a topic /pose',
            [str(source), str(tmp_path / 'out'), '--topics', '/left/image_raw:/pose'],
        ),
    ):
        assert main(['process-bag', *arguments, *common]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    without = write_bag([('/image', 'image', picture(0), START)], name='without')
    arguments = ['process-bag', str(without), str(tmp_path / 'out'), *common]
    assert main([*arguments, '--normalized-coordinates']) == 2
    assert 'no calibration for /image: no /camera_info' in capsys.readouterr().err
