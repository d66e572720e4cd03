# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Structured arrays as `sensor_msgs/PointCloud2`; rclpy is not needed."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

DATATYPES = {
    'f4': PointField.FLOAT32,
    'i4': PointField.INT32,
    'i1': PointField.INT8,
}
"""Datatypes of fields by NumPy's names of the types of their values."""

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
