# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The part of the world that is in view: points with the ids of their tracks, and keyframes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from superpoint_ros.geometry.epipolar import parallax, reprojection_errors, triangulate
from superpoint_ros.odometry.bundle_adjustment import Observations, refine

_ITERATIONS = 5  # the next keyframe goes on from there: ten make the way no more exact
_MISSES = 3  # times in a row that a point may disagree with the pose before it goes
_FORGET = 60  # frames after which a point that is not seen goes: trackers forget it sooner


@dataclass(eq=False)
class View:
    """
    What one frame saw, and from where.

    `ids` ascend; `seen` (N, 2) are normalised coordinates; `pose` (4, 4) is world-to-camera.
    """

    ids: np.ndarray
    seen: np.ndarray
    pose: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, chosen: np.ndarray) -> View:
        """Return the view with those points only that are chosen."""
        return View(self.ids[chosen], self.seen[chosen], self.pose)


def shared(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the ids that are in both of two ascending arrays stand in each."""
    _, in_a, in_b = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return in_a, in_b


class LocalMap:
    """
    Hold the points that are being tracked, and the last `window` keyframes.

    `ids` ascend and `points` (M, 3) are in the world. `threshold` is the largest error, in
    normalised coordinates, at which a point agrees with a pose, and `point_parallax` the least
    angle in degrees between two rays to a point that enters. All three may be changed.
    """

    def __init__(self, threshold: float, window: int, point_parallax: float):
        self.threshold = threshold
        self.keyframes: list[View] = []
        self.ids = np.zeros(0, np.int64)
        self.points = np.zeros((0, 3))
        self._misses = np.zeros(0, int)
        self._unseen = np.zeros(0, int)
        self.window = window
        self.point_parallax = point_parallax

    def __len__(self) -> int:
        return len(self.ids)

    def add_points(self, ids: np.ndarray, points: np.ndarray) -> None:
        """Add points under ids that are not in the map."""
        order = np.argsort(np.concatenate([self.ids, ids]))
        zeros = np.zeros(len(ids), int)
        self.ids = np.concatenate([self.ids, ids])[order]
        self.points = np.concatenate([self.points, points])[order]
        self._misses = np.concatenate([self._misses, zeros])[order]
        self._unseen = np.concatenate([self._unseen, zeros])[order]

    def _keep(self, kept: np.ndarray) -> None:
        for name in ('ids', 'points', '_misses', '_unseen'):
            setattr(self, name, getattr(self, name)[kept])

    def agreeing(self, view: View) -> int:
        """Return how many points agree with the view's pose."""
        in_map, in_view = shared(self.ids, view.ids)
        errors = reprojection_errors(view.pose, self.points[in_map], view.seen[in_view])
        return int((errors < self.threshold).sum())

    def note(self, view: View) -> None:
        """Drop the points that disagree with the poses for long, or are not seen for long."""
        in_map, in_view = shared(self.ids, view.ids)
        errors = reprojection_errors(view.pose, self.points[in_map], view.seen[in_view])
        good = errors < self.threshold
        self._unseen += 1
        self._unseen[in_map] = 0
        self._misses[in_map] = np.where(good, 0, self._misses[in_map] + 1)
        self._keep((self._misses < _MISSES) & (self._unseen < _FORGET))

    def add_keyframe(self, view: View) -> None:
        """Take the view as a keyframe: add the points that it makes known, and refine the map."""
        self._drop_wrong(view)
        self.keyframes.append(view)
        for other in self.keyframes[:-1]:  # the oldest first: their rays differ most
            self._triangulate(other, view)
        if self.window:
            self._refine()
        # Twice the window: older ones hold the newer in place.
        self.keyframes = self.keyframes[-2 * max(self.window, 4) :]

    def _triangulate(self, a: View, b: View) -> None:
        """Add the points that both views see, and from places that are far enough apart."""
        unknown = ~np.isin(b.ids, self.ids)
        in_a, in_b = shared(a.ids, b.ids[unknown])
        in_b = np.flatnonzero(unknown)[in_b]
        seen_a, seen_b = a.seen[in_a], b.seen[in_b]
        apart = parallax(a.pose, seen_a, b.pose, seen_b) >= self.point_parallax
        in_b, seen_a, seen_b = in_b[apart], seen_a[apart], seen_b[apart]
        points = triangulate(a.pose, seen_a, b.pose, seen_b)
        good = reprojection_errors(a.pose, points, seen_a) < self.threshold
        good &= reprojection_errors(b.pose, points, seen_b) < self.threshold
        self.add_points(b.ids[in_b[good]], points[good])

    def _refine(self) -> None:
        """Refine the last keyframes and their points; drop what was seen wrongly."""
        views = self.keyframes
        free = np.zeros(len(views), dtype=bool)
        free[-self.window :] = True
        free[0] = False
        if len(views) == 1:
            return
        observations = self._observations(views)
        seen_by = np.bincount(observations.points, minlength=len(self))
        if not (seen_by > 1).any():
            return
        several = seen_by[observations.points] > 1
        observations = Observations(*(part[several] for part in observations))
        used, compact = np.unique(observations.points, return_inverse=True)
        poses, points = refine(
            np.array([view.pose for view in views]),
            self.points[used],
            observations._replace(points=compact),
            free,
            self.threshold,
            _ITERATIONS,
        )
        if len(views) - free.sum() < 2:
            poses, points = _scaled_back(views, poses, points)
        for view, pose in zip(views, poses, strict=True):
            view.pose = pose
        self.points[used] = points
        self._forget_wrong(views)

    def _observations(self, views: list[View]) -> Observations:
        """Return what the views saw of the points that the last ones of them see."""
        lately = np.unique(np.concatenate([view.ids for view in views[-self.window :]]))
        known = np.isin(self.ids, lately)
        cameras, points, seen = [], [], []
        for number, view in enumerate(views):
            in_map, in_view = shared(self.ids, view.ids)
            chosen = known[in_map]
            points.append(in_map[chosen])
            seen.append(view.seen[in_view[chosen]])
            cameras.append(np.full(len(points[-1]), number))
        return Observations(*(np.concatenate(part) for part in (cameras, points, seen)))

    def _forget_wrong(self, views: list[View]) -> None:
        """Drop, from the keyframes, what disagrees with the map, and points seen only once."""
        counts = np.zeros(len(self), int)
        for view in views:
            self._drop_wrong(view)
            counts[shared(self.ids, view.ids)[0]] += 1
        self._keep(counts > 1)

    def _drop_wrong(self, view: View) -> None:
        """Drop from the view the points of the map that it saw elsewhere."""
        in_map, in_view = shared(self.ids, view.ids)
        errors = reprojection_errors(view.pose, self.points[in_map], view.seen[in_view])
        kept = np.ones(len(view), dtype=bool)
        kept[in_view[errors >= self.threshold]] = False
        view.ids, view.seen = view.ids[kept], view.seen[kept]


def _scaled_back(views: list[View], poses: np.ndarray, points: np.ndarray):
    """Return poses and points with the distance between two old keyframes that it was."""
    old = max(len(views) - 2, 1)
    before = [-view.pose[:3, :3].T @ view.pose[:3, 3] for view in (views[0], views[old])]
    origin, after = (-pose[:3, :3].T @ pose[:3, 3] for pose in (poses[0], poses[old]))
    length = np.linalg.norm(after - origin)
    if length < 1e-12:
        return poses, points
    scale = np.linalg.norm(before[1] - before[0]) / length
    poses = poses.copy()
    for pose in poses:
        centre = -pose[:3, :3].T @ pose[:3, 3]
        pose[:3, 3] = -pose[:3, :3] @ (origin + scale * (centre - origin))
    return poses, origin + scale * (points - origin)
