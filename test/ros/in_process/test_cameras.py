# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Several cameras with one network, and what each of them may bring along."""

from __future__ import annotations

from array import array

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.ros.detector import worker
from superpoint_ros.ros.messages.feature_messages import (
    features_from_message,
    normalized_from_message,
)
from support.ros import milliseconds, PATIENCE


def count_batches(system):
    """Return a list that gets the number of images of each batch."""
    detector = system.node.detector
    infer, sizes = detector.pipeline.infer, []

    def counting(images):
        sizes.append(len(images))
        return infer(images)

    detector.pipeline.infer = counting
    return sizes


def test_frames_of_one_stamp_go_through_the_network_together(start_inside, image, monkeypatch):
    monkeypatch.setattr(worker, 'ALIVE', PATIENCE)  # however busy the machine is
    system = start_inside(cameras=['left', 'right'], sync_wait=1.0)
    for side in ('left', 'right'):
        system.listen_to_features(f'{side}/features')
    topics = [f'{side}/image' for side in ('left', 'right')]
    answers = [system.features[f'{side}/features'] for side in ('left', 'right')]

    def both_answered(stamp):
        return all(stamp in map(milliseconds, messages) for messages in answers)

    def publish(stamp):
        for topic in topics:
            system.publish(image, topic, stamp=stamp)

    publish(1)
    system.rest(0.5)
    publish(2)
    system.wait_until(lambda: both_answered(2))
    sizes = count_batches(system)
    for stamp in range(10, 15):
        publish(stamp)
        system.wait_until(lambda stamp=stamp: both_answered(stamp))
    assert sizes == [2] * 5
    left, right = answers[0][-1], answers[1][-1]
    assert left.data == right.data
    assert left.width > 20


def test_each_camera_is_reported_and_one_that_is_dead_does_not_hold_up_the_other(
    start_inside, image
):
    system = start_inside(cameras=['left', 'right'])
    for index in range(3):
        system.answers(image, 'left/image', 'left/features', stamp=100 + index)
    system.status('network')
    assert int(system.newest_status('/left/image')[2]['frames published']) >= 3
    assert system.newest_status('/right/image')[2]['frames published'] == '0'


def test_topics_of_two_cameras_can_be_exchanged_by_remapping(start_inside, image, info):
    remappings = [
        f'{old}/{topic}:=/{new}/{topic}'
        for old, new in (('left', 'right'), ('right', 'left'))
        for topic in ('image', 'camera_info')
    ]
    system = start_inside(remappings, cameras=['left', 'right'], normalized_coordinates=True)
    system.publish(info, '/right/camera_info')
    system.wait_until(lambda: system.answers(image, '/right/image', 'left/features').is_dense)
    assert not system.answers(image, '/left/image', 'right/features').is_dense


def test_two_cameras_can_have_images_of_two_sizes(start_inside, image):
    system = start_inside(cameras=['left', 'right'])
    small = type(image)(height=60, width=80, step=80, encoding='mono8', data=image.data[: 60 * 80])
    for stamp in (1, 2, 3):
        system.answers(image, 'left/image', 'left/features', stamp=stamp)
        system.answers(small, 'right/image', 'right/features', stamp=stamp)
    right = features_from_message(system.features['right/features'][-1])
    assert right.keypoints[:, 0].max() < 80
    assert features_from_message(system.features['left/features'][-1]).keypoints.max() > 80


