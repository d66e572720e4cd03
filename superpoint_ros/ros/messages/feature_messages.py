# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Features as messages, in both directions.

A message is a `sensor_msgs/PointCloud2` with one row and one point per keypoint, highest score
first. The fields of a point are `u` and `v` (x and y in pixels of the image; the centre of the
top-left pixel is 0, 0) and `score`, each float32, and `descriptor`, D float32, or D int8: the
descriptor times 127, rounded. If a calibration is used, `x`, `y` and `z` follow, float32: the
undistorted position at depth 1 in the optical frame of the camera, so that z is 1. If depths are
measured, `depth_sigma` follows, float32: the standard deviation of z in metres; x, y and z are the
position in metres then. A point of unknown depth has the `depth_sigma` NaN, and z is 1 or NaN.
If asked for, `variance_u`, `covariance_uv` and `variance_v` are last, float32, in squared pixels.
All fields are little endian and packed. A message without points has the same fields, so that
every message tells D.

A consumer needs only this module of the package: `features_from_message(message)`. rclpy is not
needed.
"""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from superpoint_ros.features import Depths, Features
from superpoint_ros.ros.messages.point_clouds import (
    cloud_message,
    COVARIANCE_NAMES,
    covariances_of,
    DATATYPES,
    upper_triangles,
)

DESCRIPTOR_FORMATS = ('float32', 'int8')

POSITION = ('x', 'y', 'z')
DEPTH_SIGMA = 'depth_sigma'

_INT8_UNIT = 127
_SCALARS = ('u', 'v', 'score')
_TYPES = {'float32': 'f4', 'int8': 'i1'}
_NUMPY_TYPES = {DATATYPES[name]: name for name in _TYPES.values()}


def features_to_message(
    features: Features,
    header: Header,
    descriptor_format: str = 'float32',
    normalized: np.ndarray | None = None,
    covariances: np.ndarray | None = None,
) -> PointCloud2:
    """
    Return the features as a message with the header of their image.

    `descriptor_format` is 'float32' or 'int8' (a quarter of the bytes; each component is within
    0.004 of its value). `normalized` (N, 2) are undistorted, normalized coordinates, NaN if they
    are unknown; depths of features need them. `covariances` (N, 2, 2) are those of the keypoints
    in squared pixels. Raises ValueError for any other format.
    """
    if descriptor_format not in DESCRIPTOR_FORMATS:
        raise ValueError(
            f'descriptor_format must be one of {", ".join(DESCRIPTOR_FORMATS)}; '
            f'got {descriptor_format!r}'
        )
    size = features.descriptors.shape[1]
    layout = [(name, '<f4') for name in _SCALARS]
    layout.append(('descriptor', '<' + _TYPES[descriptor_format], (size,)))
    if normalized is not None:
        layout += [(name, '<f4') for name in POSITION]
        if features.depths is not None:
            layout.append((DEPTH_SIGMA, '<f4'))
    if covariances is not None:
        layout += [(name, '<f4') for name in COVARIANCE_NAMES]
    message, points = cloud_message(np.dtype(layout), len(features), header)
    points['u'], points['v'] = features.keypoints.T
    points['score'] = features.scores
    if descriptor_format == 'int8':
        scaled = np.rint(features.descriptors * _INT8_UNIT)
        points['descriptor'] = scaled.clip(-_INT8_UNIT, _INT8_UNIT)
    else:
        points['descriptor'] = features.descriptors
    if normalized is not None:
        depths = features.depths or Depths.unknown(len(features))
        points['z'] = np.where(depths.known, depths.values, 1)
        points['x'], points['y'] = normalized.T * points['z']
        points['z'][~np.isfinite(points['x'])] = np.nan
        if features.depths is not None:
            points[DEPTH_SIGMA] = np.where(np.isfinite(points['x']), depths.sigmas, np.nan)
        message.is_dense = bool(np.isfinite(points['x']).all())
    if covariances is not None:
        for name, values in zip(COVARIANCE_NAMES, upper_triangles(covariances), strict=True):
            points[name] = values
    return message


def features_from_message(message: PointCloud2) -> Features:
    """
    Return the features of a message, with descriptors of unit length, and depths if it has any.

    Fields may have any order, gaps, and either byte order; other fields are ignored. Raises
    ValueError that says what is wrong with the message.
    """
    has_depths = {*POSITION, DEPTH_SIGMA} <= {field.name for field in message.fields}
    names = (*_SCALARS, 'descriptor', *(('z', DEPTH_SIGMA) if has_depths else ()))
    points = _points(message, _point_type(message, names))
    descriptors = points['descriptor'].astype(np.float32)
    if points['descriptor'].dtype == np.int8:
        length = np.linalg.norm(descriptors, axis=1, keepdims=True)
        descriptors /= np.where(length > 0, length, 1)
    keypoints = np.stack([points['u'], points['v']], axis=1).astype(np.float32)
    depths = Depths(points['z'], points[DEPTH_SIGMA]) if has_depths else None
    return Features(keypoints, points['score'].astype(np.float32), descriptors, depths)


def normalized_from_message(message: PointCloud2) -> np.ndarray | None:
    """
    Return the undistorted, normalized coordinates (N, 2), float32; None if there are none.

    Unknown coordinates are NaN. Raises ValueError like `features_from_message`.
    """
    if not {*POSITION} <= {field.name for field in message.fields}:
        return None
    points = _points(message, _point_type(message, POSITION))
    with np.errstate(divide='ignore', invalid='ignore'):
        directions = np.stack([points['x'], points['y']], axis=1) / points['z'][:, None]
    return directions.astype(np.float32)


def covariances_from_message(message: PointCloud2) -> np.ndarray | None:
    """
    Return the covariances (N, 2, 2) of the keypoints in squared pixels; None if there are none.

    Those that are not positive definite are NaN. Raises ValueError like `features_from_message`.
    """
    if not {*COVARIANCE_NAMES} <= {field.name for field in message.fields}:
        return None
    points = _points(message, _point_type(message, COVARIANCE_NAMES))
    return covariances_of(*(points[name].astype(np.float32) for name in COVARIANCE_NAMES))


def _points(message: PointCloud2, point_type: np.dtype) -> np.ndarray:
    """Return the points of a message; raise ValueError if it is cut short."""
    needed = message.width * message.point_step
    if message.height != 1:
        raise ValueError(f'a message of features has height 1; this one has {message.height}')
    if len(message.data) < needed:
        raise ValueError(
            f'the message is cut short: {message.width} points of {message.point_step} bytes need '
            f'{needed} bytes, it has {len(message.data)}'
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


def _field_format(field: PointField, message: PointCloud2) -> tuple[str, tuple[int, ...]]:
    """Return type and shape of a field; raise ValueError if they are not as documented."""
    is_descriptor = field.name == 'descriptor'
    wanted = ('float32', 'int8') if is_descriptor else ('float32',)
    if field.datatype not in [DATATYPES[_TYPES[name]] for name in wanted]:
        choices = ' or '.join(f'{name} ({DATATYPES[_TYPES[name]]})' for name in wanted)
        raise ValueError(
            f'field {field.name} must have the datatype {choices}, it has {field.datatype}'
        )
    if field.count < 1 or (field.count > 1 and not is_descriptor):
        choices = '1 or more' if is_descriptor else '1'
        raise ValueError(f'field {field.name} must have the count {choices}, it has {field.count}')
    kind = ('>' if message.is_bigendian else '<') + _NUMPY_TYPES[field.datatype]
    end = field.offset + np.dtype(kind).itemsize * field.count
    if end > message.point_step:
        raise ValueError(
            f'field {field.name} ends at byte {end} of a point, which has {message.point_step}'
        )
    return kind, (field.count,) if is_descriptor else ()
