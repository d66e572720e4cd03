# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages of tracks are what estimators of the VINS family read, channel by channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.features import Depths
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.ros.messages.track_messages import (
    IDS,
    tracks_from_message,
    tracks_to_cloud,
    tracks_to_message,
)


def some_tracks(ids=(3, 8, 20)):
    count = len(ids)
    places = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    return Tracks.new(ids, 100 + places)


def message_of(tracks, layout='vins_mono', points=None, **options):
    points = np.full((len(tracks), 2), 0.25, np.float32) if points is None else points
    velocities = np.tile(np.array([0.5, -0.5], np.float32), (len(tracks), 1))
    header = Header(frame_id='camera')
    message = tracks_to_message(tracks, header, points, velocities, layout, **options)
    return deserialize_message(serialize_message(message), PointCloud)


def read_as_vins_mono(message):
    """Return what VINS-Mono's estimator takes from a message, by the places of the channels."""
    found = {}
    for i, point in enumerate(message.points):
        number = int(message.channels[0].values[i] + 0.5)
        assert point.z == 1
        found[number] = (
            *(point.x, point.y),
            *(message.channels[k].values[i] for k in (1, 2, 3, 4)),
        )
    return found


def read_as_vins_fusion(message):
    """Return what VINS-Fusion takes; it reads channels 6 to 8 where there are more than five."""
    found = {}
    for i, point in enumerate(message.points):
        assert point.z == 1
        values = [channel.values[i] for channel in message.channels]
        if len(message.channels) > 5:
            assert values[6:9] == [0, 0, 0]
        found[int(values[0])] = (int(values[1]), point.x, point.y, *values[2:6])
    return found


def test_vins_mono_reads_ids_positions_and_velocities():
    found = read_as_vins_mono(message_of(some_tracks()))
    assert found == {
        3: (0.25, 0.25, 100, 101, 0.5, -0.5),
        8: (0.25, 0.25, 102, 103, 0.5, -0.5),
        20: (0.25, 0.25, 104, 105, 0.5, -0.5),
    }


def test_vins_fusion_reads_the_camera_too():
    found = read_as_vins_fusion(message_of(some_tracks(), 'vins_fusion', camera_id=1))
    assert found[8] == (1, 0.25, 0.25, 102, 103, 0.5, -0.5)
    assert len(found) == 3


def test_points_whose_direction_is_unknown_are_left_out():
    points = np.array([[0.1, 0.2], [np.nan, 0.2], [0.3, 0.4]], np.float32)
    message = message_of(some_tracks(), points=points)
    assert list(read_as_vins_mono(message)) == [3, 20]
    assert all(len(channel.values) == 2 for channel in message.channels)


def test_no_tracks_make_an_empty_message_with_all_channels():
    message = message_of(some_tracks(()))
    assert list(message.points) == []
    assert [channel.name for channel in message.channels] == [
        *('id', 'u', 'v', 'velocity_x', 'velocity_y')
    ]
    assert len(tracks_from_message(message)) == 0


def test_ids_stay_whole_numbers_in_float32():
    tracks = some_tracks((IDS - 2, IDS - 1, IDS + 5))
    found = tracks_from_message(message_of(tracks))
    assert found.ids.tolist() == [5, IDS - 2, IDS - 1]
    assert found.indices.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(found.keypoints, tracks.keypoints[[2, 0, 1]])


@pytest.mark.parametrize('layout', ['vins_mono', 'vins_fusion'])
def test_tracks_are_unchanged_by_a_message(layout):
    tracks = some_tracks()
    found = tracks_from_message(message_of(tracks, layout))
    np.testing.assert_array_equal(found.ids, tracks.ids)
    np.testing.assert_array_equal(found.keypoints, tracks.keypoints)
    np.testing.assert_array_equal(found.velocities, [[0.5, -0.5]] * 3)


@pytest.mark.parametrize('layout', ['vins_mono', 'vins_fusion'])
def test_covariances_follow_the_channels_that_estimators_read(layout):
    covariances = np.array([[[2, 1], [1, 3]], [[0.5, -0.25], [-0.25, 0.5]], [[1, 0], [0, 4]]])
    tracks = replace(some_tracks((8, 3, 20)), covariances=covariances.astype(np.float32))
    message = message_of(tracks, layout)
    names = [channel.name for channel in message.channels]
    assert names[-3:] == ['variance_u', 'covariance_uv', 'variance_v']
    assert names[:-3] == [channel.name for channel in message_of(some_tracks(), layout).channels]
    assert list(message.channels[-2].values) == [1, -0.25, 0]
    np.testing.assert_array_equal(tracks_from_message(message).covariances, covariances[[1, 0, 2]])
    assert tracks_from_message(message_of(some_tracks())).covariances is None
    message.channels[-3].values[0] = -1  # impossible: unknown
    found = tracks_from_message(message).covariances
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[2], covariances[2])


