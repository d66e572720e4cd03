# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Structured arrays as `sensor_msgs/PointCloud2`; rclpy is not needed."""

from __future__ import annotations

from array import array

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


def cloud_message(points: np.ndarray, header: Header) -> PointCloud2:
    """
    Return points as a message of one row, packed and little endian.

    `points` is a structured array (N,) of the types in `DATATYPES`, little endian; a field may be
    a vector. The message is dense if all `x` are finite, or if there are none.
    """
    fields = []
    for name in points.dtype.names:
        column, offset = points.dtype.fields[name][:2]
        datatype = DATATYPES[column.base.str[1:]]
        count = column.shape[0] if column.shape else 1
        fields.append(PointField(name=name, offset=offset, datatype=datatype, count=count))
    data = array('B')
    data.frombytes(np.ascontiguousarray(points).view(np.uint8))
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=points.itemsize,
        row_step=points.itemsize * len(points),
        data=data,
        is_dense='x' not in points.dtype.names or bool(np.isfinite(points['x']).all()),
    )
