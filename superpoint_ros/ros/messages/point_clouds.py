# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Structured arrays as `sensor_msgs/PointCloud2`; rclpy is not needed."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from superpoint_ros.common.wording import counted

DATATYPES = {
    'f4': PointField.FLOAT32,
    'i4': PointField.INT32,
    'i1': PointField.INT8,
}
"""Datatypes of fields by NumPy's names of the types of their values."""

_READABLE = {PointField.FLOAT32: np.dtype('f4'), PointField.INT8: np.dtype('i1')}

COVARIANCE_NAMES = ('variance_u', 'covariance_uv', 'variance_v')
"""Names of the fields or channels of covariances of u and v, in squared pixels."""


def upper_triangles(covariances: np.ndarray) -> np.ndarray:
    """Return the values (3, N) of `COVARIANCE_NAMES` of covariances (N, 2, 2)."""
    return covariances[:, [0, 0, 1], [0, 1, 1]].T


def covariances_of(uu: np.ndarray, uv: np.ndarray, vv: np.ndarray) -> np.ndarray:
    """
    Return covariances, float32 (N, 2, 2), from the values (N,) of `COVARIANCE_NAMES`.

    Those that are not positive definite become NaN.
    """
    covariances = np.stack([uu, uv, uv, vv], axis=1).astype(np.float32).reshape(-1, 2, 2)
    with np.errstate(invalid='ignore'):
        valid = (uu > 0) & (vv > 0) & (uu * vv > uv * uv) & np.isfinite(uu + vv)
    covariances[~valid] = np.nan
    return covariances


def cloud_message(
    point_type: np.dtype, count: int, header: Header
) -> tuple[PointCloud2, np.ndarray]:
    """
    Return a message of one row, packed and little endian, and its points (N,) to be filled in.

    The points are the memory of the message, so that they are not copied. `point_type` is a
    structured type of those in `DATATYPES`, little endian; a field may be a vector.
    """
    fields = []
    for name in point_type.names:
        column, offset = point_type.fields[name][:2]
        datatype = DATATYPES[column.base.str[1:]]
        length = column.shape[0] if column.shape else 1
        fields.append(PointField(name=name, offset=offset, datatype=datatype, count=length))
    message = PointCloud2(
        header=header,
        height=1,
        width=count,
        fields=fields,
        is_bigendian=False,
        point_step=point_type.itemsize,
        row_step=point_type.itemsize * count,
        is_dense=True,
    )
    # Constructor and setter copy data: the empty array of the message grows instead.
    data = message.data
    data.append(0)
    data *= count * point_type.itemsize
    return message, np.ndarray(count, point_type, data)


def positions_message(positions: np.ndarray, header: Header) -> PointCloud2:
    """Return positions (N, 3) as a message with the fields x, y and z, float32."""
    layout = np.dtype([(name, '<f4') for name in 'xyz'])
    message, cloud = cloud_message(layout, len(positions), header)
    for column, name in enumerate('xyz'):
        cloud[name] = positions[:, column]
    message.is_dense = bool(np.isfinite(positions).all())
    return message


def positions_from_message(message: PointCloud2) -> np.ndarray:
    """Return the fields x, y and z, float32 (N, 3); raise ValueError like `read_points`."""
    points = read_points(message, ('x', 'y', 'z'))
    return np.stack([points[name] for name in 'xyz'], axis=1).astype(np.float32)


def read_points(message: PointCloud2, names: tuple[str, ...]) -> np.ndarray:
    """
    Return the named fields of the points of a message, a structured array (N,).

    They must be float32, or float32 or int8 vectors if the name is descriptor. Raises ValueError
    that names what is wrong with the message.
    """
    point_type = _point_type(message, names)
    needed = message.width * message.point_step
    if message.height != 1:
        raise ValueError(f'an unorganised cloud has height 1; this one has {message.height}')
    if len(message.data) < needed:
        raise ValueError(
            f'the message is cut short: for {counted(message.width, "point")} of '
            f'{message.point_step} bytes it needs {needed} bytes, it has {len(message.data)}'
        )
    return np.frombuffer(message.data, point_type, message.width)


def _point_type(message: PointCloud2, names: tuple[str, ...]) -> np.dtype:
    """Return the structured type of a point, with the named fields."""
    fields = {field.name: field for field in message.fields}
    missing = [name for name in names if name not in fields]
    if missing:
        there = ', '.join(fields) or 'no fields'
        raise ValueError(f'the message lacks the field {", ".join(missing)}; it has {there}')
    formats = [_field_format(fields[name], message) for name in names]
    offsets = [fields[name].offset for name in names]
    return np.dtype(
        {
            'names': list(names),
            'formats': formats,
            'offsets': offsets,
            'itemsize': message.point_step,
        }
    )


def _field_format(field: PointField, message: PointCloud2) -> tuple[np.dtype, tuple[int, ...]]:
    """Return type and shape of a field; raise ValueError if they are not as documented."""
    is_descriptor = field.name == 'descriptor'
    wanted = tuple(_READABLE) if is_descriptor else (PointField.FLOAT32,)
    if field.datatype not in wanted:
        choices = ' or '.join(f'{_READABLE[each]} ({each})' for each in wanted)
        raise ValueError(
            f'field {field.name} must have the datatype {choices}, it has {field.datatype}'
        )
    if field.count < 1 or (field.count > 1 and not is_descriptor):
        choices = '1 or more' if is_descriptor else '1'
        raise ValueError(f'field {field.name} must have the count {choices}, it has {field.count}')
    kind = _READABLE[field.datatype].newbyteorder('>' if message.is_bigendian else '<')
    end = field.offset + kind.itemsize * field.count
    if end > message.point_step:
        raise ValueError(
            f'field {field.name} ends at byte {end} of a point, which has {message.point_step}'
        )
    return kind, (field.count,) if is_descriptor else ()