@pytest.mark.parametrize('format_', ['png', 'jpeg'])
def test_compressed_images_are_read(start_inside, pixels, format_):
    system = start_inside(image_transport='compressed', remappings=['image:=/front/image_raw'])
    ok, code = cv2.imencode(f'.{format_}', pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    message = CompressedImage(format=format_, data=array('B', code.tobytes()))
    answer = system.answers(message, '/front/image_raw/compressed', stamp=4321)
    assert milliseconds(answer) == 4321
    assert answer.width > 20
    gray = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    expected = system.node.detector(gray, settings=DetectionSettings(threshold=0.001))
    found = features_from_message(answer)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    message.data = message.data[:50]
    system.publish(message, '/front/image_raw/compressed')
    system.wait_until(
        lambda: (
            system.newest_status('compressed')[2].get('bad frames')
            or 'bad frames: compression' in str(system.diagnostics[-1:])
        )
    )
    assert system.answers(
        CompressedImage(format=format_, data=array('B', code.tobytes())),
        '/front/image_raw/compressed',
    ).width


def test_no_keypoint_lies_where_the_mask_is_black(start_inside, image, tmp_path):
    mask = np.zeros((120, 160), np.uint8)
    mask[40:90, 60:120] = 255
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), mask)
    system = start_inside(cameras=['left', 'right'], subpixel=False, **{'left.mask': str(path)})
    left = system.answers(image, 'left/image', 'left/features', stamp=1)
    right = system.answers(image, 'right/image', 'right/features', stamp=1)
    u, v = features_from_message(left).keypoints.T
    assert 0 < len(u) < right.width
    assert u.min() >= 60
    assert u.max() < 120
    assert v.min() >= 40
    assert v.max() < 90
    image.height = 60
    system.publish(image, 'left/image')
    system.wait_until(lambda: 'bad frames: image' in system.newest_status('/left/image')[2])


def test_cameras_with_one_image_topic_have_different_names_in_the_diagnostics(start_inside):
    names = ['front', 'masked', 'rear']
    shared = [f'{name}/image:=/camera/image_raw' for name in names[:2]]
    node = start_inside(shared, cameras=names).node
    assert [status.name for status in node.statuses()] == [
        'detector: network',
        'detector: /camera/image_raw (front)',
        'detector: /camera/image_raw (masked)',
        'detector: /rear/image',
    ]


def test_no_mask_of_a_camera_is_taken_for_a_misspelt_parameter(start_inside, capfd):
    start_inside(cameras=['a', 'b'], **{'a.mask': '', 'b.mask': '', 'msk': ''})
    warnings = [line for line in capfd.readouterr().err.splitlines() if 'unknown' in line]
    assert len(warnings) == 1
    assert warnings[0].endswith('the parameter msk is unknown and is ignored: is mask meant?')


def test_the_diagnostics_name_a_mask_of_the_wrong_size(start_inside, image, info, tmp_path):
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), np.full((60, 80), 255, np.uint8))
    # There is a calibration: it must not be named in place of the mask.
    system = start_inside(mask=str(path), normalized_coordinates=True)
    system.publish(info, 'camera_info')
    system.publish(image, 'image')
    system.wait_until(lambda: 'bad frames: image' in system.newest_status('/image')[2])
    level, message, _ = system.newest_status('/image')
    assert level == DiagnosticStatus.WARN
    assert message == (
        '100% of the frames cannot be used: the mask must have the size of the image, 160x120; '
        'got 80x60'
    )


def test_a_mask_of_the_wrong_size_does_not_stop_the_other_camera(
    start_inside, image, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker, 'ALIVE', PATIENCE)  # frames of one stamp are always one batch
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), np.full((60, 80), 255, np.uint8))
    system = start_inside(cameras=['left', 'right'], sync_wait=1.0, **{'right.mask': str(path)})
    for side in ('left', 'right'):
        system.listen_to_features(f'{side}/features')
    left = system.features['left/features']

    def publish(stamp):
        for side in ('left', 'right'):
            system.publish(image, f'{side}/image', stamp=stamp)

    publish(1)
    system.rest(0.5)
    for stamp in range(2, 7):
        publish(stamp)
        system.wait_until(lambda stamp=stamp: stamp in map(milliseconds, left))
    assert left[-1].width > 20
    system.wait_until(lambda: 'the mask must have the size' in system.status('/right/image')[1])
    assert int(system.newest_status('/right/image')[2]['bad frames: image']) >= 4
    assert 'bad frames: image' not in system.newest_status('/left/image')[2]
    assert not system.features['right/features']


