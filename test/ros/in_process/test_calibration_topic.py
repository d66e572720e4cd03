# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Calibrations that are missing, of another size, latched, or received without events."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rclpy import event_handler
from rclpy.event_handler import QoSPublisherEventType, QoSSubscriptionEventType
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from superpoint_ros.ros.messages.feature_messages import (
    features_from_message,
    normalized_from_message,
)
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.node_log import REPEAT
from superpoint_ros.ros.topics import calibration_topic
from support.ros import Observer
from support.ros_domain import ros_domain

DOMAIN = ros_domain(5)

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def test_a_calibration_of_another_size_is_reported_once_if_sizes_alternate(
    start_inside, image, info, wait_for_log
):
    system = start_inside(normalized_coordinates=True)
    small = image_message(np.zeros((60, 80), np.uint8))
    system.wait_until(
        lambda: system.publish(info, 'camera_info') or system.answers(image).is_dense
    )
    for _ in range(3):
        assert not system.status('/image')[1].startswith('/camera_info')
        system.answers(small)
        assert system.status('/image')[1].startswith('/camera_info')
        system.answers(image)
    log = wait_for_log(system, 'no normalized coordinates')
    assert log.count('no normalized coordinates') == 1


def test_an_invalid_calibration_is_logged_directly_after_a_missing_one(
    start_inside, image, info, wait_for_log, monkeypatch
):
    monkeypatch.setattr(calibration_topic, 'WATCHDOG_TIMEOUT', 0.0)
    system = start_inside(normalized_coordinates=True)
    for _ in range(2):
        system.answers(image)
    info.distortion_model = 'unknown_model'
    system.publish(info, 'camera_info')
    system.wait_until(
        lambda: system.answers(image) and 'unknown_model' in system.newest_status('/image')[1]
    )
    log = wait_for_log(system, 'unknown_model')
    times = [
        float(re.search(rf'\[WARN\] \[([0-9.]+)\].*no normalized coordinates: .*{text}', log)[1])
        for text in ('no calibration received', 'unknown_model')
    ]
    assert times[1] - times[0] < REPEAT


@pytest.mark.parametrize(('discovery', 'count'), [(0.2, 1), (60.0, 0)])
def test_a_calibration_that_comes_a_little_later_than_the_images_causes_no_warning(
    start_inside, image, info, capfd, monkeypatch, discovery, count
):
    monkeypatch.setattr(calibration_topic, 'WATCHDOG_TIMEOUT', discovery)
    system = start_inside(normalized_coordinates=True)
    system.answers(image)
    system.rest(0.4)
    system.answers(image)
    system.wait_until(
        lambda: system.publish(info, 'camera_info') or system.answers(image).is_dense
    )
    assert capfd.readouterr().err.count('no normalized coordinates') == count


@pytest.mark.parametrize('depth_source', ['none', 'stereo'])
def test_a_missing_calibration_names_topics_with_publishers_and_its_own_remapping(
    start_inside, image, depth_source
):
    stereo = {'cameras': ['left', 'right'], 'depth_source': 'stereo'}
    mono = {'normalized_coordinates': True}
    system = start_inside(**(stereo if depth_source == 'stereo' else mono))
    name = 'left/' if depth_source == 'stereo' else ''
    topics = [f'/{name}image', f'/{name.replace("left", "right")}image']
    system.listen_to_features(f'{name}features')

    def said(text):
        for topic in topics:
            system.publish(image, topic, stamp=1000)
        system.rest(0.1)
        return text in system.newest_status(topics[0])[1]

    silent = f'/{name}camera_info: the topic has no publisher'
    if depth_source == 'none':
        silent = '/camera_info: no calibration received: the topic has no publisher'
    system.wait_until(lambda: said(silent))
    system.observer.create_publisher(CameraInfo, '/camera/infos', 1)
    there = f'topics of this type are /camera/infos (remap with {name}camera_info:=TOPIC)'
    system.wait_until(lambda: said(f'{silent}; {there}'))


def test_a_topic_of_another_type_is_the_reason_for_a_missing_calibration(
    start_inside, image, monkeypatch
):
    monkeypatch.setattr(calibration_topic, 'WATCHDOG_TIMEOUT', 0.5)
    system = start_inside(normalized_coordinates=True)
    other = Observer(DOMAIN)  # Fast DDS refuses two types of one topic in a context
    try:
        other.observer.create_publisher(Image, 'camera_info', 1)
        reason = 'received: the topic has the type sensor_msgs/msg/Image, not sensor_msgs/msg/C'
        system.wait_until(
            lambda: system.answers(image) and reason in system.newest_status('/image')[1]
        )
    finally:
        other.close()


@pytest.mark.parametrize('is_latched', [True, False])
def test_a_calibration_that_was_published_once_before_the_start_is_received_if_latched(
    start_inside, image, info, is_latched, monkeypatch
):
    monkeypatch.setattr(calibration_topic, 'WATCHDOG_TIMEOUT', 0.5)
    system = start_inside(normalized_coordinates=True, autostart=False)
    qos = LATCHED if is_latched else QoSProfile(depth=1)
    publisher = system.observer.create_publisher(CameraInfo, 'camera_info', qos)
    publisher.publish(info)
    system.node.trigger_configure()
    system.node.trigger_activate()
    system.answers(image)
    if is_latched:
        system.wait_until(lambda: 'calibration' not in system.newest_status('/image')[1])
        system.wait_until(lambda: system.answers(image).is_dense)
    else:
        system.rest(1.0)
        system.answers(image)
        reason = '1 publisher, but no message has arrived; one that publishes it only once'
        assert f'no calibration received: {reason}' in system.status('/image')[1]
        publisher.publish(info)
        system.wait_until(lambda: system.answers(image).is_dense)


