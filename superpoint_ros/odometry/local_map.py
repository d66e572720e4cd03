# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Local map of the odometry: points with the ids of their tracks, and recent keyframes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np

from superpoint_ros.features import Depths
from superpoint_ros.geometry.poses import invert
from superpoint_ros.geometry.projection import parallax, project, reprojection_errors, triangulate
from superpoint_ros.odometry.bundle_adjustment import Observations, refine
from superpoint_ros.odometry.pose_refinement import pose_covariance

_ITERATIONS = 5  # per keyframe; ten did not make the trajectory more accurate
_FIRST_ITERATIONS = 20  # of the first two keyframes, whose poses and points are not yet refined
_MISSES = 3  # consecutive outliers after which a point is removed
_FAR_OFF = 4  # times the threshold; points with larger errors move with something else
_LARGEST_DEPTH_ERROR = 0.1  # as a share of the depth; larger ones place no point
_FORGET = 60  # frames after which an unseen point is removed; trackers forget it earlier


@dataclass(eq=False)
class CameraView:
    """
    Observed points of one frame and the pose of its camera.

    `ids` (N,) are ascending track ids, `measured` (N, 5) are `measurement_rows`, `pose` (4, 4) is
    world-to-camera.
    """

    ids: np.ndarray
    measured: np.ndarray
    pose: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seen(self) -> np.ndarray:
        """Return the normalised coordinates (N, 2)."""
        return self.measured[:, :2]

    def keep(self, kept: np.ndarray) -> None:
        """Remove all other points than those to keep, bool (N,)."""
        self.ids, self.measured = self.ids[kept], self.measured[kept]

    def has_depth(self) -> np.ndarray:
        """Return bool (N,): which points have a depth that is precise enough to place them."""
        return self.measured[:, 4] > 0

    def forget_depths(self, chosen: np.ndarray | slice = slice(None)) -> None:
        """Make the depths of the chosen points unknown."""
        self.measured = self.measured.copy()  # other views may share it
        self.measured[chosen, 4] = 0

    def located(self, chosen: np.ndarray) -> np.ndarray:
        """Return the chosen points (M, 3), which must have depths, in the world."""
        inverse = self.measured[chosen, 3:4]
        local = np.c_[self.seen[chosen], np.ones(len(inverse))] / inverse
        world = invert(self.pose)
        return local @ world[:3, :3].T + world[:3, 3]


def inverse_depths(depths: Depths, sigma: float) -> np.ndarray:
    """
    Return inverse depths and weights (N, 2) for `measurement_rows`.

    `sigma` is the standard deviation of image points in normalised coordinates. Depths with a
    standard deviation above `_LARGEST_DEPTH_ERROR` of their value count as unknown.
    """
    with np.errstate(invalid='ignore'):
        usable = depths.sigmas < _LARGEST_DEPTH_ERROR * depths.values
    values = np.where(usable, depths.values, 1).astype(float)
    # The standard deviation of 1 / z is that of z, divided by z squared.
    weights = np.where(usable, sigma * values**2 / np.where(usable, depths.sigmas, 1), 0)
    return np.stack([1 / values, weights], axis=1)


