# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector node as its users meet it: another process publishes, another one listens."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from superpoint_ros.detector import Detector
from superpoint_ros.ros.messages.feature_messages import features_from_message
from support.ros import milliseconds
from support.ros_domain import ros_domain

EASY = {'threshold': 0.001, 'nms_radius': 4, 'max_keypoints': 1000, 'border_margin': 4}


@pytest.fixture(scope='module')
def running(make_system, random_weights):
    """Return a system whose detector has small random weights."""
    return make_system(ros_domain(1), '-p', f'weights:={random_weights}', '-p', 'threshold:=0.001')


@pytest.fixture
def system(running):
    """Return the system with its parameters as they were at the start."""
    results = running.observer.set_parameters(
        **EASY, subpixel=True, descriptor_format='float32', overlay=True
    )
    assert all(result.successful for result in results)
    return running


@pytest.fixture
def image():
    """Return a gray image full of small blobs."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (120, 160), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def test_the_features_of_each_frame_have_its_header(system, image):
    messages = system.features_of(image, count=12, frame_id='left_optical')
    system.observer.rest(0.3)
    first = milliseconds(messages[0])
    assert len(system.observer.with_stamps(first, 12)) == 12
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in messages]
    expected = [(s // 1000, s % 1000 * 1_000_000) for s in range(first, first + 12)]
    assert stamps == expected
    assert {m.header.frame_id for m in messages} == {'left_optical'}


def test_the_message_has_the_features_that_the_detector_finds(system, image, random_weights):
    (message,) = system.features_of(image)
    fields = [(f.name, f.offset, f.datatype, f.count) for f in message.fields]
    assert fields == [
        ('u', 0, 7, 1),
        ('v', 4, 7, 1),
        ('score', 8, 7, 1),
        ('descriptor', 12, 7, 16),
    ]
    assert (message.height, message.point_step) == (1, 12 + 4 * 16)
    expected = Detector.from_weights(random_weights, device='cpu', **EASY)(image)
    found = features_from_message(message)
    assert len(expected) > 20
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.descriptors, expected.descriptors, atol=1e-4)


def test_an_image_without_keypoints_gives_an_empty_message(system, image):
    system.observer.set_parameters(threshold=1.0)
    (message,) = system.features_of(image)
    assert (message.width, len(message.data)) == (0, 0)
    assert message.fields[-1].count == 16
    assert features_from_message(message).descriptors.shape == (0, 16)


def test_a_threshold_takes_effect_while_frames_flow(system, image):
    before = [message.width for message in system.features_of(image, count=10)]
    (result,) = system.observer.set_parameters(threshold=1.0)
    assert result.successful
    assert [message.width for message in system.features_of(image, count=10)] == [0] * 10
    system.observer.set_parameters(threshold=0.001)
    after = [message.width for message in system.features_of(image, count=10)]
    assert min(before) > 20
    assert after == before


def test_all_live_parameters_take_effect_between_frames(system, image):
    (many,) = system.features_of(image)
    system.observer.set_parameters(max_keypoints=7)
    (few,) = system.features_of(image)
    assert few.width == 7 < many.width
    system.observer.set_parameters(max_keypoints=1000, border_margin=30, subpixel=False)
    (inner,) = system.features_of(image)
    u, v = features_from_message(inner).keypoints.T
    assert len(u) > 0
    assert u.min() >= 30
    assert u.max() <= 160 - 31
    assert v.min() >= 30
    assert v.max() <= 120 - 31
    assert (u == np.rint(u)).all()
    system.observer.set_parameters(border_margin=4, nms_radius=20)
    (sparse,) = system.features_of(image)
    points = features_from_message(sparse).keypoints
    apart = np.abs(points[:, None] - points[None]).max(axis=2)[~np.eye(len(points), dtype=bool)]
    assert len(points) > 2
    assert apart.min() > 20


def test_descriptors_are_published_as_int8_on_demand(system, image):
    (exact,) = system.features_of(image)
    system.observer.set_parameters(descriptor_format='int8')
    (small,) = system.features_of(image)
    assert small.point_step == 12 + 16
    a, b = features_from_message(exact), features_from_message(small)
    np.testing.assert_array_equal(a.keypoints, b.keypoints)
    np.testing.assert_allclose(a.descriptors, b.descriptors, atol=0.01)


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('threshold', 1.5, 'threshold out of range Min: 0.0, Max: 1.0, value: 1.5'),
        ('threshold', float('nan'), 'threshold out of range'),
        ('threshold', 'high', 'Wrong parameter type, expected'),
        ('nms_radius', -1, 'nms_radius out of range. Min: 0'),
        ('max_keypoints', 0, 'max_keypoints out of range. Min: 1'),
        ('border_margin', 2.5, 'Wrong parameter type, expected'),
        ('subpixel', 1, 'Wrong parameter type, expected'),
        ('descriptor_format', 'int4', "one of float32, int8; got 'int4'"),
        ('device', 'cpu', 'read-only parameter: device'),
    ],
)
def test_a_bad_parameter_is_refused_with_the_reason(system, name, value, reason):
    (result,) = system.observer.set_parameters(**{name: value})
    assert not result.successful
    assert reason in result.reason


def test_bad_frames_are_reported_and_the_next_good_one_is_processed(system, image):
    bad = [
        ({'encoding': 'mono7'}, 'mono7'),
        ({'height': 0}, 'has no pixels'),
        ({'step': 10}, 'step of at least 160'),
        ({'height': 480}, 'needs 76800 bytes of data; it has 19200'),
        ({'height': 8}, '(image, 1 so far)'),
    ]
    first = system.stamps(len(bad))
    for index, (fields, reason) in enumerate(bad):
        system.camera.publish(image, first + index, **fields)
        system.detector.wait_for(reason)
    (good,) = system.features_of(image)
    assert good.width > 20
    assert system.observer.with_stamps(first, len(bad)) == []


@pytest.mark.parametrize(
    ('encoding', 'channels'),
    [('mono8', 1), ('8UC1', 1), ('rgb8', 3), ('bgr8', 3), ('rgba8', 4), ('bgra8', 4)],
)
def test_all_encodings_and_padded_rows_give_the_same_features(system, image, encoding, channels):
    (expected,) = system.features_of(image)
    row = image.shape[1] * channels
    step = row + 7
    padded = np.full((image.shape[0], step), 77, np.uint8)
    padded[:, :row] = np.repeat(image[:, :, None], channels, axis=2).reshape(-1, row)
    (message,) = system.features_of(padded, encoding=encoding, width=image.shape[1], step=step)
    a, b = features_from_message(expected), features_from_message(message)
    np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_the_overlay_is_published_only_for_subscribers(system, image):
    pictures = []
    node = system.observer.observer
    subscription = node.create_subscription(Image, 'features/overlay', pictures.append, 10)
    system.observer.wait_until(lambda: bool(system.features_of(image)) and pictures)
    picture = pictures[-1]
    assert (picture.encoding, picture.height, picture.width) == ('bgr8', 120, 160)
    assert picture.header.frame_id == 'optical_frame'
    pixels = np.frombuffer(picture.data, np.uint8).reshape(120, 160, 3)
    drawn = (pixels != image[:, :, None]).any(axis=2)
    assert 0.01 < drawn.mean() < 0.9

    system.observer.set_parameters(overlay=False)
    messages = system.features_of(image, count=3)
    system.observer.rest(0.3)
    # Pictures of earlier frames may still arrive.
    assert not {milliseconds(each) for each in messages} & set(map(milliseconds, pictures))
    node.destroy_subscription(subscription)


def test_the_newest_frame_is_processed_if_frames_arrive_too_fast(system):
    large = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
    count = 60
    first = system.stamps(count)
    system.camera.publish(large, first, count=count, period=0.001)

    def is_answered():
        if milliseconds(system.observer.messages[-1]) >= first + count - 1:
            return True
        system.camera.publish(large, system.stamps(1))  # the middleware may lose the last of them
        return False

    system.observer.wait_until(is_answered)
    answered = [milliseconds(each) for each in system.observer.with_stamps(first, count)]
    assert answered == sorted(set(answered))
    assert len(answered) < count


def test_parameters_are_set_at_once_under_overload(system, random_weights):
    large = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
    count = 100_000
    first = system.stamps(count)
    observer = system.observer
    times = {'threshold': [], 'weights': []}
    with system.camera.flooding(large, first, count=100, period=0.005):
        observer.wait_until(lambda: observer.with_stamps(first, count))
        client = observer.observer.create_client(SetParameters, '/detector/set_parameters')
        observer.wait_until(client.service_is_ready)
        for threshold in (0.5, 0.4, 0.3, 0.2):
            for name, value in (('threshold', threshold), ('weights', str(random_weights))):
                parameter = Parameter(name, value=value).to_parameter_msg()
                future = client.call_async(SetParameters.Request(parameters=[parameter]))
                times[name].append(observer.busy_time_until(future.done))
                assert future.result().results[0].successful
    # The quickest, as the machine may be busy with more than the node.
    assert min(times['threshold']) < 0.1
    assert min(times['weights']) < 0.1