def test_a_latched_and_a_repeated_calibration_cause_no_warning(start_inside, image, info, capfd):
    system = start_inside(normalized_coordinates=True)
    system.observer.create_publisher(CameraInfo, 'camera_info', LATCHED).publish(info)
    system.wait_until(lambda: system.answers(image).is_dense)
    system.publish(info, 'camera_info')
    system.rest(1.0)
    assert 'offering incompatible QoS' not in capfd.readouterr().err


def test_a_changed_calibration_is_used_and_a_deactivated_node_receives_none(
    start_inside, image, info
):
    system = start_inside(normalized_coordinates=True)
    info.d = [0.0] * 5

    def is_used():
        system.publish(info, 'camera_info')
        message = system.answers(image)
        keypoints = features_from_message(message).keypoints
        fx, _, cx, _, fy, cy, *_ = info.k
        expected = (keypoints - [cx, cy]) / [fx, fy]
        return np.allclose(normalized_from_message(message), expected, atol=1e-5)

    system.wait_until(is_used)
    info.k[0] = 300.0
    system.wait_until(is_used)
    system.node.trigger_deactivate()
    system.wait_until(lambda: system.observer.count_subscribers('/camera_info') == 0)


@pytest.fixture
def _rmw_without_events(monkeypatch):
    """Replace events that not every RMW implementation supports, as rclpy reports their lack."""
    optional = {
        QoSSubscriptionEventType.RCL_SUBSCRIPTION_MATCHED,
        QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST,
        QoSPublisherEventType.RCL_PUBLISHER_MATCHED,
    }
    make = event_handler.EventHandler.__init__

    def refuse(self, *, event_type, **options):
        if event_type in optional:
            raise event_handler.UnsupportedEventTypeError('event type is not supported')
        make(self, event_type=event_type, **options)

    monkeypatch.setattr(event_handler.EventHandler, '__init__', refuse)


@pytest.mark.usefixtures('_rmw_without_events')
def test_without_events_a_latched_calibration_is_received_and_a_lazy_node_starts_and_stops(
    start_inside, image, info
):
    system = start_inside(normalized_coordinates=True, lazy=True)
    system.observer.create_publisher(CameraInfo, 'camera_info', LATCHED).publish(info)
    system.rest(0.2)
    assert system.observer.count_subscribers('/image') == 0
    subscription = system.listen_to_features()
    system.wait_until(lambda: system.observer.count_subscribers('/image') == 1)
    system.wait_until(lambda: system.answers(image).is_dense)
    assert 'calibration' not in system.status('/image')[1]
    system.observer.destroy_subscription(subscription)
    system.wait_until(lambda: system.observer.count_subscribers('/image') == 0)


@pytest.mark.parametrize('is_shared', [True, False])
def test_publishers_of_different_calibrations_on_one_topic_are_named(
    start_inside, image, info, wait_for_log, capfd, is_shared
):
    system = start_inside(normalized_coordinates=True)
    publishers = [system.observer.create_publisher(CameraInfo, 'camera_info', 5)]
    if is_shared:
        publishers.append(system.observer.create_publisher(CameraInfo, 'camera_info', 5))
    system.wait_until(lambda: system.node.count_publishers('camera_info') == len(publishers))
    system.wait_until(lambda: publishers[0].publish(info) or system.answers(image).is_dense)
    used = system.node.inputs[0].calibration
    info.k[0] += 1.0
    system.wait_until(
        lambda: (
            publishers[-1].publish(info)
            or (system.answers(image) and used._used.k[0] == info.k[0])
        )
    )
    said = 'different calibrations on /camera_info, which has 2 publishers (/observer, /observer)'
    if is_shared:
        wait_for_log(system, said)
    else:
        assert 'different calibrations' not in capfd.readouterr().err


def test_a_publisher_that_appears_late_has_time_to_publish(
    start_inside, image, info, capfd, monkeypatch
):
    system = start_inside(normalized_coordinates=True)
    monkeypatch.setattr(calibration_topic, 'WATCHDOG_TIMEOUT', 0.2)
    system.answers(image)
    system.rest(0.4)
    system.answers(image)  # without a publisher: the warning is due
    monkeypatch.setattr(calibration_topic, 'WATCHDOG_TIMEOUT', 30.0)
    publisher = system.observer.create_publisher(CameraInfo, 'camera_info', 5)
    system.wait_until(lambda: system.node.inputs[0].calibration._has_publisher)
    system.answers(image)
    system.wait_until(lambda: publisher.publish(info) or system.answers(image).is_dense)
    log = capfd.readouterr().err
    assert log.count('no normalized coordinates') == 1
    assert 'no message has arrived' not in log
