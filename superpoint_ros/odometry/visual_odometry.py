# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A small visual odometry: the camera trajectory from tracked points.

If the tracks have depths (stereo, RGB-D), the map is initialised from the first view, new points
of keyframes are located by their depths, and the scale is metric. Otherwise the map is initialised
from the first two views with enough parallax (`initial_map`), and the scale is arbitrary: the
distance between the first two keyframes is 1. Later poses are estimated from the points of the map
(`find_pose`), points without depth are triangulated between keyframes, and the last keyframes are
refined by bundle adjustment (`MapRefiner`), the first two as well. There is no loop closure.

It is an example consumer of the features and the measuring tool of `superpoint evaluate odometry`,
written for this package because it must run on the tracks alone, without rclpy.
"""

from __future__ import annotations

import numpy as np

from superpoint_ros.common.wording import counted
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.pose_estimation import find_pose, relative_rotation
from superpoint_ros.geometry.poses import invert
from superpoint_ros.geometry.projection import parallax, project, reprojection_errors
from superpoint_ros.odometry.bundle_adjustment import Observations, refine
from superpoint_ros.odometry.camera_motion import CameraMotion
from superpoint_ros.odometry.local_map import (
    CameraView,
    inverse_depths,
    LocalMap,
    shared_ids,
)
from superpoint_ros.odometry.map_initialization import initial_map, InitialMap
from superpoint_ros.odometry.map_refinement import MapRefiner
from superpoint_ros.odometry.odometry_settings import OdometrySettings
from superpoint_ros.odometry.pose_refinement import pose_covariance, refine_pose
from superpoint_ros.odometry.pose_uncertainty import PoseUncertainty
from superpoint_ros.odometry.reprojection_errors import measurement_rows
from superpoint_ros.odometry.track_refinement import position_sigmas
from superpoint_ros.odometry.tracker import Tracks

STARTING, TRACKING, LOST = 'starting', 'tracking', 'lost'

_LEAST_SIGMA = 0.1  # pixels; .3, .05 and .02 were no better on fr2/desk of TUM RGB-D

_COARSE = 4  # times the threshold, for poses in fast turns


class VisualOdometry:
    """
    Estimator of the camera pose of each frame.

    `status` is 'starting' until there is a map, 'tracking' while poses are found, and 'lost'
    otherwise. `inliers` is the number of inliers of the last pose; `restarts` counts the maps
    after the first one, and `restart_reason` is why the last map was discarded. `metric` says
    whether lengths of the current map are in metres. `uncertainty` has the covariances of the last
    pose and of the velocity before it. `motion` (4, 4) is the pose of the camera at the last frame
    relative to that at the frame before, by the same map: poses also differ by what a refinement
    has changed in between. It is None if a frame had no pose, or was in another map.

    The world frame is that of the first keyframe (x right, y down, z forward); without depths, the
    distance to the second keyframe is 1. After `max_lost_frames` frames without a pose, or one if
    a map of two views has not given any pose yet, the next views that allow it start a new map at
    the last known pose, moved on as the camera moved before for at most two seconds and turned as
    the tracks show if it turns in place, without depths scaled to the last median depth; motion
    and scale are approximations. If they see enough points of the old map before, its poses
    continue. A map without metric scale is replaced as soon as enough points have depths.

    `refiner` runs the bundle adjustment of new keyframes. By default it runs within `update`, and
    results repeat exactly. If it runs in another thread, its result corrects the frames after it.
    """

    def __init__(
        self,
        camera_model: CameraModel,
        settings: OdometrySettings | None = None,
        refiner: MapRefiner | None = None,
    ):
        self.camera_model = camera_model
        self.settings = settings or OdometrySettings()
        self._refiner = refiner or MapRefiner()
        self.reset()

    @staticmethod
    def warm_up() -> None:
        """Compile the loops, or load them from the cache, so that this delays no frame."""
        pose, point = np.eye(4), np.array([[0.0, 0, 1]])
        measured, first = measurement_rows(np.zeros((1, 2))), np.zeros(1, int)
        for loops in (refine_pose, pose_covariance):
            loops(pose, point, measured, 1.0)
        refine(pose[None], point, Observations(first, first, measured), np.ones(1, bool), 1.0)

    def reset(self) -> None:
        """Forget everything."""
        self.status = STARTING
        self.metric = False
        self.inliers = self.restarts = 0
        self.restart_reason = ''
        self.uncertainty = PoseUncertainty()
        self._refiner.discard()
        self._map: LocalMap | None = None
        self._reference: CameraView | None = None
        self._last_view: CameraView | None = None
        self._pose = np.eye(4)
        self._motion = CameraMotion()
        self.motion: np.ndarray | None = None
        self._depth: float | None = None
        self._failures = 0
        self._failures_allowed = 1  # frames without a pose before a new map may start
        self._share_base = 0
        self._stamp = -np.inf

    def change_camera(self, camera_model: CameraModel) -> None:
        """Continue with another calibration: a new map starts at the last known pose."""
        self.camera_model = camera_model
        self._reference = self._last_view = None  # in other coordinates
        if self._map is not None:
            self._restart('the calibration has changed')

    @property
    def threshold(self) -> float:
        """Return the reprojection threshold in normalised coordinates."""
        focal = (self.camera_model.matrix[0, 0] + self.camera_model.matrix[1, 1]) / 2
        return self.settings.reprojection_threshold / focal * max(self.camera_model.binning)

    @property
    def points(self) -> np.ndarray:
        """Return the points of the map in the world frame, (M, 3)."""
        return self._map.points.copy() if self._map else np.zeros((0, 3))

    @property
    def keyframes(self) -> list[np.ndarray]:
        """Return the camera-to-world poses of the last keyframes."""
        return [invert(view.pose) for view in self._map.keyframes] if self._map else []

    def update(self, tracks: Tracks, stamp: float) -> np.ndarray | None:
        """
        Return the pose of the next frame, camera-to-world float64 (4, 4), None if unknown.

        If the stamp, in seconds, goes back or the tracks restarted, a new map is started.
        """
        seen = self.camera_model.normalize(tracks.keypoints)
        usable = np.isfinite(seen).all(axis=1)
        depths = weights = None
        if tracks.depths is not None:
            depths = inverse_depths(tracks.depths.select(usable), self.threshold / 3)
        if tracks.covariances is not None:
            weights = self._weights(tracks.covariances[usable])
        measured = measurement_rows(seen[usable], depths, weights)
        view = CameraView(tracks.ids[usable], measured, self._pose)
        if self._map is not None and stamp < self._stamp:
            self._restart(f'the stamps went back by {self._stamp - stamp:.3f} s')
        elif self._map is not None and tracks.restarted:
            self._restart('all tracks have restarted')
        elapsed = stamp - self._stamp
        self._stamp, self.motion = stamp, None
        self._finish_refinement()
        has_scale = view.has_depth().sum() >= 2 * self.settings.min_inliers
        if self._map is not None and has_scale and not self.metric:
            self._restart('the points have depths now')
        if not (has_scale or self.metric):
            view.forget_depths()  # too few to change the scale of a map
        found = self._map is not None and self._follow(view, elapsed)
        if not found:
            if self.status == LOST:
                self._move_on(view, elapsed)
            found = self._begin(view, has_scale)
        self._last_view = view
        return invert(self._pose) if found else None

    def _weights(self, covariances: np.ndarray) -> np.ndarray:
        """
        Return the weights (N,) of tracks with these covariances (N, 2, 2), which may be NaN.

        The weight is 1 for unknown covariances and for the standard deviation that the threshold
        is three times of.
        """
        sigmas = position_sigmas(covariances)
        largest = self.settings.reprojection_threshold / 3
        clipped = np.clip(sigmas, min(_LEAST_SIGMA, largest), largest)
        return largest / np.where(np.isfinite(clipped), clipped, largest)

    def _begin(self, view: CameraView, has_scale: bool) -> bool:
        """
        Start a map; return whether that was possible.

        With scale, this view gives a map, otherwise the reference view and this one. A map that
        gave no pose is kept until then: its points may come into view again.
        """
        start = reference = None
        if not has_scale:
            view.forget_depths()
            reference = self._reference_of(view)
        if self._map is not None and self._failures < self._failures_allowed:
            return False
        if not has_scale:
            self.inliers = 0
            if reference is not None:
                start = initial_map(reference, view, self.threshold, self.settings, self._depth)
            if start is None:
                return False
        if self._map is not None:
            self._restart(f'no pose in {counted(self._failures, "frame")}')
        self._start_map(view, reference, start)
        return True

    def _reference_of(self, view: CameraView) -> CameraView | None:
        """
        Return the reference view if it shares enough points with this view.

        Otherwise this view becomes the reference of later ones, unless it has too few points, as a
        dark one has.
        """
        enough, reference = 2 * self.settings.min_inliers, self._reference
        if len(view) < enough:
            return None
        if reference is None or len(shared_ids(reference.ids, view.ids)[0]) < enough:
            self._reference = view
            return None
        return reference

    def _start_map(
        self, view: CameraView, reference: CameraView | None, start: InitialMap | None
    ) -> None:
        """
        Replace the map, and begin to track from the view, its last keyframe.

        The points are those of `start`, which the reference view sees, too. Without them, they are
        the points of the view that have depths.
        """
        settings = self.settings
        self._map = LocalMap(self.threshold, settings.window, settings.point_parallax)
        self.metric = start is None
        if start is not None:
            view.pose = start.pose
            self._map.keyframes.append(reference)
            self._map.add_points(start.ids, start.points)
        self._add_keyframe(view)
        self._pose, self._motion = view.pose, CameraMotion()
        self._failures, self._reference = 0, None
        # Two views may give a wrong map; depths do not.
        self._failures_allowed = settings.max_lost_frames if self.metric else 1
        inliers = self._map.inliers(view)
        self.inliers = self._share_base = len(inliers[0])
        self.status = TRACKING
        noise = self._map.pose_noise(view, inliers, self.threshold)
        self.uncertainty.start_map(invert(view.pose), noise, self._stamp)
        self._store_depth()

    def _add_keyframe(self, view: CameraView) -> None:
        """Add a keyframe to the map, and refine the map."""
        self._map.add_keyframe(view)
        self._refiner.start(self._map)

    def _follow(self, view: CameraView, elapsed: float) -> bool:
        """
        Estimate the pose of the view from the map; return whether it succeeded.

        `elapsed` are the seconds since the last frame.

        If too few points are inliers, the threshold is `_COARSE` times as large: in fast turns,
        rolling shutters and motion blur move points by more than the threshold.
        """
        local, before = self._map, self._pose
        local.threshold, local.window = self.threshold, self.settings.window
        local.point_parallax = self.settings.point_parallax
        for threshold in (self.threshold, _COARSE * self.threshold):
            inliers = self._find_pose(view, threshold)
            if inliers is not None:
                break
        else:
            self._failures, self.status = self._failures + 1, LOST
            return False
        noise = local.pose_noise(view, inliers, threshold)
        # Both poses by the same points: a refinement is no motion.
        motion = view.pose @ invert(before)
        local.update_visibility(view)
        is_keyframe = self._is_keyframe(view)
        if is_keyframe:
            self._add_keyframe(view)
            self._share_base = max(len(local.inliers(view)[0]), self.settings.min_inliers)
        self._pose = view.pose
        self.uncertainty.update(
            *(invert(view.pose), noise, self._stamp),
            is_keyframe=is_keyframe,
            calibration_error=self.settings.calibration_error,
        )
        is_known = self.status == TRACKING  # at the previous frame, too
        self._motion = CameraMotion(motion, elapsed) if is_known else CameraMotion()
        self.motion = invert(motion) if is_known else None
        self._failures, self._reference, self.status = 0, None, TRACKING
        self._failures_allowed = self.settings.max_lost_frames
        self._store_depth()
        return True

    def _move_on(self, view: CameraView, elapsed: float) -> None:
        """
        Predict the pose of a view that the map does not give.

        If the camera has turned in place since the last frame, the tracks show by which rotation.
        """
        rotation, last = None, self._last_view
        if last is not None:
            in_last, in_view = shared_ids(last.ids, view.ids)
            if len(in_last) >= self.settings.min_inliers:
                rotation = relative_rotation(
                    last.seen[in_last], view.seen[in_view], 2 * self.threshold
                )
        self._pose = view.pose = self._motion.coast(self._pose, max(elapsed, 0.0), rotation)

    def _find_pose(
        self, view: CameraView, threshold: float
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """
        Estimate the pose of the view from the points of the map that it sees.

        Returns the positions of the inliers, with errors below `threshold`, in map and view; None
        if there are too few.
        """
        in_map, in_view = shared_ids(self._map.ids, view.ids)
        points, measured = self._map.points[in_map], view.measured[in_view]
        seen = view.seen[in_view]
        self.inliers, fewest = 0, self.settings.min_inliers
        if len(points) < fewest:
            return None
        pose = find_pose(points, seen, threshold, self._motion.next_pose(self._pose))
        for _ in range(2):  # inliers may change with the pose
            good = reprojection_errors(pose, points, seen) < threshold
            if good.sum() >= 4:
                pose = refine_pose(pose, points[good], measured[good], threshold)
        good = reprojection_errors(pose, points, seen) < threshold
        self.inliers = int(good.sum())
        if self.inliers < max(fewest, len(points) // 4):
            return None
        view.pose = pose
        return in_map[good], in_view[good]

    def _finish_refinement(self) -> None:
        """Apply a refinement that has ended since the last frame."""
        correction = self._refiner.finish(self._map) if self._map is not None else None
        if correction is not None:
            self._pose = self._pose @ correction

    def _is_keyframe(self, view: CameraView) -> bool:
        """Return whether the view differs enough from the last keyframe."""
        if self.inliers < self.settings.keyframe_share * self._share_base:
            return True
        last = self._map.keyframes[-1]
        in_last, in_view = shared_ids(last.ids, view.ids)
        angles = parallax(last.pose, last.seen[in_last], view.pose, view.seen[in_view])
        return not len(angles) or np.median(angles) >= self.settings.keyframe_parallax

    def _restart(self, reason: str) -> None:
        """Discard the map; the next one starts at the last known pose."""
        self.restart_reason = reason
        self._refiner.discard()
        self._map = self._reference = None
        self.metric = False
        self._motion = CameraMotion()
        self.status, self.restarts = LOST, self.restarts + 1

    def _store_depth(self) -> None:
        """Store the median depth of the points in front of the camera."""
        _, depths = project(self._pose, self._map.points)
        ahead = depths[depths > 0]
        if len(ahead):
            self._depth = float(np.median(ahead))
