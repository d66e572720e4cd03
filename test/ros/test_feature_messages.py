# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Features are the same after conversion to a message and back; other layouts are read."""

from __future__ import annotations

from array import array
from pathlib import Path
import re
import struct

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed')

from builtin_interfaces.msg import Time
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from superpoint_ros.features import Depths, Features
from superpoint_ros.ros.messages.feature_messages import (
    covariances_from_message,
    features_from_message,
    features_to_message,
    normalized_from_message,
)

HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id='left')


def make_features(count, size):
    """Return features with unit descriptors."""
    rng = np.random.default_rng(count)
    descriptors = rng.normal(size=(count, size))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    scores = np.sort(rng.random(count))[::-1]
    return Features(rng.random((count, 2)) * 640, scores, descriptors)


@pytest.mark.parametrize('count', [0, 1, 500])
@pytest.mark.parametrize('size', [1, 128, 256])
def test_float_features_survive_the_message_exactly(count, size):
    features = make_features(count, size)
    message = features_to_message(features, HEADER)
    assert message.header == HEADER
    again = features_from_message(message)
    np.testing.assert_array_equal(again.keypoints, features.keypoints)
    np.testing.assert_array_equal(again.scores, features.scores)
    np.testing.assert_array_equal(again.descriptors, features.descriptors)
    assert again.descriptors.shape == (count, size)


@pytest.mark.parametrize('count', [0, 1, 500])
def test_int8_descriptors_are_accurate_and_of_unit_length(count):
    features = make_features(count, 128)
    message = features_to_message(features, HEADER, 'int8')
    assert len(message.data) == count * (12 + 128)
    again = features_from_message(message)
    assert again.descriptors.shape == (count, 128)
    np.testing.assert_array_equal(again.keypoints, features.keypoints)
    np.testing.assert_allclose(np.linalg.norm(again.descriptors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(again.descriptors, features.descriptors, atol=0.01)


@pytest.mark.parametrize('count', [0, 1, 50])
def test_covariances_are_optional_fields_at_the_end(count):
    features = make_features(count, 8)
    covariances = np.tile(np.array([[2, -0.5], [-0.5, 1]], np.float32), (count, 1, 1))
    covariances[:1] = [[1, 2], [2, 1]]  # no covariance
    normalized = np.zeros((count, 2), np.float32)
    message = features_to_message(features, HEADER, 'int8', normalized, covariances)
    names = [field.name for field in message.fields]
    assert names[-4:] == ['z', 'variance_u', 'covariance_uv', 'variance_v']
    assert message.point_step == 12 + 8 + 12 + 12
    again = covariances_from_message(message)
    assert np.isnan(again[:1]).all()
    np.testing.assert_array_equal(again[1:], covariances[1:])
    np.testing.assert_array_equal(features_from_message(message).scores, features.scores)
    assert covariances_from_message(features_to_message(features, HEADER)) is None


def test_the_bytes_of_a_message_are_those_of_the_documentation():
    features = Features([[1.5, 2.25]], [0.75], [[0.6, -0.8]])
    message = features_to_message(features, HEADER)
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ('u', 0, PointField.FLOAT32, 1),
        ('v', 4, PointField.FLOAT32, 1),
        ('score', 8, PointField.FLOAT32, 1),
        ('descriptor', 12, PointField.FLOAT32, 2),
    ]
    assert bytes(message.data) == struct.pack('<5f', 1.5, 2.25, 0.75, 0.6, -0.8)
    assert (message.height, message.width, message.point_step, message.row_step) == (1, 1, 20, 20)
    assert message.is_dense
    assert not message.is_bigendian
    small = features_to_message(features, HEADER, 'int8')
    assert bytes(small.data) == struct.pack('<3f2b', 1.5, 2.25, 0.75, 76, -102)
    assert small.fields[3].datatype == PointField.INT8


def test_an_unknown_descriptor_format_is_refused():
    with pytest.raises(ValueError, match=r"one of float32, int8; got 'float16'"):
        features_to_message(make_features(1, 4), HEADER, 'float16')


def foreign_message():
    """Return a big-endian message with gaps, another order and a field more than ours."""
    fields = [
        PointField(name='descriptor', offset=0, datatype=PointField.FLOAT32, count=2),
        PointField(name='rgb', offset=8, datatype=PointField.UINT32, count=1),
        PointField(name='score', offset=13, datatype=PointField.FLOAT32, count=1),
        PointField(name='v', offset=17, datatype=PointField.FLOAT32, count=1),
        PointField(name='u', offset=21, datatype=PointField.FLOAT32, count=1),
    ]
    data = b''.join(
        struct.pack('>2fIx3fx', 0.6, 0.8, 99, score, 7.0, 8.0 + score) for score in (0.5, 0.25)
    )
    return PointCloud2(
        height=1,
        width=2,
        fields=fields,
        is_bigendian=True,
        point_step=26,
        row_step=52,
        data=array('B', data),
    )


def test_features_with_other_field_orders_gaps_and_byte_orders_are_read():
    features = features_from_message(foreign_message())
    np.testing.assert_array_equal(features.keypoints, [[8.5, 7.0], [8.25, 7.0]])
    np.testing.assert_array_equal(features.scores, [0.5, 0.25])
    np.testing.assert_allclose(features.descriptors, [[0.6, 0.8]] * 2)


def change(**fields):
    """Return a change of a message's fields."""

    def apply(message):
        for name, value in fields.items():
            setattr(message, name, value)

    return apply


def change_field(index, **values):
    """Return a change of one PointField."""

    def apply(message):
        for name, value in values.items():
            setattr(message.fields[index], name, value)

    return apply


@pytest.mark.parametrize(
    ('spoil', 'text'),
    [
        (change(fields=[]), 'lacks the field u, v, score, descriptor; it has no fields'),
        (change_field(2, name='response'), 'lacks the field score; it has u, v, response, desc'),
        (change(height=2), 'has height 1; this one has 2'),
        (change(width=4), 'cut short: for 4 points of 28 bytes it needs 112 bytes, it has 84'),
        (change_field(0, datatype=PointField.FLOAT64), 'u must have the datatype float32'),
        (change_field(3, datatype=PointField.UINT8), r'datatype float32 \(7\) or int8 \(1\)'),
        (change_field(1, count=2), 'v must have the count 1, it has 2'),
        (change_field(3, count=0), 'descriptor must have the count 1 or more, it has 0'),
        (change_field(3, count=5), 'descriptor ends at byte 32 of a point, which has 28'),
        (change(point_step=0), 'ends at byte 4 of a point, which has 0'),
    ],
)
def test_a_message_without_valid_features_is_refused_with_the_reason(spoil, text):
    message = features_to_message(make_features(3, 4), HEADER)
    spoil(message)
    with pytest.raises(ValueError, match=text):
        features_from_message(message)


@pytest.mark.parametrize('form', ['float32', 'int8'])
def test_normalized_coordinates_are_added_to_unchanged_features(form):
    features = make_features(40, 24)
    directions = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    message = features_to_message(features, HEADER, form, directions)
    plain = features_to_message(features, HEADER, form)
    assert message.point_step == plain.point_step + 12
    assert message.is_dense
    np.testing.assert_array_equal(normalized_from_message(message), directions)
    assert normalized_from_message(plain) is None
    again, expected = features_from_message(message), features_from_message(plain)
    np.testing.assert_array_equal(again.keypoints, expected.keypoints)
    np.testing.assert_array_equal(again.descriptors, expected.descriptors)


def test_unknown_normalized_coordinates_are_nan_and_the_message_is_not_dense():
    directions = np.array([[0.5, 0.25], [np.nan, np.nan]])
    message = features_to_message(make_features(2, 8), HEADER, normalized=directions)
    assert not message.is_dense
    np.testing.assert_array_equal(normalized_from_message(message), directions)


@pytest.mark.parametrize('form', ['float32', 'int8'])
@pytest.mark.parametrize('directions', [None, np.ones((3, 2))])
def test_the_examples_of_the_documentation_read_a_message(form, directions):
    page = Path(__file__).parents[2] / 'docs' / 'consume.md'
    examples = re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL)
    expected = make_features(3, 8)
    message = features_to_message(expected, HEADER, form, directions)
    names = {'message': message, 'first': expected, 'second': expected}
    for example in examples[:3]:  # the fourth is about odometry
        exec(example, names)
    np.testing.assert_array_equal(names['matches'], [[0, 0], [1, 1], [2, 2]])
    np.testing.assert_array_equal(names['features'].keypoints, expected.keypoints)
    np.testing.assert_array_equal(names['points']['u'], expected.keypoints[:, 0])
    scale = 127 if form == 'int8' else 1
    np.testing.assert_allclose(
        names['points']['descriptor'] / scale, expected.descriptors, atol=0.004
    )
    assert (names['directions'] is None) == (directions is None)


