# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Tracks as messages: `sensor_msgs/PointCloud`, as estimators of the VINS family read them.

`sensor_msgs/PointCloud` is deprecated; `tracks_to_cloud` makes a `sensor_msgs/PointCloud2` of the
same content, which viewers can display.

A point is x and y, undistorted, at depth 1 along the optical axis, and z = 1. A layout has these
channels, in this order, with one value per point:

- vins_mono: id, u, v, velocity_x, velocity_y (VINS-Mono and its descendants).
- vins_fusion: id, camera_id, u, v, velocity_x, velocity_y, gx, gy, gz (VINS-Fusion's topic
  feature_tracker/feature; it reads the last three, a true position, but does not use them: 0).

If depths are measured, both layouts end with the channels depth and depth_sigma, in metres: the
depth of the point along the optical axis and its standard deviation, NaN if they are unknown. If
the positions have covariances, both layouts end with the channels variance_u, covariance_uv and
variance_v, in squared pixels.

u and v are the keypoint in pixels; velocities are those of x and y per second. Estimators read the
channels by position; the names are for people and for `tracks_from_message`. rclpy is not needed.
"""

from __future__ import annotations

from array import array

from geometry_msgs.msg import Point32
import numpy as np
from sensor_msgs.msg import ChannelFloat32, PointCloud, PointCloud2
from std_msgs.msg import Header

from superpoint_ros.common.wording import counted
from superpoint_ros.features import Depths
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.ros.messages.point_clouds import (
    cloud_message,
    COVARIANCE_NAMES,
    covariances_of,
    upper_triangles,
)

LAYOUTS = {
    'vins_mono': ('id', 'u', 'v', 'velocity_x', 'velocity_y'),
    'vins_fusion': (
        *('id', 'camera_id', 'u', 'v', 'velocity_x', 'velocity_y'),
        *('gx', 'gy', 'gz'),
    ),
}

DEPTH_CHANNELS = ('depth', 'depth_sigma')

IDS = 2**24
"""Ids are taken modulo this number: float32 represents no larger range of integers exactly."""


def tracks_to_message(
    tracks: Tracks,
    header: Header,
    points: np.ndarray,
    velocities: np.ndarray,
    layout: str = 'vins_mono',
    camera_id: int = 0,
) -> PointCloud:
    """
    Return the tracks as a message with the header of their image.

    `points` (N, 2) and `velocities` (N, 2) are those of the tracks in the coordinates of the
    consumer; tracks with a value that is not finite are left out. Raises ValueError for an unknown
    layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout must be one of {", ".join(LAYOUTS)}; got {layout!r}')
    usable = _usable(points, velocities)
    u, v = tracks.keypoints[usable].T
    velocity_x, velocity_y = velocities[usable].T
    zeros = np.zeros(int(usable.sum()), np.float32)
    columns = {
        'id': tracks.ids[usable] % IDS,
        'camera_id': zeros + camera_id,
        'u': u,
        'v': v,
        'velocity_x': velocity_x,
        'velocity_y': velocity_y,
    }
    channels = [
        ChannelFloat32(name=name, values=_floats(columns.get(name, zeros)))
        for name in LAYOUTS[layout]
    ]
    more: dict[str, np.ndarray] = {}
    if tracks.depths is not None:
        depths = tracks.depths.select(usable)
        more |= zip(DEPTH_CHANNELS, (depths.values, depths.sigmas), strict=True)
    if tracks.covariances is not None:
        upper = upper_triangles(tracks.covariances[usable])
        more |= zip(COVARIANCE_NAMES, upper, strict=True)
    channels += [
        ChannelFloat32(name=name, values=_floats(values)) for name, values in more.items()
    ]
    positions = [Point32(x=x, y=y, z=1.0) for x, y in points[usable].astype(float).tolist()]
    return PointCloud(header=header, points=positions, channels=channels)


