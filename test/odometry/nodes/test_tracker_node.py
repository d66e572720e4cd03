# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tracker node: what goes in as features comes out as tracks, and parameters act at once."""

from __future__ import annotations

from array import array
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.features import Features
from superpoint_ros.ros.diagnostics import status_values
from superpoint_ros.ros.messages.feature_messages import features_to_message
from superpoint_ros.ros.messages.image_messages import image_message
from superpoint_ros.ros.messages.track_messages import tracks_from_message
from superpoint_ros.ros.topics import input_topic
from superpoint_ros.ros.tracker_node import TrackerNode
from support.noise_pictures import noise_picture

K = [400.0, 0.0, 319.5, 0.0, 400.0, 239.5, 0.0, 0.0, 1.0]


class Source:
    """Features of 50 points that move by 8 and -4 pixels in each frame, ten frames a second."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.places = rng.uniform([100, 100], [400, 380], (50, 2))
        descriptors = rng.normal(size=(50, 32))
        self.descriptors = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
        self.scores = np.linspace(1, 0.5, 50)

    def header(self, frame):
        tenths = 1000 + frame
        stamp = Time(sec=tenths // 10, nanosec=tenths % 10 * 100_000_000)
        return Header(stamp=stamp, frame_id='camera')

    def frame(self, number):
        places = self.places + np.array([8, -4]) * number
        return features_to_message(
            Features(places, self.scores, self.descriptors), self.header(number)
        )


def info(**changes):
    fields = {'width': 640, 'height': 480, 'distortion_model': 'plumb_bob', 'k': K, 'd': []}
    return CameraInfo(**{**fields, **changes})


def calibrate(graph, message=None):
    graph.publish(message or info(), 'camera_info')
    node = graph.tested[0]
    graph.wait_until(lambda: node.calibration.model() is not None)


def track(graph, tracks, features):
    """Publish features, and wait for their tracks."""
    count = len(tracks)
    graph.publish(features, 'features')
    graph.wait_until(lambda: len(tracks) > count)


def test_tracks_have_ids_directions_and_velocities(graph):
    graph.add(TrackerNode)
    calibrate(graph)
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    for number in range(3):
        track(graph, tracks, source.frame(number))
    for number, message in enumerate(tracks):
        assert message.header == source.header(number)
        found = tracks_from_message(message)
        assert found.ids.tolist() == list(range(50))
        # The points of the message are undistorted, at distance 1, in the order of the features.
        points = np.array([[p.x, p.y, p.z] for p in message.points])
        expected = (source.places + np.array([8, -4]) * number - K[2:6:3]) / 400
        np.testing.assert_allclose(points[:, :2], expected, atol=1e-5)
        assert (points[:, 2] == 1).all()
        speed = (0, 0) if number == 0 else (0.2, -0.1)  # 80 and -40 pixels a second by 400
        np.testing.assert_allclose(found.velocities, [speed] * 50, atol=1e-4)


def test_the_cloud_has_the_tracks_of_the_message_for_vins(graph):
    graph.add(TrackerNode)
    calibrate(graph)
    tracks, clouds = graph.listen(PointCloud, 'tracks'), graph.listen(PointCloud2, 'tracks/cloud')
    graph.wait_until(lambda: graph.tested[0].count_subscribers('/tracks/cloud') == 1)
    graph.publish(Source().frame(0), 'features')
    graph.wait_until(lambda: tracks and clouds)
    points = np.frombuffer(clouds[0].data, '<f4').reshape(50, 8)
    expected = [[p.x, p.y, p.z] for p in tracks[0].points]
    np.testing.assert_allclose(points[:, :3], expected, atol=1e-6)
    assert clouds[0].header == tracks[0].header


def test_without_a_calibration_only_pixel_coordinates_are_published(graph):
    graph.add(TrackerNode)
    graph.add(TrackerNode, coordinates='pixels').get_logger()
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    for number in range(2):
        graph.publish(source.frame(number), 'features')

    def counts():
        complaints = [
            status_values(status)
            for message in statuses
            for status in message.status
            if 'no calibration received' in status.message
        ]
        return [(each['frames received'], each['frames published']) for each in complaints]

    graph.wait_until(lambda: len(tracks) >= 2 and ('2', '0') in counts())
    assert len(tracks) == 2  # those of the second node
    points = np.array([[p.x, p.y] for p in tracks[1].points])
    np.testing.assert_allclose(points, source.places + [8, -4], atol=1e-3)
    np.testing.assert_allclose(tracks_from_message(tracks[1]).velocities[0], [80, -40], atol=0.1)


def test_the_diagnostics_have_the_number_of_tracks(graph):
    graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    track(graph, tracks, source.frame(0))
    statuses.clear()
    graph.wait_until(lambda: statuses)
    values = status_values(statuses[-1].status[0])
    assert values['tracks'] == '50'
    assert 'keypoints' not in values


def test_a_node_that_is_behind_continues_with_the_newest_messages_and_counts_the_others(graph):
    graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    track(graph, tracks, source.frame(0))
    for number in range(1, 6):  # while the node is not spun
        graph.publish(source.frame(number), 'features')
    graph.wait_until(lambda: len(tracks) == 3)
    assert [each.header for each in tracks[1:]] == [source.header(4), source.header(5)]
    assert tracks_from_message(tracks[2]).ids.tolist() == list(range(50))
    graph.publish(source.frame(6), 'features')

    def values():
        return status_values(statuses[-1].status[0])

    graph.wait_until(lambda: statuses and values()['frames published'] == '4')
    assert (values()['frames received'], values()['frames dropped']) == ('7', '3')


def test_messages_to_an_inactive_node_are_not_counted_as_dropped(graph):
    node = graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    track(graph, tracks, source.frame(0))
    node.trigger_deactivate()
    for number in range(1, 4):
        graph.publish(source.frame(number), 'features')
    node.trigger_activate()
    tracks.clear()
    track(graph, tracks, source.frame(4))
    statuses.clear()
    graph.wait_until(lambda: statuses)
    values = status_values(statuses[-1].status[0])
    # The numbers are those since the last activation.
    assert (values['frames received'], values['frames dropped']) == ('1', '0')


def test_a_detector_that_publishes_nothing_any_more_is_named_with_usual_reasons(
    graph, monkeypatch
):
    monkeypatch.setattr(input_topic, 'WATCHDOG_TIMEOUT', 0.5)
    node = graph.add(TrackerNode, coordinates='pixels')
    track(graph, graph.listen(PointCloud, 'tracks'), Source().frame(0))
    said = '1 publisher (/observer), but no more messages arrive: it is not active, lacks its own'
    graph.wait_until(lambda: said in node.statuses()[0].message)


def test_a_second_detector_that_ends_is_not_taken_for_dropped_messages(graph):
    node = graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    second = rclpy.create_node('second', context=graph.context)

    def track_second():
        count = len(tracks)
        other.publish(source.frame(count))
        graph.wait_until(lambda: len(tracks) > count)

    for number in range(20):
        track(graph, tracks, source.frame(number))
    other = second.create_publisher(PointCloud2, 'features', 10)
    graph.wait_until(lambda: other.get_subscription_count() > 0)
    for _ in range(3):
        track_second()
        track(graph, tracks, source.frame(len(tracks)))
    track_second()
    second.destroy_node()
    graph.wait_until(lambda: node.count_publishers('/features') == 1)
    for _ in range(3):
        track(graph, tracks, source.frame(len(tracks)))
    (features,) = node.inputs
    summary = features.statistics.summary(time.monotonic())
    assert (summary.received, summary.dropped) == (30, 0)


def test_tracks_younger_than_min_age_are_not_published(graph):
    node = graph.add(TrackerNode, coordinates='pixels', min_age=3)
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    for number in range(4):
        track(graph, tracks, source.frame(number))
    assert [len(message.points) for message in tracks] == [0, 0, 50, 50]
    result = node.set_parameters([Parameter('min_age', value=1), Parameter('ratio', value=0.9)])
    assert all(each.successful for each in result)
    track(graph, tracks, Source(seed=1).frame(5))
    assert len(tracks[4].points) == 50  # other points: all are new


def test_the_overlay_is_the_image_with_the_tracks_and_their_tails(graph):
    node = graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    pictures = graph.listen(Image, 'tracks/overlay')
    graph.wait_until(lambda: node.count_subscribers('tracks/overlay') > 0)
    graph.publish(source.frame(0), 'features')  # has the node ask for images
    for number in range(1, 5):
        image = Image(width=640, height=480, encoding='mono8', step=640)
        image.data, image.header = array('B', bytes(640 * 480)), source.header(number)
        graph.publish(image, 'image')
        graph.wait_until(lambda: node.images.received == 1)
        graph.publish(source.frame(number), 'features')
        graph.wait_until(lambda count=number: len(pictures) == count)
    picture = np.frombuffer(pictures[-1].data, np.uint8).reshape(480, 640, 3)
    assert pictures[-1].header == source.header(4)
    now = source.places + np.array([8, -4]) * 4
    inside = now[(now[:, 1] > 3) & (now[:, 0] < 636)]
    for x, y in np.rint(inside).astype(int):
        assert picture[y, x].max() > 100  # the point
    on_tails = np.rint(source.places + np.array([8, -4]) * 2.5).astype(int)
    drawn = [picture[y - 1 : y + 2, x - 1 : x + 2].max() > 60 for x, y in on_tails]
    assert np.mean(drawn) == 1
    assert len(tracks) == 5


@pytest.mark.parametrize('covariances', [True, False])
def test_tracks_are_refined_by_the_images_of_their_stamps(graph, covariances):
    graph.add(TrackerNode, coordinates='pixels', covariances=covariances)
    tracks, source, rng = graph.listen(PointCloud, 'tracks'), Source(), np.random.default_rng(3)
    picture = noise_picture(4, (640, 480))
    for number in range(4):
        moved = np.roll(picture, (-4 * number, 8 * number), axis=(0, 1))
        graph.publish(image_message(moved, source.header(number)), 'image')
        graph.wait_until(lambda: graph.tested[0].images.received == 1)
        places = source.places + np.array([8, -4]) * number + rng.normal(0, 0.4, (50, 2))
        graph.publish(
            features_to_message(
                Features(places, source.scores, source.descriptors), source.header(number)
            ),
            'features',
        )
        graph.wait_until(lambda count=number + 1: len(tracks) == count)
    first, last = (tracks_from_message(tracks[number]) for number in (0, 3))
    assert (first.ids == last.ids).all()
    errors = np.linalg.norm(last.keypoints - first.keypoints - [24, -12], axis=1)
    assert np.median(errors) < 0.02  # that of the keypoints is .7
    assert np.percentile(errors, 90) < 0.1
    if covariances:
        assert 1e-4 < np.median(last.covariances[:, 0, 0]) < 0.05**2
    else:
        assert last.covariances is None


def test_images_that_the_detector_has_dropped_are_not_kept(graph):
    node = graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    track(graph, tracks, source.frame(0))
    for number in range(1, 5):
        graph.publish(image_message(np.zeros((48, 64), np.uint8), source.header(number)), 'image')
        graph.wait_until(lambda count=number: node.images.received == count)
    graph.publish(source.frame(3), 'features')
    graph.wait_until(lambda: node.images.size == (64, 48))
    assert list(node.images._images) == [(100, 400_000_000)]


def test_images_that_never_have_the_stamp_of_features_are_reported_in_one_line(graph, capfd):
    graph.add(TrackerNode, coordinates='pixels')
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    black = np.zeros((480, 640), np.uint8)
    for number in range(25):
        graph.publish(image_message(black, source.header(5000 + number)), 'image')
        track(graph, tracks, source.frame(number % 10))
    lines = [line for line in capfd.readouterr().err.splitlines() if 'not refined' in line]
    assert len(lines) == 1
    assert 'images arrived on /image, but none has the stamp of any of the last 20' in lines[0]
    assert len(tracks[-1].points) == 50
    graph.wait_until(lambda: 'missing' in images_notes(statuses))


def images_notes(statuses):
    """Return what the diagnostics say about images."""
    values = [value for each in statuses for status in each.status for value in status.values]
    return {value.value for value in values if value.key == 'images'}


def test_tracks_go_on_without_images_and_with_unreadable_ones(graph, capfd):
    graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    for number in range(3):
        bad = Image(width=640, height=480, encoding='nonsense', step=640)
        bad.header = source.header(number)
        graph.publish(bad, 'image')
        graph.wait_until(lambda count=number + 1: graph.tested[0].images.received == count)
        track(graph, tracks, source.frame(number))
    assert tracks_from_message(tracks[-1]).ids.tolist() == list(range(50))
    lines = [line for line in capfd.readouterr().err.splitlines() if 'usable image' in line]
    assert len(lines) == 1
    assert 'nonsense' in lines[0]


def test_images_are_received_only_if_they_are_of_use(graph):
    node = graph.add(TrackerNode, coordinates='pixels', max_refinement=0.0, max_bridged_frames=0)
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    assert node.count_subscribers('image') == 0
    node.set_parameters([Parameter('max_refinement', value=2.0)])
    graph.publish(source.frame(0), 'features')
    graph.wait_until(lambda: len(tracks) == 1 and node.count_subscribers('image') == 1)
    node.trigger_deactivate()
    graph.wait_until(lambda: node.count_subscribers('image') == 0)


def test_a_recording_that_is_repeated_restarts_all_tracks_with_one_line_in_the_log(graph, capfd):
    graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    for number in (0, 5, 10, 0, 5, 10, 0, 5):
        track(graph, tracks, source.frame(number))
    ages = [tracks_from_message(message).ids.min() // 50 for message in tracks]
    assert ages == [0, 0, 0, 1, 1, 1, 2, 2]
    lines = [line for line in capfd.readouterr().err.splitlines() if 'restart' in line]
    assert len(lines) == 1
    assert lines[0].endswith('all tracks restart: the stamps went back by 1.000 s')


def test_a_message_out_of_order_is_skipped_and_tracks_go_on(graph, capfd):
    node = graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    for number in (0, 1, 2, 4):
        track(graph, tracks, source.frame(number))
    graph.publish(source.frame(3), 'features')
    track(graph, tracks, source.frame(5))
    assert len(tracks) == 5
    ids = [tracks_from_message(message).ids for message in tracks]
    np.testing.assert_array_equal(ids[-1], ids[0])
    assert node.inputs[0].statistics.summary(1e9).bad_frames == {'content': 1}
    assert 'the stamp lies 0.100 s before that of the last message' in capfd.readouterr().err


def test_another_image_size_starts_new_tracks(graph):
    graph.add(TrackerNode)
    calibrate(graph)
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    track(graph, tracks, source.frame(0))
    node = graph.tested[0]
    graph.publish(info(width=1280, height=960), 'camera_info')
    graph.wait_until(lambda: node.calibration.model().size == (1280, 960))
    track(graph, tracks, source.frame(1))
    assert tracks_from_message(tracks[1]).ids.tolist() == list(range(50, 100))


def test_nothing_is_published_while_images_have_another_size_than_the_calibration(graph):
    graph.add(TrackerNode)
    calibrate(graph)
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    statuses = graph.listen(DiagnosticArray, '/diagnostics')
    trouble = 'calibration is for images of 640x480, not 320x240'

    def track(number, size=None):
        if size:
            black = np.zeros(size[::-1], np.uint8)
            graph.publish(image_message(black, source.header(number)), 'image')
            graph.wait_until(lambda: graph.tested[0].images.received == 1)
        graph.publish(source.frame(number), 'features')

    track(0, (640, 480))
    graph.wait_until(lambda: len(tracks) == 1)
    track(1, (320, 240))
    track(2)  # without an image, the size is that of the last one
    graph.wait_until(lambda: trouble in str(statuses[-1:]))
    track(3, (640, 480))
    graph.wait_until(lambda: len(tracks) == 2)
    assert tracks[-1].header.stamp == source.header(3).stamp
    graph.wait_until(lambda: trouble not in str(statuses[-1:]))


def test_tracks_go_on_if_images_stay_away_after_the_camera_has_changed_their_size(graph):
    graph.add(TrackerNode)
    calibrate(graph)
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    node, statistics = graph.tested[0], graph.tested[0].inputs[0].statistics
    graph.publish(image_message(np.zeros((480, 640), np.uint8), source.header(0)), 'image')
    graph.wait_until(lambda: node.images.received == 1)
    track(graph, tracks, source.frame(0))
    graph.publish(info(width=1280, height=960), 'camera_info')
    graph.wait_until(lambda: node.calibration.model().size == (1280, 960))
    for number in range(1, 25):
        graph.publish(source.frame(number % 10), 'features')
        graph.wait_until(lambda n=number: statistics.summary(time.monotonic()).received == n + 1)
    graph.wait_until(lambda: len(tracks) > 4)
    assert node.calibration.trouble == ''
    graph.rest(0.2)
    assert len(tracks) == 6  # the first one, and those after 20 frames without an image


def test_images_without_stamps_do_not_refine_tracks_of_other_images(graph, capfd):
    graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    picture = noise_picture(4, (640, 480))
    for number in range(24):
        here = number % 10
        # The features are those of an image that came two frames before the newest one.
        newest = np.roll(picture, (-4 * (here + 2), 8 * (here + 2)), axis=(0, 1))
        graph.publish(image_message(newest, Header()), 'image')
        graph.wait_until(lambda n=number: graph.tested[0].images.received == n + 1)
        features = source.frame(here)
        features.header.stamp = Time()
        track(graph, tracks, features)
    last = tracks_from_message(tracks[9])
    assert last.covariances is None
    np.testing.assert_allclose(last.keypoints, source.places + [72, -36], atol=1e-3)
    assert last.ids.tolist() == list(range(50))
    lines = [line for line in capfd.readouterr().err.splitlines() if 'not refined: ' in line]
    assert len(lines) == 1
    assert 'the stamps of the features are 0' in lines[0]


def test_invalid_feature_messages_are_counted_and_skipped(graph):
    node = graph.add(TrackerNode, coordinates='pixels')
    tracks, source = graph.listen(PointCloud, 'tracks'), Source()
    bad = source.frame(0)
    bad.fields[0].name = 'x'
    graph.publish(bad, 'features')
    track(graph, tracks, source.frame(1))
    assert node.inputs[0].statistics.summary(1e9).bad_frames == {'content': 1}


def test_a_lifecycle_manager_changes_the_state_of_the_tracker(graph):
    node = graph.add(TrackerNode, autostart=False, coordinates='pixels')
    assert node.state == 'unconfigured'
    assert node.count_publishers('tracks') == 0
    for trigger, state in (
        (node.trigger_configure, 'inactive'),
        (node.trigger_activate, 'active'),
        (node.trigger_deactivate, 'inactive'),
        (node.trigger_cleanup, 'unconfigured'),
        (node.trigger_configure, 'inactive'),
        (node.trigger_activate, 'active'),
    ):
        trigger()
        assert node.state == state
    tracks = graph.listen(PointCloud, 'tracks')
    track(graph, tracks, Source().frame(0))
