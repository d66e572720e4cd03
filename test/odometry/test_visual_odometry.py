# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The odometry estimates the camera trajectory, up to scale, from simulated tracks."""

from __future__ import annotations

from dataclasses import replace
import re

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.trajectory_alignment import position_errors
from superpoint_ros.odometry.odometry_settings import OdometrySettings
from superpoint_ros.odometry.visual_odometry import LOST, STARTING, TRACKING, VisualOdometry

SIZE = (640, 480)


def angle(rotation):
    return np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))


def fly(flight, settings=None):
    """Return the numbers of the frames with a pose, their poses, and the odometry."""
    odometry = VisualOdometry(flight.camera_model, settings)
    found = [odometry.update(*frame) for frame in zip(flight.tracks, flight.stamps, strict=True)]
    numbers = [number for number, pose in enumerate(found) if pose is not None]
    return np.array(numbers), np.array([found[number] for number in numbers]), odometry


def rotation_errors(flight, numbers, poses):
    """Return the errors, in degrees, of the rotations since the first frame."""
    true = flight.poses[0][:3, :3].T @ flight.poses[numbers, :3, :3]
    return np.array([angle(a.T @ b) for a, b in zip(true, poses[:, :3, :3], strict=True)])


def relative_error(flight, numbers, poses):
    """Return the largest position error divided by the length of the trajectory."""
    true = flight.poses[numbers, :3, 3]
    length = np.linalg.norm(np.diff(true, axis=0), axis=1).sum()
    return position_errors(poses[:, :3, 3], true).max() / length


def test_odometry_of_exact_tracks_is_exact_in_the_first_keyframes_axes(make_flight):
    flight = make_flight()
    numbers, poses, odometry = fly(flight)
    assert numbers[0] <= 10
    np.testing.assert_array_equal(numbers, np.arange(numbers[0], 60))
    assert odometry.status == TRACKING
    assert odometry.restarts == 0
    assert odometry.inliers > 100
    assert rotation_errors(flight, numbers, poses).max() < 0.01
    # The first keyframe is the world frame: only the scale has to be aligned.
    first = np.linalg.inv(flight.poses[0])
    true = np.array([(first @ pose)[:3, 3] for pose in flight.poses[numbers]])
    scale = np.linalg.norm(true[0])  # the distance to the second keyframe is 1
    np.testing.assert_allclose(poses[:, :3, 3] * scale, true, atol=2e-3)
    assert np.linalg.norm(poses[0, :3, 3]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    'options',
    [
        {'noise': 0.5},
        {'noise': 1.3},
        {'noise': 1.0, 'wrong': 0.1},
        {'noise': 0.5, 'distortion': (-0.28, 0.09, 0.0007, -0.0004)},
        {'noise': 1.0, 'plane': True},
    ],
)
def test_odometry_tolerates_noise_wrong_matches_distortion_and_a_plane(make_flight, options):
    flight = make_flight(**options)
    numbers, poses, odometry = fly(flight)
    assert len(numbers) >= 50
    assert odometry.restarts == 0
    errors = rotation_errors(flight, numbers, poses)
    assert np.median(errors) < 0.5
    assert errors.max() < 1.0
    assert relative_error(flight, numbers, poses) < 0.04


def test_bundle_adjustment_makes_trajectories_more_accurate_on_average(make_flight):
    refined, unrefined = [], []
    for seed in range(1, 6):  # OpenCV's RANSAC differs among versions, and so does one flight
        flight = make_flight(noise=1.0, seed=seed)
        for errors, window in ((refined, 8), (unrefined, 0)):
            settings = OdometrySettings(window=window)
            errors.append(relative_error(flight, *fly(flight, settings=settings)[:2]))
    assert np.mean(refined) < np.mean(unrefined)


def test_odometry_is_reproducible(make_flight):
    flight = make_flight(noise=1.0, wrong=0.1)
    np.testing.assert_array_equal(fly(flight)[1], fly(flight)[1])


def test_odometry_of_a_still_or_only_rotating_camera_has_no_map(make_flight):
    still = np.repeat(np.eye(4)[None], 10, axis=0)
    turning = still.copy()
    for index, turn in enumerate(np.linspace(0, 0.4, 10)):
        turning[index, :3, :3], _ = cv2.Rodrigues(np.array([0, turn, 0]))
    for poses in (still, turning):
        numbers, _, odometry = fly(make_flight(poses=poses, noise=0.5))
        assert len(numbers) == 0
        assert odometry.status == STARTING


