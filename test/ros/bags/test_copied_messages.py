# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All messages of a bag are copied, whatever their type, storage and compression."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('rosbags', reason='needs the library rosbags')

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
import yaml

from superpoint_ros.ros.bags.bag_options import BagOptions
from superpoint_ros.ros.bags.bag_processing import process_bag
from superpoint_ros.ros.bags.bag_writing import features_qos
from support.recorded_cameras import picture, read, recording, START


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
    """Make a bag like one of Humble: no definitions, and a topic of an unknown type."""
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


@pytest.mark.parametrize(
    ('name', 'definition'),
    [
        ('my_msgs/msg/Foo', 'this is no definition!'),
        ('my_msgs/msg/Foo', 'other_msgs/Bar which_is_not_recorded'),
        ('std_srvs/srv/Trigger_Event', '---\nbool success\nstring message'),
        ('nav2_msgs/action/Spin_FeedbackMessage', 'int32 a'),
    ],
)
@pytest.mark.parametrize('has_metadata', [True, False])
def test_a_definition_that_cannot_be_parsed_is_copied_and_stops_nothing(
    tmp_path, detector, name, definition, has_metadata
):
    source, target = tmp_path / 'in', tmp_path / 'out'
    write_all_kinds(source, 'mcap', None)
    with Writer(source.with_name('more'), version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        store = get_typestore(Stores.ROS2_JAZZY)
        foreign = writer.add_connection(
            '/foreign', name, msgdef=definition, rihs01=f'RIHS01_{"1" * 64}'
        )
        images = writer.add_connection('/image', 'sensor_msgs/msg/Image', typestore=store)
        writer.write(foreign, START, b'\0\1\0\0bytes')
        ((_, _, image),) = read(source, '/image')
        writer.write(images, START + 1, image)
    source = source.with_name('more')
    if not has_metadata:
        source /= 'more.mcap'
    assert process_bag(source, target, detector).images == 1
    with Reader(target) as reader:
        assert reader.topics['/foreign'].msgtype == name
        assert reader.topics['/foreign'].msgdef.data == definition
        copied = [bytes(data) for each, _, data in reader.messages() if each.topic == '/foreign']
    assert copied == [b'\0\1\0\0bytes']


def test_messages_are_copied_while_the_bag_is_read(write_bag, tmp_path, detector, monkeypatch):
    many = [('/pose', 'pose', float(index), START + index) for index in range(200)]
    source = write_bag([*recording(1), *many, *recording(1)])
    read_all, write_one = Reader.messages, Writer.write
    ahead = [0]

    def count_read(*arguments):
        for message in read_all(*arguments):
            ahead.append(ahead[-1] + 1)
            yield message

    def count_written(*arguments):
        ahead.append(ahead[-1] - 1)
        write_one(*arguments)

    monkeypatch.setattr(Reader, 'messages', count_read)
    monkeypatch.setattr(Writer, 'write', count_written)
    process_bag(source, tmp_path / 'out', detector)
    assert len(ahead) > 400
    assert max(ahead) < 10


def test_a_new_bag_that_lacks_messages_is_an_error_and_is_not_kept(
    write_bag, tmp_path, detector, monkeypatch
):
    source, target = write_bag(recording()), tmp_path / 'out'
    write_one = Writer.write

    def lose_poses(writer, connection, *arguments):
        if connection.topic != '/pose':
            write_one(writer, connection, *arguments)

    monkeypatch.setattr(Writer, 'write', lose_poses)
    with pytest.raises(ValueError, match='has 30 messages instead of 35'):
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


def write_all_kinds(path, storage, compression):
    """Write a bag with own types, two QoS of a topic, equal times and an empty topic."""
    from rosbags.interfaces import QosDurability

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg('float32[] values\nstring name', 'my_msgs/msg/Foo'))
    store.register(get_types_from_idl(IDL.partition('Pair\n')[2]))
    writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression:
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        foo = [
            writer.add_connection(
                '/foo',
                'my_msgs/msg/Foo',
                typestore=store,
                offered_qos_profiles=[features_qos()._replace(durability=durability)],
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


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compression', [None, 'FILE', 'MESSAGE', 'STORAGE'])
def test_messages_of_all_kinds_of_bags_are_copied_bytewise(
    tmp_path, detector, storage, compression
):
    if compression == 'STORAGE' and storage == 'sqlite3':
        pytest.skip('sqlite3 itself has no compression')
    source, target = tmp_path / 'in', tmp_path / 'out'
    write_all_kinds(source, storage, compression)
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
