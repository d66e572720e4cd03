# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Initial map of the odometry from two views without depths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpoint_ros.geometry.pose_estimation import two_views
from superpoint_ros.geometry.poses import invert
from superpoint_ros.geometry.projection import parallax
from superpoint_ros.odometry.local_map import CameraView, shared_ids
from superpoint_ros.odometry.odometry_settings import OdometrySettings

_MIN_INLIER_SHARE = 0.6  # of the points that both views see


class InitialMap(NamedTuple):
    """
    Points that two views see, and the pose of the second one.

    `ids` (M,) are those of the tracks, `points` (M, 3) are in the world, `pose` (4, 4) is
    world-to-camera.
    """

    ids: np.ndarray
    points: np.ndarray
    pose: np.ndarray


def initial_map(
    reference: CameraView,
    view: CameraView,
    threshold: float,
    settings: OdometrySettings,
    depth: float | None,
) -> InitialMap | None:
    """
    Return the map of a reference view, whose pose is known, and another one.

    It is None if the views have too little parallax, or too few points fit one pose. `threshold`
    is the largest reprojection error in normalised coordinates. The scale makes `depth` the median
    depth of the points in the reference view; without it, the distance of both views is 1.
    """
    in_reference, in_view = shared_ids(reference.ids, view.ids)
    a, b = reference.seen[in_reference], view.seen[in_view]
    flow = np.median(parallax(np.eye(4), a, np.eye(4), b))
    if flow < settings.initial_parallax / 2:
        return None  # hardly any motion
    start = two_views(a, b, threshold)
    if start is None:
        return None
    good = start.inliers
    if good.sum() < max(2 * settings.min_inliers, _MIN_INLIER_SHARE * len(a)):
        return None
    angles = parallax(np.eye(4), a, start.pose, b)[good]
    if np.median(angles) < settings.initial_parallax:
        return None
    points, pose = start.points[good], start.pose.copy()
    scale = 1.0 if depth is None else depth / np.median(points[:, 2])
    pose[:3, 3] *= scale
    world = invert(reference.pose)
    in_world = points * scale @ world[:3, :3].T + world[:3, 3]
    return InitialMap(view.ids[in_view[good]], in_world, pose @ reference.pose)
