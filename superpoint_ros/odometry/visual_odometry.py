# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A small monocular visual odometry: the camera's way from tracked points.

The first two views that see the same points from places far enough apart give the first points
(`two_views`); later poses are found from the points (`find_pose`), new points by triangulation
between keyframes, and the last keyframes are refined together. It closes no loops and knows no
scale: lengths are in units of the way between the first two keyframes.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.epipolar import (
    find_pose,
    invert,
    parallax,
    project,
    reprojection_errors,
    two_views,
)
from superpoint_ros.odometry.bundle_adjustment import Observations, refine, refine_pose
from superpoint_ros.odometry.local_map import LocalMap, shared, View
from superpoint_ros.odometry.odometry_settings import OdometrySettings
from superpoint_ros.odometry.tracker import Tracks

STARTING, TRACKING, LOST = 'starting', 'tracking', 'lost'

_AGREEING = 0.6  # of the points that two views share, for a map to begin


class VisualOdometry:
    """
    Find the camera's pose in each frame.

    `status` is 'starting' until there is a map, 'tracking' while poses are found and 'lost' where
    they are not. `inliers` is the number of points that agree with the last pose, `restarts`
    counts the maps that were begun after the first.

    The world is the first keyframe's frame (x right, y down, z forward), and the way to the second
    keyframe has length 1. After a loss the new map begins where the camera was seen last, scaled
    such that what is in view is as far away as it was: from there on both are guesses.
    """

    def __init__(self, camera_model: CameraModel, settings: OdometrySettings | None = None):
        self.camera_model = camera_model
        self.settings = settings or OdometrySettings()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.status = STARTING
        self.inliers = self.restarts = 0
        self._map: LocalMap | None = None
        self._reference: View | None = None
        self._pose = np.eye(4)
        self._motion = np.eye(4)
        self._depth: float | None = None
        self._failures = 0
        self._share_base = 0
        self._stamp = -np.inf

    @property
    def threshold(self) -> float:
        """Return the reprojection threshold in normalised coordinates."""
        focal = (self.camera_model.matrix[0, 0] + self.camera_model.matrix[1, 1]) / 2
        return self.settings.reprojection_threshold / focal * max(self.camera_model.binning)

    @property
    def points(self) -> np.ndarray:
        """Return where the points of the map are in the world, (M, 3)."""
        return self._map.points.copy() if self._map else np.zeros((0, 3))

    @property
    def keyframes(self) -> list[np.ndarray]:
        """Return the camera-to-world poses of the last keyframes."""
        return [invert(view.pose) for view in self._map.keyframes] if self._map else []

    def update(self, tracks: Tracks, stamp: float) -> np.ndarray | None:
        """
        Return the pose of the next frame, camera-to-world float64 (4, 4), None where unknown.

        Where the stamp, in seconds, goes back, or the tracks are new, the map begins anew.
        """
        seen = self.camera_model.normalize(tracks.keypoints)
        usable = np.isfinite(seen).all(axis=1)
        view = View(tracks.ids[usable], seen[usable].astype(float), self._pose)
        if self._map is not None and (tracks.restarted or stamp < self._stamp):
            self._begin_again()
        self._stamp = stamp
        found = self._follow(view) if self._map is not None else self._begin(view)
        return invert(self._pose) if found else None

    def _begin(self, view: View) -> bool:
        """Return whether a map could be made of this view and the one that waits for it."""
        self.inliers = 0
        reference = self._reference
        if reference is None:
            self._reference = view
            return False
        in_reference, in_view = shared(reference.ids, view.ids)
        enough = 2 * self.settings.min_inliers
        if len(in_view) < max(enough, len(reference) // 4):
            # Too little is left in view of what was seen then: begin from here.
            self._reference = view
            return False
        a, b = reference.seen[in_reference], view.seen[in_view]
        flow = np.median(parallax(np.eye(4), a, np.eye(4), b))
        if flow < self.settings.initial_parallax / 2:
            return False  # nearly nothing has moved
        start = two_views(a, b, self.threshold)
        if start is None or start.inliers.sum() < max(enough, _AGREEING * len(a)):
            return False
        angles = parallax(np.eye(4), a, start.pose, b)[start.inliers]
        if np.median(angles) < self.settings.initial_parallax:
            return False
        good = start.inliers
        self._make_map(view, in_reference[good], in_view[good], start.pose, start.points[good])
        return True

    def _make_map(self, view: View, in_reference, in_view, pose, points) -> None:
        """Begin the map with two keyframes and the points that both see."""
        reference, count = self._reference, len(in_view)
        observations = Observations(
            np.repeat([0, 1], count),
            np.tile(np.arange(count), 2),
            np.concatenate([reference.seen[in_reference], view.seen[in_view]]),
        )
        poses = np.array([np.eye(4), pose])
        free = np.array([False, True])
        poses, points = refine(poses, points, observations, free, self.threshold, 20)
        scale = 1 / np.linalg.norm(poses[1, :3, 3])
        if self._depth is not None:
            scale = self._depth / np.median(points[:, 2])
        poses[1, :3, 3] *= scale
        world = invert(reference.pose)
        points = points * scale @ world[:3, :3].T + world[:3, 3]
        view.pose = poses[1] @ reference.pose
        settings = self.settings
        self._map = LocalMap(self.threshold, settings.window, settings.point_parallax)
        self._map.keyframes.append(reference)
        self._map.add_points(view.ids[in_view], points)
        self._map.add_keyframe(view)
        self._pose, self._motion = view.pose, np.eye(4)
        self._failures = 0
        self.inliers = self._share_base = self._map.agreeing(view)
        self.status = TRACKING
        self._note_depth()

    def _follow(self, view: View) -> bool:
        """Return whether the map tells where the view was taken from."""
        local, threshold = self._map, self.threshold
        local.threshold, local.window = threshold, self.settings.window
        local.point_parallax = self.settings.point_parallax
        in_map, in_view = shared(local.ids, view.ids)
        points, seen = local.points[in_map], view.seen[in_view]
        self.inliers = 0
        if len(points) >= self.settings.min_inliers:
            pose = find_pose(points, seen, threshold, self._motion @ self._pose)
            for _ in range(2):  # what agrees may change with the pose
                good = reprojection_errors(pose, points, seen) < threshold
                if good.sum() >= 4:
                    pose = refine_pose(pose, points[good], seen[good], threshold)
            self.inliers = int((reprojection_errors(pose, points, seen) < threshold).sum())
        enough = max(self.settings.min_inliers, len(points) // 4)
        if self.inliers < enough:
            self._fail()
            return False
        view.pose = pose
        local.note(view)
        before = self._pose
        if self._is_keyframe(view):
            local.add_keyframe(view)
            self._share_base = max(local.agreeing(view), self.settings.min_inliers)
        self._pose = view.pose
        self._motion = self._pose @ invert(before) if self.status == TRACKING else np.eye(4)
        self._failures, self.status = 0, TRACKING
        self._note_depth()
        return True

    def _is_keyframe(self, view: View) -> bool:
        """Return whether the view shows enough that the last keyframe did not."""
        if self.inliers < self.settings.keyframe_share * self._share_base:
            return True
        last = self._map.keyframes[-1]
        in_last, in_view = shared(last.ids, view.ids)
        angles = parallax(last.pose, last.seen[in_last], view.pose, view.seen[in_view])
        return not len(angles) or np.median(angles) >= self.settings.keyframe_parallax

    def _fail(self) -> None:
        """Note that no pose was found; after some such frames begin anew."""
        self._failures += 1
        self.status = LOST
        if self._failures >= self.settings.max_lost_frames:
            self._begin_again()

    def _begin_again(self) -> None:
        """Let the next map begin where the camera was seen last."""
        self._map = self._reference = None
        self._motion = np.eye(4)
        self.status, self.restarts = LOST, self.restarts + 1

    def _note_depth(self) -> None:
        """Remember how far away the points are that are in view."""
        _, depths = project(self._pose, self._map.points)
        ahead = depths[depths > 0]
        if len(ahead):
            self._depth = float(np.median(ahead))