def test_odometry_follows_fast_turns_with_a_rolling_shutter(make_flight):
    flight = make_flight(noise=0.2)
    _, _, before = fly(replace(flight, tracks=flight.tracks[:30], stamps=flight.stamps[:30]))
    for number in range(30, 34):  # rows are read while the camera turns
        tracks = flight.tracks[number]
        moved = tracks.keypoints.copy()
        moved[:, 0] += 30 * (moved[:, 1] / SIZE[1] - 0.5)
        flight.tracks[number] = replace(tracks, keypoints=moved)
    numbers, poses, odometry = fly(flight)
    np.testing.assert_array_equal(numbers, np.arange(numbers[0], 60))
    assert odometry.restarts == 0
    assert rotation_errors(flight, numbers, poses).max() < 2.5  # 30 px in 480 rows: 3.6 degrees
    still = (numbers < 30) | (numbers >= 40)
    assert rotation_errors(flight, numbers[still], poses[still]).max() < 0.1
    assert relative_error(flight, numbers[still], poses[still]) < 0.01
    _, _, turning = fly(replace(flight, tracks=flight.tracks[:31], stamps=flight.stamps[:31]))
    sigmas = [np.sqrt(np.trace(each.uncertainty.covariance[:3, :3])) for each in (before, turning)]
    assert sigmas[1] > 1.4 * sigmas[0]


def test_odometry_without_points_is_lost_and_restarts_at_the_last_pose(make_flight):
    flight = make_flight(noise=0.3)
    other = make_flight(noise=0.3, seed=2)  # other points, as in another room
    tracks = flight.tracks[:40]
    tracks += [one.select(np.zeros(len(one), bool)) for one in flight.tracks[40:46]]
    for one in other.tracks[46:]:
        one.ids[:] += 1_000_000
        tracks.append(one)
    odometry = VisualOdometry(flight.camera_model)
    states, poses = [], []
    for frame in zip(tracks, flight.stamps, strict=True):
        poses.append(odometry.update(*frame))
        states.append(odometry.status)
    assert states[39] == TRACKING
    assert states[40:46] == [LOST] * 6
    assert poses[40:46] == [None] * 6
    assert odometry.inliers > 50
    assert odometry.status == TRACKING
    assert odometry.restarts == 1
    assert re.fullmatch(r'no pose in \d+ frames', odometry.restart_reason)
    restart = next(n for n in range(46, 60) if poses[n] is not None)
    # The new trajectory starts at the end of the old one and has about its scale.
    jump = np.linalg.norm(poses[restart][:3, 3] - poses[39][:3, 3])
    old, new = (
        np.linalg.norm(poses[b][:3, 3] - poses[a][:3, 3])
        / np.linalg.norm(flight.poses[b][:3, 3] - flight.poses[a][:3, 3])
        for a, b in ((20, 39), (restart, 59))
    )
    assert jump < 4
    assert 0.5 < new / old < 2


def test_a_map_that_gives_no_pose_is_replaced_at_once(make_flight):
    flight, other = make_flight(noise=0.3), make_flight(noise=0.3, seed=2)
    settings = OdometrySettings(initial_parallax=0.3)
    start = fly(other, settings)[0][0]
    for one in flight.tracks[: start + 1]:
        one.ids[:] += 1_000_000  # its points are never seen again
    numbers, poses, odometry = fly(flight, settings)
    assert odometry.restarts == 1
    assert odometry.restart_reason in ('no pose in 1 frame', 'no pose in 2 frames')
    assert numbers[0] == start
    assert start + 2 <= numbers[1] <= start + 4
    assert relative_error(flight, numbers[1:], poses[1:]) < 0.02


def test_a_map_with_depths_is_kept_although_the_next_frames_give_no_pose(make_flight):
    flight = make_flight(depth_error=0.005)
    for one in flight.tracks[1:4]:
        one.ids[:] += 1_000_000  # other points for three frames
    numbers, poses, odometry = fly(flight)
    np.testing.assert_array_equal(numbers, [0, *range(4, 60)])
    assert odometry.restarts == 0
    assert relative_error(flight, numbers, poses) < 0.02


def test_a_new_map_starts_once_the_old_one_may_be_replaced(make_flight):
    flight = make_flight(noise=0.3)
    for one in flight.tracks[40:]:
        one.ids[:] += 1_000_000
    settings = OdometrySettings(max_lost_frames=5)
    numbers, _, odometry = fly(flight, settings)
    # The views without a pose count: the first of them is one of the two that start the map.
    np.testing.assert_array_equal(numbers, [*range(numbers[0], 40), *range(44, 60)])
    assert odometry.restart_reason == 'no pose in 5 frames'


def test_a_new_map_starts_where_the_last_motion_leads(make_flight):
    flight = make_flight(depth_error=0.005)
    for number, tracks in enumerate(flight.tracks):
        if number >= 30:  # nothing to see, then other points
            chosen = np.full(len(tracks), number >= 45)
            flight.tracks[number] = replace(tracks, ids=tracks.ids + 10_000).select(chosen)
    numbers, poses, odometry = fly(flight)
    np.testing.assert_array_equal(numbers, [*range(30), *range(45, 60)])
    assert odometry.restarts == 1
    true = flight.poses[numbers][29:31]
    expected, found = (np.linalg.inv(a) @ b for a, b in (true, poses[29:31]))
    moved = np.linalg.norm(expected[:3, 3])
    assert moved > 1
    assert np.linalg.norm(found[:3, 3] - expected[:3, 3]) < 0.3 * moved


