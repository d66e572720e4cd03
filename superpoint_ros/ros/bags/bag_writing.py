# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags that the library `rosbags` writes: their storage, types, and messages of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2

FEATURES_TYPE = 'sensor_msgs/msg/PointCloud2'


def storage_of(source: Path) -> str:
    """Return the storage of a bag: 'mcap' or 'sqlite3'."""
    files = [source] if source.is_file() else list(source.iterdir())
    return 'mcap' if any('.mcap' in file.suffixes for file in files) else 'sqlite3'


def make_writer(path: Path, storage: str) -> Any:
    """Return the writer of a new bag, a context manager."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    return Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])


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


def definition_of(connection: Any, standard: Any) -> dict[str, Any]:
    """
    Return the definition of a connection's type and its hash, as the writer takes them.

    They are those recorded, or those of the `standard` types. A type that is in neither gets a
    stand-in. Its hash is that of the stand-in: readers refuse a bag if the two do not match.
    """
    from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores

    recorded, name = connection.msgdef.data, connection.msgtype
    if recorded and connection.digest:
        return {'msgdef': recorded, 'rihs01': connection.digest}
    if not recorded and name in standard.fielddefs:
        return {'typestore': standard}
    definition = recorded or '# not recorded'
    _, *parts = definition.split('=' * 80 + '\nIDL: ')
    store = get_typestore(Stores.EMPTY)
    try:
        for part in parts:
            store.register(get_types_from_idl(part.partition('\n')[2]))
        if not parts:
            store.register(get_types_from_msg(definition, name))
        digest = store.hash_rihs01(name)
    except Exception:  # noqa: BLE001 - not every definition can be parsed; it is kept
        digest = f'RIHS01_{"0" * 64}'
    return {'msgdef': definition, 'rihs01': digest}
