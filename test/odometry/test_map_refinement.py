# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Keyframes are refined in another thread while poses go on, and later poses use the result."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import itertools
import threading

import numpy as np
import pytest

from superpoint_ros.geometry.poses import invert
from superpoint_ros.geometry.projection import project
from superpoint_ros.geometry.trajectory_alignment import position_errors
from superpoint_ros.odometry.local_map import CameraView, LocalMap
from superpoint_ros.odometry.map_refinement import DeferredExecutor, MapRefiner
from superpoint_ros.odometry.reprojection_errors import measurement_rows
from superpoint_ros.odometry.visual_odometry import TRACKING, VisualOdometry


def fly(flight, refiner, after_frame=lambda number: None):
    """Return the pose of each frame, and the odometry; call `after_frame` after each."""
    odometry = VisualOdometry(flight.camera_model, refiner=refiner)
    poses = []
    for number, (tracks, stamp) in enumerate(zip(flight.tracks, flight.stamps, strict=True)):
        poses.append(odometry.update(tracks, stamp))
        after_frame(number)
    return poses, odometry


def relative_error(flight, poses):
    """Return the RMS position error divided by the length of the trajectory."""
    numbers = [number for number, pose in enumerate(poses) if pose is not None]
    true = flight.poses[numbers, :3, 3]
    length = np.linalg.norm(np.diff(true, axis=0), axis=1).sum()
    found = np.array([poses[number][:3, 3] for number in numbers])
    return np.sqrt((position_errors(found, true) ** 2).mean()) / length


def test_poses_with_later_refinement_are_about_as_accurate(make_flight):
    at_once, later = [], []
    for seed in (1, 2):
        flight = make_flight(noise=1.0, seed=seed)
        executor = DeferredExecutor()

        def run(number, executor=executor):
            if number % 2 == 0:
                executor.run()

        reference, _ = fly(flight, MapRefiner())
        poses, odometry = fly(flight, MapRefiner(executor), run)
        known = [pose is not None for pose in reference]
        assert [pose is not None for pose in poses] == known  # no pose is lost
        assert odometry.status == TRACKING
        assert odometry.restarts == 0
        at_once.append(relative_error(flight, reference))
        later.append(relative_error(flight, poses))
    assert np.mean(later) < 1.5 * np.mean(at_once)


def test_a_thread_gives_the_poses_of_the_same_work_done_between_the_frames(make_flight):
    flight, executor = make_flight(noise=0.5), DeferredExecutor()
    expected, _ = fly(flight, MapRefiner(executor), lambda number: executor.run())
    with ThreadPoolExecutor(1) as thread:
        refiner = MapRefiner(thread)
        poses, _ = fly(flight, refiner, lambda number: refiner.wait(60))
    assert [pose is None for pose in poses] == [pose is None for pose in expected]
    np.testing.assert_array_equal(
        [pose for pose in poses if pose is not None],
        [pose for pose in expected if pose is not None],
    )


def test_a_metric_scale_is_kept(make_flight):
    flight, executor = make_flight(noise=0.5, depth_error=0.002), DeferredExecutor()
    poses, odometry = fly(flight, MapRefiner(executor), lambda number: executor.run())
    assert odometry.metric
    moved = np.linalg.norm(poses[-1][:3, 3] - poses[0][:3, 3])
    true = np.linalg.norm(flight.poses[-1][:3, 3] - flight.poses[0][:3, 3])
    assert moved == pytest.approx(true, rel=0.01)


class MovingRefiner(MapRefiner):
    """Instead of a refinement, moves the whole map at the fourth keyframe, at once or later."""

    def __init__(self, at_once):
        super().__init__()
        self._at_once, self._keyframes, self._is_due = at_once, 0, False

    def start(self, local):
        self._keyframes += 1
        self._is_due = self._keyframes == 4
        if self._at_once:
            self.finish(local)

    def finish(self, local):
        if not self._is_due:
            return None
        self._is_due, correction = False, np.eye(4)
        correction[:3, 3] = 0.1, 0.2, -0.3
        for view in local.keyframes:
            view.pose = view.pose @ correction
        local.points = local.points - correction[:3, 3]
        return correction


@pytest.mark.parametrize('at_once', [True, False])
def test_the_motion_between_two_frames_is_free_of_what_a_refinement_changes(make_flight, at_once):
    flight, motions = make_flight(noise=0.3, depth_error=0.002), []
    odometry = VisualOdometry(flight.camera_model, refiner=MovingRefiner(at_once))
    poses = []
    for tracks, stamp in zip(flight.tracks, flight.stamps, strict=True):
        poses.append(odometry.update(tracks, stamp))
        motions.append(odometry.motion)
    assert motions[0] is None
    true = [invert(a) @ b for a, b in itertools.pairwise(flight.poses)]
    np.testing.assert_allclose(motions[1:], true, atol=0.01)
    by_poses = [invert(a) @ b for a, b in itertools.pairwise(poses)]
    jumps = np.linalg.norm(np.subtract(by_poses, true)[:, :3, 3], axis=1)
    assert (jumps > 0.3).sum() == 1