def shared_ids(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions, in each of two ascending arrays, of the ids that are in both."""
    _, in_a, in_b = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return in_a, in_b


class LocalMap:
    """
    Points that are being tracked, and recent keyframes.

    `ids` (M,) ascend; `points` (M, 3) are in the world. `threshold` is the largest reprojection
    error of an inlier, in normalised coordinates; `window` the number of keyframes that are
    refined; `point_parallax` the smallest parallax of a new point, in degrees. These three may be
    changed at any time.
    """

    def __init__(self, threshold: float, window: int, point_parallax: float):
        self.threshold = threshold
        self.keyframes: list[CameraView] = []
        self.ids = np.zeros(0, np.int64)
        self.points = np.zeros((0, 3))
        self._misses = np.zeros(0, int)
        self._unseen = np.zeros(0, int)
        self._rejected = np.zeros(0, np.int64)  # ids that were outliers for too long
        self.window = window
        self.point_parallax = point_parallax

    def __len__(self) -> int:
        return len(self.ids)

    def add_points(self, ids: np.ndarray, points: np.ndarray) -> None:
        """Add points with new ids."""
        order = np.argsort(np.concatenate([self.ids, ids]))
        zeros = np.zeros(len(ids), int)
        self.ids = np.concatenate([self.ids, ids])[order]
        self.points = np.concatenate([self.points, points])[order]
        self._misses = np.concatenate([self._misses, zeros])[order]
        self._unseen = np.concatenate([self._unseen, zeros])[order]

    def copy(self) -> LocalMap:
        """Return a map that can be refined while this one is used."""
        other = copy.copy(self)
        other.keyframes = [replace(view) for view in self.keyframes]
        other.points = self.points.copy()
        return other

    def keep(self, kept: np.ndarray) -> None:
        """Remove all other points than those to keep, bool (M,)."""
        for name in ('ids', 'points', '_misses', '_unseen'):
            setattr(self, name, getattr(self, name)[kept])

    def _is_unknown(self, view: CameraView) -> np.ndarray:
        """Return bool (N,): which points of a view may be added."""
        return ~np.isin(view.ids, np.concatenate([self.ids, self._rejected]))

    def add_located(self, view: CameraView) -> None:
        """Add the points of a view that are unknown and have a depth."""
        new = view.has_depth() & self._is_unknown(view)
        if new.any():
            self.add_points(view.ids[new], view.located(new))

    def inliers(self, view: CameraView) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions, in map and view, of the inliers of the view's pose."""
        in_map, in_view, errors = self._errors(view)
        good = errors < self.threshold
        return in_map[good], in_view[good]

    def _errors(self, view: CameraView) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the positions, in map and view, of the points of both, and their errors."""
        in_map, in_view = shared_ids(self.ids, view.ids)
        errors = reprojection_errors(view.pose, self.points[in_map], view.seen[in_view])
        return in_map, in_view, errors

    def pose_noise(
        self, view: CameraView, inliers: tuple[np.ndarray, np.ndarray], threshold: float
    ) -> np.ndarray:
        """
        Return the covariance of the view's pose for exact points, as `pose_covariance`.

        `inliers` are positions in map and view, `threshold` is the largest error of an inlier.
        """
        in_map, in_view = inliers
        return pose_covariance(view.pose, self.points[in_map], view.measured[in_view], threshold)

    def update_visibility(self, view: CameraView) -> None:
        """
        Remove points that have been outliers or unseen for too long.

        Those with large errors do not come back with the same id: they move with the robot or with
        another object.
        """
        in_map, _, errors = self._errors(view)
        good = errors < self.threshold
        is_far_off = np.zeros(len(self), bool)
        is_far_off[in_map] = errors > _FAR_OFF * self.threshold
        self._unseen += 1
        self._unseen[in_map] = 0
        self._misses[in_map] = np.where(good, 0, self._misses[in_map] + 1)
        wrong = self._misses >= _MISSES
        in_view = np.isin(self._rejected, view.ids)
        self._rejected = np.concatenate([self._rejected[in_view], self.ids[wrong & is_far_off]])
        self.keep(~wrong & (self._unseen < _FORGET))

    def add_keyframe(self, view: CameraView) -> None:
        """Add a keyframe, and locate new points by depth or triangulation."""
        self._remove_outliers_of(view)
        # Twice the window: older keyframes are fixed and anchor the newer ones.
        self.keyframes = [*self.keyframes[-2 * max(self.window, 4) :], view]
        self.add_located(view)
        unknown = np.flatnonzero(self._is_unknown(view))
        added, points = [unknown[:0]], [self.points[:0]]
        for other in self.keyframes[:-1]:  # oldest first: largest parallax
            found, places = self._triangulate(other, view, unknown)
            added.append(found)
            points.append(places)
            unknown = np.setdiff1d(unknown, found, assume_unique=True)
        self.add_points(view.ids[np.concatenate(added)], np.concatenate(points))

    def _triangulate(
        self, a: CameraView, b: CameraView, candidates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the points that both views see with enough parallax.

        Returns indices (K,) of points of b, chosen from `candidates`, and their places (K, 3).
        """
        in_a, in_b = shared_ids(a.ids, b.ids[candidates])
        in_b = candidates[in_b]
        seen_a, seen_b = a.seen[in_a], b.seen[in_b]
        apart = parallax(a.pose, seen_a, b.pose, seen_b) >= self.point_parallax
        in_b, seen_a, seen_b = in_b[apart], seen_a[apart], seen_b[apart]
        points = triangulate(a.pose, seen_a, b.pose, seen_b)
        good = reprojection_errors(a.pose, points, seen_a) < self.threshold
        good &= reprojection_errors(b.pose, points, seen_b) < self.threshold
        return in_b[good], points[good]

    def refine(self) -> None:
        """Refine the last keyframes and their points; remove wrong observations."""
        views = self.keyframes
        free = np.zeros(len(views), dtype=bool)
        free[-self.window :] = True
        free[0] = False
        if len(views) == 1:
            return
        observations = self._observations(views)
        has_depth = observations.measured[:, 4] > 0
        # One view with depth determines a point.
        seen_by = np.bincount(observations.points, 1 + has_depth, minlength=len(self))
        if not (seen_by > 1).any():
            return
        observations = observations.select(seen_by[observations.points] > 1)
        used, compact = np.unique(observations.points, return_inverse=True)
        poses, points = refine(
            np.array([view.pose for view in views]),
            self.points[used],
            observations._replace(points=compact),
            free,
            self.threshold,
            _ITERATIONS if len(views) > 2 else _FIRST_ITERATIONS,
        )
        if len(views) - free.sum() < 2 and not has_depth.any():
            poses, points = _restore_scale(views, poses, points)
        for view, pose in zip(views, poses, strict=True):
            view.pose = pose
        self.points[used] = points
        self._remove_outliers(views)

    def _observations(self, views: list[CameraView]) -> Observations:
        """Return the observations, in all views, of the points that the last views see."""
        recent = np.unique(np.concatenate([view.ids for view in views[-self.window :]]))
        known = np.isin(self.ids, recent)
        cameras, points, measured = [], [], []
        for number, view in enumerate(views):
            in_map, in_view = shared_ids(self.ids, view.ids)
            chosen = known[in_map]
            points.append(in_map[chosen])
            measured.append(view.measured[in_view[chosen]])
            cameras.append(np.full(len(points[-1]), number))
        return Observations(*map(np.concatenate, (cameras, points, measured)))

    def _remove_outliers(self, views: list[CameraView]) -> None:
        """
        Remove outliers from the keyframes, and points that only one keyframe sees.

        A point that one keyframe sees with its depth stays.
        """
        counts = np.zeros(len(self), int)
        for view in views:
            self._remove_outliers_of(view)
            in_map, in_view = shared_ids(self.ids, view.ids)
            counts[in_map] += 1 + view.has_depth()[in_view]
        self.keep(counts > 1)

    def _remove_outliers_of(self, view: CameraView) -> None:
        """Remove observations and depths of the view that are outliers of the map."""
        in_map, in_view, errors = self._errors(view)
        kept = np.ones(len(view), dtype=bool)
        kept[in_view[errors >= self.threshold]] = False
        if view.has_depth().any():
            _, expected = project(view.pose, self.points[in_map])
            inverse, weights = view.measured[in_view, 3:].T
            with np.errstate(divide='ignore'):
                wrong = ~(weights * np.abs(1 / expected - inverse) < self.threshold)
            view.forget_depths(in_view[wrong])
        view.keep(kept)


def _restore_scale(
    views: list[CameraView], poses: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return poses and points scaled to the former distance between two old keyframes.

    `views` (K) have their poses from before the refinement; `poses` (K, 4, 4) and `points` (M, 3)
    are refined. The centre of the first camera stays in its place.
    """
    old = max(len(views) - 2, 1)
    before = [_centre(view.pose) for view in (views[0], views[old])]
    origin, after = _centre(poses[0]), _centre(poses[old])
    length = np.linalg.norm(after - origin)
    if length < 1e-12:
        return poses, points
    scale = np.linalg.norm(before[1] - before[0]) / length
    poses = poses.copy()
    for pose in poses:
        pose[:3, 3] = -pose[:3, :3] @ (origin + scale * (_centre(pose) - origin))
    return poses, origin + scale * (points - origin)


def _centre(pose: np.ndarray) -> np.ndarray:
    """Return the centre (3,) of a camera in the world from its pose (4, 4), world-to-camera."""
    return invert(pose)[:3, 3]
