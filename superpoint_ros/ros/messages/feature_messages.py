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
D can be read from every message.

A consumer needs only this module of the package: `features_from_message(message)`. rclpy is not
needed.
"""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from superpoint_ros.features import Depths, Features
from superpoint_ros.ros.messages.point_clouds import (
    cloud_message,
    COVARIANCE_NAMES,
    covariances_of,
    read_points,
    upper_triangles,
)

DESCRIPTOR_FORMATS = ('float32', 'int8')

POSITION = ('x', 'y', 'z')
DEPTH_SIGMA = 'depth_sigma'

_INT8_UNIT = 127
_SCALARS = ('u', 'v', 'score')


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
    layout.append(('descriptor', np.dtype(descriptor_format).newbyteorder('<'), (size,)))
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
    ValueError that names what is wrong with the message.
    """
    has_depths = {*POSITION, DEPTH_SIGMA} <= {field.name for field in message.fields}
    names = (*_SCALARS, 'descriptor', *(('z', DEPTH_SIGMA) if has_depths else ()))
    points = read_points(message, names)
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
    points = read_points(message, POSITION)
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
    points = read_points(message, COVARIANCE_NAMES)
    return covariances_of(*(points[name].astype(np.float32) for name in COVARIANCE_NAMES))