def view_from(pose, points, rng, ids=None):
    """Return a view of points, with noise of about a pixel."""
    seen = project(pose, points)[0] + rng.normal(0, 2e-3, (len(points), 2))
    ids = np.arange(len(points)) if ids is None else ids
    return CameraView(ids, measurement_rows(seen), pose)


def test_views_and_points_since_the_start_move_with_the_newest_refined_keyframe():
    rng = np.random.default_rng(0)
    points = rng.uniform([-3, -2, 5], [3, 2, 9], (80, 3))
    local = LocalMap(threshold=0.02, window=4, point_parallax=1.0)
    for x in range(4):
        pose = np.eye(4)
        pose[0, 3] = -0.8 * x
        local.add_keyframe(view_from(pose, points, rng))
    executor = DeferredExecutor()
    refiner = MapRefiner(executor)
    old = [view.pose for view in local.keyframes]
    refiner.start(local)
    assert refiner.finish(local) is None  # not yet done
    newer = np.eye(4)
    newer[:3, 3] = -3.2, 0.1, 0
    new_points = rng.uniform([-3, -2, 5], [3, 2, 9], (5, 3))
    local.keyframes.append(view_from(newer, new_points, rng, np.arange(100, 105)))
    local.add_points(np.arange(100, 105), new_points)
    assert executor.run() == 1
    correction = refiner.finish(local)
    *refined, last = [view.pose for view in local.keyframes]
    assert np.abs(refined[-1] - old[3]).max() > 1e-4
    np.testing.assert_allclose(last @ invert(refined[-1]), newer @ invert(old[3]), atol=1e-12)
    np.testing.assert_allclose(last, newer @ correction, atol=1e-12)
    moved = local.points[np.isin(local.ids, np.arange(100, 105))]
    np.testing.assert_allclose(project(last, moved)[0], project(newer, new_points)[0], atol=1e-9)
    assert refiner.finish(local) is None  # only once


def test_a_keyframe_during_a_refinement_is_refined_afterwards(make_flight):
    flight, executor = make_flight(noise=0.5), DeferredExecutor()
    done = []

    def run(number):
        if number >= 30:
            done.append(executor.run())

    fly(flight, MapRefiner(executor), run)
    # At frame 30 several keyframes have waited: one piece of work, then the rest as another one.
    assert done[:2] == [1, 1]
    assert max(done) == 1


def test_a_failed_refinement_is_reported_and_costs_no_pose(make_flight, monkeypatch):
    flight, executor, errors = make_flight(noise=0.5), DeferredExecutor(), []
    expected, _ = fly(flight, MapRefiner())
    refine, calls = LocalMap.refine, []

    def fail_twice(self):
        calls.append(self)
        if len(calls) in (2, 3):
            raise FloatingPointError('singular')
        refine(self)

    monkeypatch.setattr(LocalMap, 'refine', fail_twice)
    poses, odometry = fly(
        flight, MapRefiner(executor, errors.append), lambda number: executor.run()
    )
    assert [str(error) for error in errors] == ['singular', 'singular']
    assert len(calls) > 5
    assert [pose is not None for pose in poses] == [pose is not None for pose in expected]
    assert odometry.restarts == 0
    assert relative_error(flight, poses) < 0.02


def test_a_failed_refinement_within_the_update_raises(make_flight, monkeypatch):
    def fail(self):
        raise FloatingPointError('singular')

    monkeypatch.setattr(LocalMap, 'refine', fail)
    with pytest.raises(FloatingPointError, match='singular'):
        fly(make_flight(), MapRefiner())


def test_the_refinement_of_a_discarded_map_changes_nothing(make_flight):
    flight, executor = make_flight(), DeferredExecutor()
    refiner = MapRefiner(executor)
    _, odometry = fly(flight, refiner)
    assert refiner.wait(0) is False
    odometry.reset()
    assert refiner.wait(0) is True
    assert executor.run() == 0  # cancelled
    assert odometry.update(flight.tracks[0], 100.0) is None


def test_waiting_includes_a_refinement_that_was_discarded_while_it_ran(make_flight, monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def refine(local):
        begun.set()
        may_end.wait(60)

    monkeypatch.setattr(LocalMap, 'refine', refine)
    with ThreadPoolExecutor(1) as executor:
        refiner = MapRefiner(executor)
        _, odometry = fly(make_flight(), refiner)
        assert begun.wait(60)
        odometry.reset()
        assert refiner.wait(0.01) is False
        may_end.set()
        assert refiner.wait(60) is True