def test_the_direction_is_known_after_a_turn_in_place_without_a_map(make_flight):
    steps = np.linspace(0, 1, 30)
    turn = 0.95 * (steps + 0.15 * np.sin(4 * np.pi * steps)) * 2 - 0.95  # 109 degrees, unevenly
    yaw = np.concatenate([np.full(20, -0.95), turn, np.full(20, 0.95)])
    way = np.concatenate([np.linspace(0, 1, 20), np.ones(30), np.linspace(1, 2, 20)])
    path = np.tile(np.eye(4), (70, 1, 1))
    path[:, 0, 3] = 3 + way
    for pose, angle_of_frame in zip(path, yaw, strict=True):
        pose[:3, :3] = cv2.Rodrigues(np.array([0, angle_of_frame, 0]))[0]
    flight = make_flight(path, noise=0.3)
    numbers, poses, odometry = fly(flight)
    assert odometry.restarts == 1
    assert not set(range(45, 50)) & set(numbers)
    assert numbers[-1] == 69
    found, true = (np.linalg.inv(each[0]) @ each[-1] for each in (poses, flight.poses[numbers]))
    assert angle(found[:3, :3].T @ true[:3, :3]) < 0.5


def test_odometry_bridges_a_few_frames_without_points(make_flight):
    flight = make_flight(noise=0.3)
    for number in (30, 31, 50):
        flight.tracks[number] = flight.tracks[number].select(np.array([], int))
    numbers, poses, odometry = fly(flight)
    assert not {30, 31, 50} & set(numbers)
    assert odometry.restarts == 0
    assert relative_error(flight, numbers, poses) < 0.02


def test_frames_without_points_do_not_keep_a_map_from_starting(make_flight):
    flight = make_flight()
    for number in range(1, 60, 2):
        flight.tracks[number] = flight.tracks[number].select(np.array([], int))
    numbers, poses, _ = fly(flight)
    np.testing.assert_array_equal(numbers, np.arange(numbers[0], 60, 2))
    assert relative_error(flight, numbers, poses) < 1e-3


def test_odometry_continues_with_its_map_if_the_points_come_back_after_a_long_time(make_flight):
    flight = make_flight(noise=0.3)
    nothing = np.array([], int)
    tracks = [one.select(nothing) if 30 <= n < 50 else one for n, one in enumerate(flight.tracks)]
    flight.tracks[:] = tracks
    numbers, poses, odometry = fly(flight)
    np.testing.assert_array_equal(numbers, [*range(numbers[0], 30), *range(50, 60)])
    assert odometry.restarts == 0
    assert relative_error(flight, numbers, poses) < 0.02


def test_odometry_restarts_the_map_with_new_tracks_or_when_the_clock_goes_back(make_flight):
    flight = make_flight()
    for change in ('tracks', 'clock'):
        _, _, odometry = fly(flight)
        frame = flight.tracks[0]
        if change == 'tracks':
            assert odometry.update(replace(frame, restarted=True), 100.0) is None
            assert odometry.restart_reason == 'all tracks have restarted'
        else:
            assert odometry.update(frame, flight.stamps[-1] - 1) is None
            assert odometry.restart_reason == 'the stamps went back by 1.000 s'
        assert odometry.restarts == 1
        assert odometry.status == LOST
    odometry.reset()
    assert odometry.status == STARTING
    assert len(odometry.points) == 0


def test_odometry_map_stays_small(make_flight):
    flight = make_flight(noise=0.5)
    _, _, odometry = fly(flight)
    assert len(odometry.keyframes) <= 16
    assert 100 < len(odometry.points) < 2000


@pytest.mark.parametrize('kind', ['random', 'one place', 'a line', 'few', 'swapped'])
def test_odometry_survives_degenerate_tracks(make_flight, kind):
    flight = make_flight(poses=smooth_poses(24))
    rng = np.random.default_rng(0)
    for number, tracks in enumerate(flight.tracks):
        if number < 8 and kind in ('few', 'swapped'):
            continue  # these start when there is a map
        points = tracks.keypoints
        if kind == 'random':
            points[:] = rng.uniform(0, 400, points.shape)
        elif kind == 'one place':
            points[:] = 200
        elif kind == 'a line':
            points[:] = rng.uniform(0, 400, (len(points), 1))
        elif kind == 'few':
            flight.tracks[number] = tracks.select(np.arange(number % 7))
        else:
            points[:] = points[::-1].copy()
    _, poses, odometry = fly(flight)
    assert np.isfinite(poses).all()
    assert odometry.status != TRACKING or odometry.inliers >= 20


def smooth_poses(count):
    poses = np.repeat(np.eye(4)[None], count, axis=0)
    poses[:, 0, 3] = np.linspace(0, 2, count)
    return poses