def test_a_mask_that_cannot_be_read_is_named(start_inside, tmp_path):
    path = tmp_path / 'mask.png'
    said = f'the mask cannot be used: there is no image file {path}'
    with pytest.raises(FileNotFoundError, match=said):
        start_inside(mask=str(path))
    path.write_text('no image')
    said = f'the mask cannot be used: {path} cannot be read as an image'
    with pytest.raises(ValueError, match=said):
        start_inside(mask=str(path))


@pytest.mark.parametrize('names', [['left', 'left'], ['left camera'], ['/left']])
def test_names_that_cannot_be_topics_are_refused(start_inside, names):
    with pytest.raises(ValueError, match='cameras must be different names of letters'):
        start_inside(cameras=names)


def test_normalised_coordinates_come_with_a_calibration(start_inside, image, info):
    system = start_inside(normalized_coordinates=True)
    answer = system.answers(image)
    before = normalized_from_message(answer)
    assert np.isnan(before).all()
    assert not answer.is_dense
    assert 'no calibration' in system.status('/image')[1]
    system.publish(info, 'camera_info')

    def has_coordinates():
        message = system.answers(image)
        return np.isfinite(normalized_from_message(message)).all()

    system.wait_until(has_coordinates)
    message = system.features['features'][-1]
    keypoints = features_from_message(message).keypoints
    matrix, distortion = np.reshape(info.k, (3, 3)), np.array(info.d)
    expected = cv2.undistortPoints(keypoints[:, None].astype(float), matrix, distortion)[:, 0]
    np.testing.assert_allclose(normalized_from_message(message), expected, atol=2e-5)
    assert message.is_dense
    assert [f.name for f in message.fields[3:]] == ['descriptor', 'x', 'y', 'z']

    info.width = 320
    system.publish(info, 'camera_info')
    system.wait_until(lambda: not has_coordinates())
    assert 'for images of 320x120, not 160x120' in system.status('/image')[1]


def test_a_lazy_node_subscribes_to_images_only_for_subscribers(start_inside, image):
    system = start_inside(lazy=True)
    system.rest(0.2)
    assert system.observer.count_subscribers('/image') == 0
    assert system.status('/image')[1] == 'the features have no subscriber'
    subscription = system.listen_to_features()
    system.wait_until(lambda: system.observer.count_subscribers('/image') == 1)
    assert system.answers(image).width > 20
    system.observer.destroy_subscription(subscription)
    system.wait_until(lambda: system.observer.count_subscribers('/image') == 0)


def test_an_overlay_that_is_turned_off_is_no_reason_to_subscribe_to_images(start_inside):
    system = start_inside(lazy=True, overlay=False)
    system.observer.create_subscription(Image, 'features/overlay', print, 1)
    (camera,) = system.node.inputs
    system.wait_until(lambda: camera._overlay.get_subscription_count() > 0)
    system.rest(0.2)
    assert system.observer.count_subscribers('/image') == 0
    system.set_parameters_of('detector', overlay=True)
    system.wait_until(lambda: system.observer.count_subscribers('/image') == 1)


def test_images_are_received_as_sensor_data_and_features_published_reliably(start_inside):
    system = start_inside()

    def reliabilities():
        ends = (
            system.observer.get_subscriptions_info_by_topic('/image'),
            system.observer.get_publishers_info_by_topic('/features'),
        )
        return [end[0].qos_profile.reliability for end in ends if end]

    best_effort, reliable = QoSReliabilityPolicy.BEST_EFFORT, QoSReliabilityPolicy.RELIABLE
    system.wait_until(lambda: reliabilities() == [best_effort, reliable])
    (camera,) = system.node.inputs
    assert camera._subscription.qos_profile.depth == 1
    assert camera.features.qos_profile.depth == 10