def tracks_to_cloud(
    tracks: Tracks, header: Header, points: np.ndarray, velocities: np.ndarray
) -> PointCloud2:
    """
    Return the tracks as a message with the fields x, y, z, id, u, v, velocity_x and velocity_y.

    All are float32 except `id`, int32. `points` and `velocities`, both (N, 2), are those of
    `tracks_to_message`; z is 1. Tracks with a value that is not finite are left out. If the tracks
    have depths, x, y and z are multiplied by those that are known, and the field `depth_sigma`
    follows, NaN for the others. If they have covariances, the fields `COVARIANCE_NAMES` follow.
    """
    usable = _usable(points, velocities)
    names = ('x', 'y', 'z', 'id', 'u', 'v', 'velocity_x', 'velocity_y')
    if tracks.depths is not None:
        names += DEPTH_CHANNELS[1:]
    if tracks.covariances is not None:
        names += COVARIANCE_NAMES
    layout = [(name, '<i4' if name == 'id' else '<f4') for name in names]
    message, cloud = cloud_message(np.dtype(layout), int(usable.sum()), header)
    cloud['x'], cloud['y'] = points[usable].T
    cloud['z'] = 1
    cloud['id'] = tracks.ids[usable] % IDS
    cloud['u'], cloud['v'] = tracks.keypoints[usable].T
    cloud['velocity_x'], cloud['velocity_y'] = velocities[usable].T
    if tracks.depths is not None:
        depths = tracks.depths.select(usable)
        for name in ('x', 'y', 'z'):
            cloud[name] *= np.where(depths.known, depths.values, 1)
        cloud['depth_sigma'] = depths.sigmas
    if tracks.covariances is not None:
        upper = upper_triangles(tracks.covariances[usable])
        for name, values in zip(COVARIANCE_NAMES, upper, strict=True):
            cloud[name] = values
    return message


def tracks_from_message(message: PointCloud) -> Tracks:
    """
    Return the tracks of a message in ascending order of their ids; `indices` are into its points.

    What a message does not contain is set to: ages 2 (unknown, but not new), previous positions
    and intervals NaN. Velocities are as in the message. Raises ValueError if a channel is missing
    or has too few values, or if an id occurs twice, or is not finite or not below 2^31.
    """
    count = len(message.points)
    channels = {channel.name: channel.values for channel in message.channels}
    wanted = LAYOUTS['vins_mono']
    missing = [name for name in wanted if name not in channels]
    if missing:
        there = ', '.join(channels) or 'none'
        raise ValueError(f'the message lacks the channels {", ".join(missing)}; it has {there}')
    extra = [name for name in (*DEPTH_CHANNELS, *COVARIANCE_NAMES) if name in channels]
    short = [name for name in (*wanted, *extra) if len(channels[name]) != count]
    if short:
        raise ValueError(
            f'the channel {short[0]} has {counted(len(channels[short[0]]), "value")} for '
            f'{counted(count, "point")}'
        )
    ids, u, v, velocity_x, velocity_y = (np.array(channels[name], np.float32) for name in wanted)
    order = _order_of_ids(ids)
    depths = None
    if {*DEPTH_CHANNELS} <= {*extra}:
        depths = Depths(*(channels[name] for name in DEPTH_CHANNELS)).select(order)
    covariances = None
    if {*COVARIANCE_NAMES} <= {*extra}:
        upper = (np.array(channels[name], np.float32)[order] for name in COVARIANCE_NAMES)
        covariances = covariances_of(*upper)
    return Tracks.new(
        ids[order],
        np.stack([u, v], axis=1)[order],
        velocities=np.stack([velocity_x, velocity_y], axis=1)[order],
        ages=np.full(count, 2, np.int64),
        indices=order,
        depths=depths,
        covariances=covariances,
    )


def _order_of_ids(ids: np.ndarray) -> np.ndarray:
    """Return the indices (N,) that sort ids (N,); raise ValueError if these are not valid."""
    bad = ~(np.abs(ids) < 2**31)  # also NaN
    if bad.any():
        raise ValueError(f'the channel id has the value {ids[bad][0]}')
    order = np.argsort(ids, kind='stable')
    numbers = ids[order].astype(np.int64)
    if (np.diff(numbers) == 0).any():
        raise ValueError(f'the id {numbers[:-1][np.diff(numbers) == 0][0]} occurs twice')
    return order


def _usable(points: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Return bool (N,): which tracks have finite points and velocities, both (N, 2)."""
    return np.isfinite(points).all(axis=1) & np.isfinite(velocities).all(axis=1)


def _floats(values: np.ndarray) -> array:
    """Return the values in the type that rclpy copies without a check of each."""
    data = array('f')
    data.frombytes(np.ascontiguousarray(values, np.float32).tobytes())
    return data
