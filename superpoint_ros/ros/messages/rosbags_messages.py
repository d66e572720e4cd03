# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The detector node's messages as types of the library `rosbags`, which writes bags."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2

FEATURES_TYPE = 'sensor_msgs/msg/PointCloud2'


def features_qos() -> Any:
    """Return the QoS with which the node publishes features: reliable, keep last 10."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory.KEEP_LAST,
        10,
        QosReliability.RELIABLE,
        QosDurability.VOLATILE,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )


def as_recorded(message: PointCloud2, types: Any) -> Any:
    """Return a message of ROS as one of `rosbags`; `types` are those of its type store."""
    stamp = message.header.stamp
    time = types['builtin_interfaces/msg/Time'](stamp.sec, stamp.nanosec)
    make_field = types['sensor_msgs/msg/PointField']
    return types[FEATURES_TYPE](
        types['std_msgs/msg/Header'](time, message.header.frame_id),
        message.height,
        message.width,
        [make_field(each.name, each.offset, each.datatype, each.count) for each in message.fields],
        message.is_bigendian,
        message.point_step,
        message.row_step,
        np.frombuffer(message.data, np.uint8),
        message.is_dense,
    )