def test_depths_are_positions_in_metres_with_their_deviations():
    features = make_features(3, 4)
    depths = Depths([2.0, np.nan, 0.5], [0.1, np.nan, 0.01])
    features = Features(features.keypoints, features.scores, features.descriptors, depths)
    directions = np.array([[0.5, -0.25], [0.1, 0.2], [-0.4, 0.0]], np.float32)
    message = features_to_message(features, HEADER, normalized=directions)
    assert [field.name for field in message.fields[4:]] == ['x', 'y', 'z', 'depth_sigma']
    values = np.frombuffer(message.data, '<f4').reshape(3, -1)[:, -4:]
    # A point of unknown depth keeps its direction, at z = 1.
    expected = [[1, -0.5, 2, 0.1], [0.1, 0.2, 1, np.nan], [-0.2, 0, 0.5, 0.01]]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    again = features_from_message(message)
    np.testing.assert_array_equal(again.depths.values, depths.values)
    np.testing.assert_array_equal(again.depths.sigmas, depths.sigmas)
    np.testing.assert_array_equal(normalized_from_message(message), directions)


def test_points_of_unknown_depth_without_a_direction_are_not_displayed():
    features = make_features(2, 4)
    depths = Depths([2.0, np.nan], [0.1, np.nan])
    features = Features(features.keypoints, features.scores, features.descriptors, depths)
    directions = np.array([[0.5, -0.25], [np.nan, np.nan]], np.float32)
    message = features_to_message(features, HEADER, 'int8', directions)
    assert not message.is_dense
    assert np.isnan(np.frombuffer(message.data, np.uint8)[-16:].view('<f4')).all()
    np.testing.assert_array_equal(features_from_message(message).depths.known, [True, False])


def test_features_without_depths_have_none_after_the_message():
    message = features_to_message(make_features(2, 4), HEADER, normalized=np.zeros((2, 2)))
    assert features_from_message(message).depths is None
    empty = Features(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 4)), Depths.unknown(0))
    message = features_to_message(empty, HEADER, normalized=np.zeros((0, 2)))
    assert len(features_from_message(message).depths) == 0
