# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags in, bags out: all that was there, and the messages that the node would have published."""

from __future__ import annotations

import resource

import cv2
import numpy as np
import pytest

from support.bags import BAG_CAMERA, write_mixed_mcap
from support.recorded_cameras import picture, read, recording, START

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('rosbags', reason='needs the library rosbags')

from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore, Stores
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.cli.main import main
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.model.weights import save_weights, WeightsMetadata
from superpoint_ros.ros.bags.bag_options import BagOptions
from superpoint_ros.ros.bags.bag_processing import process_bag
from superpoint_ros.ros.messages.feature_messages import (
    features_from_message,
    features_to_message,
    normalized_from_message,
)


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
    # They can also be read with the functions for consumers.
    first = deserialize_message(read(target, '/left/features')[0][2], PointCloud2)
    features = features_from_message(first)
    assert 5 < len(features) <= 30
    np.testing.assert_allclose(features.keypoints, detector(picture(0)).keypoints)
    assert summary.keypoints == sum(len(detector(picture(index))) for index in range(5)) * 2
    (file,) = target.glob(f'out.{"mcap" if storage == "mcap" else "db3"}')
    assert file.stat().st_size > 0
    process_bag(source, tmp_path / 'again', detector, options)
    assert read(tmp_path / 'again') == read(target)


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
    options = BagOptions(['/left/image_raw:/found'], normalized_coordinates=True)
    process_bag(source, target, detector, options)
    info = CameraInfo(width=64, height=48, distortion_model='plumb_bob')
    info.k, info.d = BAG_CAMERA.matrix.ravel().tolist(), BAG_CAMERA.distortion.tolist()
    expected = CameraModel.from_message(info)
    found = read(target, '/found')
    assert len(found) == 2
    for index, (_, _, data) in enumerate(found):
        features = detector(picture(index))
        normalized = expected.normalize(features.keypoints)
        when = START + 100_000_000 * index + 1
        message = deserialize_message(data, PointCloud2)
        assert message == expected_message(detector, index, when, normalized=normalized)
        np.testing.assert_array_equal(normalized_from_message(message), normalized)


def test_a_calibration_of_another_size_is_named_and_not_used(write_bag, tmp_path, detector):
    content = recording(3)
    content[0] = ('/left/camera_info', 'info', {'width': 32, 'height': 24}, START)
    content[5] = ('/left/camera_info', 'info', {'width': 32, 'height': 24}, START + 100_000_000)
    complaints = []
    options = BagOptions(['/left/image_raw'], normalized_coordinates=True)
    target = tmp_path / 'out'
    process_bag(write_bag(content), target, detector, options, warn=complaints.append)
    known = [
        np.isfinite(normalized_from_message(deserialize_message(data, PointCloud2))).all()
        for _, _, data in read(target, '/left/features')
    ]
    assert known == [False, False, True]
    reason = 'the calibration is for images of 32x24, not 64x48'
    assert complaints == [
        f'/left/camera_info at 1700000000.003000001: {reason}',
        f'/left/camera_info: 1 more message: {reason}',
    ]


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
    said = '/left/image_raw at 1700000000.003000005: an image must have at least 16x16 pixels; got'
    assert f'{said} 8x8' in complaints
    assert len(read(tmp_path / 'out', '/left/image_raw')) == 4
    assert len(read(tmp_path / 'out', '/left/features')) == 2


def test_a_mask_that_does_not_fit_the_first_image_is_refused(write_bag, tmp_path, weights, capsys):
    source = write_bag([*recording(3), ('/other/image_raw', 'image', picture(0)[:40], START + 2)])
    mask = tmp_path / 'mask.png'
    for shape, topic, size in (((30, 40), 'left', '64x48'), ((48, 64), 'other', '64x40')):
        cv2.imwrite(str(mask), np.full(shape, 255, np.uint8))
        arguments = ['process-bag', str(source), str(tmp_path / 'out'), '--weights', weights]
        assert main([*arguments, '--mask', str(mask)]) == 2
        said = f'/{topic}/image_raw: the mask must have the size of the image, {size}; got'
        assert said in capsys.readouterr().err
        assert not (tmp_path / 'out').exists()
    assert main([*arguments, '--mask', str(mask), '--topics', '/left/image_raw']) == 0


def test_images_that_the_mask_no_longer_fits_are_named_once(write_bag, tmp_path, detector):
    smaller = [
        ('/left/image_raw', 'image', picture(each)[:40, :48], START + 10**9 * each)
        for each in (1, 2, 3)
    ]
    source, complaints = write_bag([*recording(1), *smaller]), []
    options = BagOptions(['/left/image_raw'], mask=np.zeros((48, 64), np.uint8))
    summary = process_bag(source, tmp_path / 'out', detector, options, warn=complaints.append)
    assert (summary.images, summary.bad) == (1, 3)
    reason = 'the mask must have the size of the image, 48x40; got 64x48'
    assert complaints == [
        f'/left/image_raw at 1700000001.003000000: {reason}',
        f'/left/image_raw: 2 more messages: {reason}',
    ]


def test_topics_that_are_not_of_ros_2_are_left_out_of_the_new_bag(tmp_path, weights, capsys):
    source, out = write_mixed_mcap(tmp_path / 'mixed', recording(2)), tmp_path / 'out'
    assert main(['process-bag', str(source), str(out), '--weights', str(weights)]) == 1
    printed = capsys.readouterr()
    assert f'skipped: /custom: {len(recording(2))} messages in the format protobuf' in printed.err
    assert f'{len(recording(2))} messages left out' in printed.out
    copied = [each for each in read(out) if 'features' not in each[0]]
    assert copied == read(tmp_path / 'of_ros')
    assert len(read(out, '/left/features')) == 2


def test_damaged_messages_are_copied_named_and_counted(write_bag, tmp_path, detector):
    whole, damaged = write_bag(recording(3)), tmp_path / 'damaged'
    content = read(whole)
    with AnyReader([whole]) as reader, Writer(damaged, version=9) as writer:
        store = get_typestore(Stores.ROS2_JAZZY)
        connections = {
            topic: writer.add_connection(topic, known.msgtype, typestore=store)
            for topic, known in reader.topics.items()
        }
        for number, (topic, timestamp, data) in enumerate(content):
            # The first calibration and the second image of the left camera.
            writer.write(connections[topic], timestamp, data[:50] if number in (0, 7) else data)
    complaints = []
    options = BagOptions(['/left/image_raw'], normalized_coordinates=True)
    summary = process_bag(damaged, tmp_path / 'out', detector, options, warn=complaints.append)
    assert (summary.images, summary.bad) == (2, 1)
    assert any(
        each.startswith('/left/image_raw at 1700000000.103000001: a message of 50 bytes is not')
        for each in complaints
    )
    assert any(each.startswith('/left/camera_info at 1700000000.003') for each in complaints)
    copied = [each for each in read(tmp_path / 'out') if 'features' not in each[0]]
    assert sorted(copied) == sorted(read(damaged))
    first, second = (data for _, _, data in read(tmp_path / 'out', '/left/features'))
    known = [
        np.isfinite(normalized_from_message(deserialize_message(data, PointCloud2))).all()
        for data in (first, second)
    ]
    assert known == [False, True]


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


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_full_disk_is_an_error_that_names_the_target_and_leaves_nothing(
    write_bag, tmp_path, detector, storage
):
    source, target = write_bag(recording(), storage=storage), tmp_path / 'place' / 'out'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=f'{target}'):
            process_bag(source, target, detector)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(target.parent.iterdir()) == []


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
