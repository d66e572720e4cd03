# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of ROS 2 and of ROS 1 that are written without ROS."""

from __future__ import annotations

from io import BytesIO
from unittest import mock

import cv2
import numpy as np

from superpoint_ros.geometry.camera_model import CameraModel

BAG_CAMERA = CameraModel.of_view((64, 48), 70, (-0.1, 0.01, 0, 0, 0))
"""The calibration in the bags."""


def write_bag(path, messages, storage='mcap'):
    """
    Write a bag to a new folder and return its path; with the storage `ros1`, to a file.

    `messages` are (topic, kind, content, nanoseconds): `image` and `compressed` with pixels,
    `info` with fields that differ from `BAG_CAMERA` or None, `pose` with x, or None for a
    quaternion of length 0.
    """
    from rosbags import rosbag1, rosbag2
    from rosbags.typesys import get_typestore, Stores

    ros_1 = storage == 'ros1'
    store = get_typestore(Stores.ROS1_NOETIC if ros_1 else Stores.ROS2_JAZZY)
    serialize = store.serialize_ros1 if ros_1 else store.serialize_cdr
    makers = makers_of(store, ros_1)
    if ros_1:
        writer = rosbag1.Writer(path)
    else:
        plugin = getattr(rosbag2.StoragePlugin, storage.upper())
        writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
    with writer:
        connections = {}
        for topic, kind, content, nanoseconds in messages:
            message = makers[kind](content, nanoseconds)
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, message.__msgtype__, typestore=store
                )
            data = serialize(message, message.__msgtype__)
            # Recorded a while after the stamp.
            writer.write(connections[topic], nanoseconds + 3_000_000, data)
    return path


def write_mixed_mcap(path, messages):
    """
    Write a bag with a topic /custom in Protobuf, too; return its file, which has another profile.

    The library writes only definitions of ROS 2: that of /custom is replaced.
    """
    from rosbags.rosbag2 import Reader, storage_mcap, StoragePlugin, Writer
    from rosbags.typesys import get_typestore, Stores

    def write_schema(content, schema):
        definition, data = schema.encoding, schema.data.encode()
        if schema.name == 'std_msgs/msg/String':
            definition, data = 'protobuf', b'\n\xff\xfe'  # not UTF-8
        record = BytesIO(schema.id.to_bytes(2, 'little'))
        record.seek(2)
        for part in (schema.name.encode(), definition.encode(), data):
            record.write(len(part).to_bytes(4, 'little') + part)
        storage_mcap.write_record(content, 0x03, record)

    store = get_typestore(Stores.ROS2_JAZZY)
    with (
        mock.patch.object(storage_mcap, 'write_schema', write_schema),
        Reader(write_bag(path.with_name('of_ros'), messages)) as whole,
        Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        custom = writer.add_connection(
            '/custom', 'std_msgs/msg/String', typestore=store, serialization_format='protobuf'
        )
        new = {
            old.id: writer.add_connection(old.topic, old.msgtype, typestore=store)
            for old in whole.connections
        }
        for connection, timestamp, data in whole.messages():
            writer.write(custom, timestamp, b'\x01')
            writer.write(new[connection.id], timestamp, data)
    (file,) = path.glob('*.mcap')
    file.write_bytes(file.read_bytes().replace(b'ros2', b'test', 1))
    return file


def makers_of(store, ros_1):
    """Return the functions from content and nanoseconds to a message, by kind."""
    types = store.types

    def header(nanoseconds, frame_id='camera'):
        stamp = types['builtin_interfaces/msg/Time'](
            nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000
        )
        number = (0,) if ros_1 else ()
        return types['std_msgs/msg/Header'](*number, stamp, frame_id)

    def image(pixels, nanoseconds):
        data = np.ascontiguousarray(pixels).reshape(-1)
        height, width = pixels.shape[:2]
        encoding = 'mono8' if pixels.ndim == 2 else 'bgr8'
        return types['sensor_msgs/msg/Image'](
            header(nanoseconds), height, width, encoding, 0, data.size // height, data
        )

    def compressed(pixels, nanoseconds):
        data = cv2.imencode('.png', pixels)[1].reshape(-1)
        return types['sensor_msgs/msg/CompressedImage'](header(nanoseconds), 'png', data)

    def info(fields, nanoseconds):
        values = {'height': 48, 'width': 64, 'd': BAG_CAMERA.distortion, 'k': BAG_CAMERA.matrix}
        values |= {'binning': (0, 0), 'region': (0, 0, 0, 0)}  # x, y, height, width
        values |= {'distortion_model': BAG_CAMERA.model, **(fields or {})}
        region = types['sensor_msgs/msg/RegionOfInterest'](*values['region'], False)
        return types['sensor_msgs/msg/CameraInfo'](
            header(nanoseconds), values['height'], values['width'], values['distortion_model'],
            values['d'], values['k'].ravel(), np.eye(3).ravel(), np.zeros(12),
            *values['binning'], region,
        )  # fmt: skip

    def pose(x, nanoseconds):
        """Return a pose at x; a quaternion of length 0 if x is None."""
        point = types['geometry_msgs/msg/Point'](x or 0.0, 0.0, 0.0)
        turn = types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, float(x is not None))
        inner = types['geometry_msgs/msg/Pose'](point, turn)
        return types['geometry_msgs/msg/PoseStamped'](header(nanoseconds, 'world'), inner)

    return {'image': image, 'compressed': compressed, 'info': info, 'pose': pose}
