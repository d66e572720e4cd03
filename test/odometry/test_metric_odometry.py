# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Tracks with depths give the odometry its scale: trajectories are in metres from the start."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from superpoint_ros.features import Depths
from superpoint_ros.geometry.trajectory_alignment import align
from superpoint_ros.odometry.tracker import Tracks
from superpoint_ros.odometry.visual_odometry import TRACKING, VisualOdometry


def fly(flight):
    """Return the poses of all frames, None where there is none, and the odometry."""
    odometry = VisualOdometry(flight.camera_model)
    frames = zip(flight.tracks, flight.stamps, strict=True)
    return [odometry.update(*frame) for frame in frames], odometry


def in_first_frame(poses):
    first = np.linalg.inv(poses[0])
    return np.array([first @ pose for pose in poses])


def largest_error(poses, true):
    """Return the largest position error in metres, without any alignment."""
    gaps = in_first_frame(poses)[:, :3, 3] - in_first_frame(true)[:, :3, 3]
    return np.linalg.norm(gaps, axis=1).max()


def test_exact_depths_give_an_exact_metric_trajectory_from_the_first_frame_on(make_flight):
    flight = make_flight(depth_error=1e-4)
    poses, odometry = fly(flight)
    assert all(pose is not None for pose in poses)
    assert odometry.metric
    assert odometry.status == TRACKING
    assert odometry.restarts == 0
    np.testing.assert_array_equal(poses[0], np.eye(4))
    assert largest_error(poses, flight.poses) < 0.01


@pytest.mark.parametrize(
    'options',
    [
        {'noise': 0.5},
        {'noise': 1.0, 'wrong': 0.1},
        {'noise': 1.0, 'plane': True},
        {'noise': 0.5, 'distortion': (-0.28, 0.09, 0.0007, -0.0004)},
    ],
)
def test_metric_odometry_tolerates_noise_and_wrong_depths(make_flight, options):
    # 0.005 at 1 m: a baseline of 0.12 m, 400 px and a quarter of a pixel.
    flight = make_flight(depth_error=0.005, **options)
    poses, odometry = fly(flight)
    assert all(pose is not None for pose in poses)
    assert odometry.restarts == 0
    length = np.linalg.norm(np.diff(flight.poses[:, :3, 3], axis=0), axis=1).sum()
    found, true = np.array(poses)[:, :3, 3], flight.poses[:, :3, 3]
    assert align(found, true).scale == pytest.approx(1, abs=0.02)
    assert largest_error(poses, flight.poses) < 0.04 * length


def test_depths_keep_the_scale_that_drifts_without_them(make_flight):
    t = np.linspace(0, 6 * np.pi, 240)
    poses = np.repeat(np.eye(4)[None], len(t), axis=0)
    poses[:, 0, 3], poses[:, 1, 3] = 3 + 2.5 * np.cos(t), 1.5 * np.sin(t)
    flight = make_flight(poses=poses, noise=1.0, depth_error=0.005)
    found, _ = fly(flight)
    ends = []
    for part in (slice(0, 60), slice(180, 240)):
        estimated = np.array(found[part])[:, :3, 3]
        ends.append(align(estimated, poses[part][:, :3, 3]).scale)
    np.testing.assert_allclose(ends, 1, atol=0.03)


def test_a_still_or_only_rotating_camera_with_depths_has_poses(make_flight):
    poses = np.repeat(np.eye(4)[None], 20, axis=0)
    for index, turn in enumerate(np.linspace(0, 0.8, 20)):
        poses[index, :3, :3], _ = cv2.Rodrigues(np.array([0, turn, 0]))
    flight = make_flight(poses=poses, noise=0.5, depth_error=0.005)
    found, odometry = fly(flight)
    assert all(pose is not None for pose in found)
    assert odometry.restarts == 0
    assert largest_error(found, poses) < 0.1


def test_a_map_without_scale_is_replaced_when_depths_arrive_and_survives_their_loss(make_flight):
    flight = make_flight(noise=0.3, depth_error=0.005)
    for number in (*range(20), *range(40, 60)):
        flight.tracks[number] = replace(flight.tracks[number], depths=None)
    odometry, metric, poses = VisualOdometry(flight.camera_model), [], []
    for frame in zip(flight.tracks, flight.stamps, strict=True):
        poses.append(odometry.update(*frame))
        metric.append(odometry.metric)
    assert metric == [False] * 20 + [True] * 40
    assert odometry.restarts == 1
    assert all(pose is not None for pose in poses[20:])
    assert largest_error(poses[20:], flight.poses[20:]) < 0.1


def test_a_few_depths_do_not_change_the_scale_of_a_map_without(make_flight):
    flight = make_flight(noise=0.3)
    few = []
    for tracks in flight.tracks:
        values = np.full(len(tracks), np.nan)
        values[:5] = 100.0
        few.append(replace(tracks, depths=Depths(values, values / 100)))
    without, _ = fly(flight)
    flight.tracks[:] = few
    with_few, odometry = fly(flight)
    assert not odometry.metric
    for a, b in zip(without, with_few, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_few_depths_do_not_change_the_scale_of_a_map_that_replaces_a_metric_one(make_flight):
    flight = make_flight(noise=0.3, depth_error=0.005)
    results = []
    for count in (0, 30):
        odometry, poses = VisualOdometry(flight.camera_model), []
        for number, (tracks, stamp) in enumerate(zip(flight.tracks, flight.stamps, strict=True)):
            if number >= 20:  # other points, some of which have a wrong depth
                values = np.full(len(tracks), np.nan)
                values[:count] = 2 * tracks.depths.values[:count]
                depths = Depths(values, values / 100)
                tracks = replace(tracks, ids=tracks.ids + 10_000, depths=depths)
            poses.append(odometry.update(tracks, stamp))
        assert odometry.restarts == 1
        assert not odometry.metric
        results.append(poses)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert results[0][-1] is not None


def test_points_of_the_robot_itself_do_not_hold_the_pose_back(make_flight):
    flight = make_flight(noise=0.3, depth_error=0.002)
    rng = np.random.default_rng(0)
    places = rng.uniform([20, 340], [620, 470], (100, 2))  # in the lower part of all images
    for number, tracks in enumerate(flight.tracks):
        depths = tracks.depths
        flight.tracks[number] = Tracks.new(
            np.concatenate([tracks.ids, 1_000_000 + np.arange(100)]),
            np.concatenate([tracks.keypoints, places + rng.normal(0, 0.1, places.shape)]),
            depths=Depths(
                np.concatenate([depths.values, np.full(100, 0.5)]),
                np.concatenate([depths.sigmas, np.full(100, 0.005)]),
            ),
        )
    poses, odometry = fly(flight)
    assert all(pose is not None for pose in poses)
    assert odometry.restarts == 0
    assert largest_error(poses, flight.poses) < 0.03


def test_another_calibration_is_no_turn_of_the_camera(make_flight):
    flight = make_flight([np.eye(4)] * 8, depth_error=1e-4)
    odometry = VisualOdometry(flight.camera_model)
    for number, frame in enumerate(zip(flight.tracks, flight.stamps, strict=True)):
        if number == 4:
            moved = flight.camera_model.matrix + np.array([[0, 0, 10], [0, 0, 0], [0, 0, 0]])
            odometry.change_camera(replace(flight.camera_model, matrix=moved))
        pose = odometry.update(*frame)
    assert odometry.restarts == 1
    np.testing.assert_allclose(pose, np.eye(4), atol=5e-3)