def test_invalid_track_messages_are_refused_with_the_reason():
    message = message_of(some_tracks())
    message.channels[0].name = 'intensity'
    with pytest.raises(ValueError, match='lacks the channels id; it has intensity, u'):
        tracks_from_message(message)
    message = message_of(some_tracks())
    message.channels[2].values = message.channels[2].values[:1]
    with pytest.raises(ValueError, match='channel v has 1 value for 3 points'):
        tracks_from_message(message)
    with pytest.raises(ValueError, match='id 8 occurs twice'):
        tracks_from_message(message_of(some_tracks((8, 8, 9))))
    for value in (np.nan, np.inf, 2.0**31):
        message = message_of(some_tracks())
        message.channels[0].values[1] = value
        with pytest.raises(ValueError, match=f'channel id has the value {np.float32(value)}'):
            tracks_from_message(message)
    with pytest.raises(ValueError, match="vins_mono, vins_fusion; got 'okvis'"):
        message_of(some_tracks(), 'okvis')


def test_a_cloud_has_the_content_of_the_tracks_at_depth_1():
    tracks = some_tracks((3, 8, 2**24 + 5))
    points = np.array([[0.1, 0.2], [np.nan, 0.3], [0.4, 0.5]], np.float32)
    velocities = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    header = Header(frame_id='camera')
    message = tracks_to_cloud(tracks, header, points, velocities)
    message = deserialize_message(serialize_message(message), PointCloud2)
    assert message.header == header
    names = ['x', 'y', 'z', 'id', 'u', 'v', 'velocity_x', 'velocity_y']
    assert [field.name for field in message.fields] == names
    assert (message.height, message.width, message.point_step) == (1, 2, 32)
    layout = [(name, '<i4' if name == 'id' else '<f4') for name in names]
    cloud = np.frombuffer(message.data, layout)
    assert cloud['id'].tolist() == [3, 5]  # the point without a direction is left out
    np.testing.assert_allclose(cloud['x'], [0.1, 0.4])
    np.testing.assert_allclose(cloud['z'], 1)
    np.testing.assert_allclose(cloud['u'], tracks.keypoints[[0, 2], 0])
    np.testing.assert_allclose(cloud['velocity_y'], [2, 6])
    assert message.is_dense


@pytest.mark.parametrize('layout', ['vins_mono', 'vins_fusion'])
def test_depths_are_channels_behind_those_that_estimators_read(layout):
    depths = Depths([2.0, np.nan, 4.0], [0.1, np.nan, 0.2])
    without, tracks = some_tracks(), replace(some_tracks(), depths=depths)
    message = message_of(tracks, layout)
    assert [channel.name for channel in message.channels[-2:]] == ['depth', 'depth_sigma']
    read = read_as_vins_mono if layout == 'vins_mono' else read_as_vins_fusion
    assert read(message) == read(message_of(without, layout))
    again = tracks_from_message(message)
    np.testing.assert_array_equal(again.depths.values, depths.values)
    np.testing.assert_array_equal(again.depths.sigmas, depths.sigmas)
    assert tracks_from_message(message_of(without, layout)).depths is None
    message.channels[-1].values.pop()
    with pytest.raises(ValueError, match='the channel depth_sigma has 2 values for 3 points'):
        tracks_from_message(message)


def test_the_cloud_of_tracks_with_depths_is_in_metres():
    tracks = replace(some_tracks(), depths=Depths([2.0, np.nan, 4.0], [0.1, np.nan, 0.2]))
    points = np.array([[0.5, 0.25], [0.1, 0.2], [-0.5, 0.0]], np.float32)
    message = tracks_to_cloud(tracks, Header(), points, np.zeros((3, 2), np.float32))
    assert message.fields[-1].name == 'depth_sigma'
    values = np.frombuffer(message.data, '<f4').reshape(3, -1)
    expected = [[1, 0.5, 2], [0.1, 0.2, 1], [-2, 0, 4]]
    np.testing.assert_allclose(values[:, :3], expected, rtol=1e-6)
    np.testing.assert_allclose(values[:, -1], [0.1, np.nan, 0.2], rtol=1e-6)


def test_the_cloud_has_the_covariances_of_the_tracks():
    covariances = np.array([[[2, 1], [1, 3]], [[0.5, -0.25], [-0.25, 0.5]], [[1, 0], [0, 4]]])
    tracks = replace(some_tracks(), covariances=covariances.astype(np.float32))
    points = np.array([[0.5, 0.25], [np.nan, 0.2], [-0.5, 0.0]], np.float32)
    message = tracks_to_cloud(tracks, Header(), points, np.zeros((3, 2), np.float32))
    names = [field.name for field in message.fields]
    assert names[-3:] == ['variance_u', 'covariance_uv', 'variance_v']
    values = np.frombuffer(message.data, '<f4').reshape(2, -1)
    assert values[:, -3:].tolist() == [[2, 1, 3], [1, 0, 4]]
