# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Covariances of refined tracks describe their errors, and make trajectories more accurate."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from superpoint_ros import Detector
from superpoint_ros.data.scenes.correspondences import depth_at
from superpoint_ros.geometry.poses import invert
from superpoint_ros.geometry.projection import project
from superpoint_ros.odometry.pose_refinement import refine_pose
from superpoint_ros.odometry.reprojection_errors import measurement_rows
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.odometry.visual_odometry import VisualOdometry
from superpoint_ros.resources import demo_photographs
from superpoint_ros.simulation.room import SimulatedRoom

_OUTLIER = 13.8  # of a chi-square distribution with two degrees of freedom, 0.1 % are larger


@pytest.mark.timeout(300)
def test_normalised_errors_of_refined_tracks_follow_the_chi_square_distribution():
    room = SimulatedRoom(demo_photographs(), seed=3, rate=10.0, count=13, noise=2.0)
    camera, detector, tracker = (
        room.camera,
        Detector.from_weights(device='cpu', max_keypoints=500),
        Tracker(),
    )
    frames, squares, ages = list(room), [], []
    depth = room.render(frames[0].pose).depth
    for number, frame in enumerate(frames):
        tracks = tracker.update(detector(frame.image), frame.stamp, None, frame.image)
        if number == 0:
            first = tracks
            depths = depth_at(depth, first.keypoints)
            local = np.c_[camera.normalize(first.keypoints), np.ones(len(first))] * depths[:, None]
            world = local @ frame.pose[:3, :3].T + frame.pose[:3, 3]
            chosen = [
                is_flat(depth, point) and has_patch(depth, point) for point in first.keypoints
            ]
            continue
        seen, _ = project(invert(frame.pose), world)
        true = pixels_of(seen, camera)
        _, now, before = np.intersect1d(tracks.ids, first.ids[chosen], return_indices=True)
        errors = tracks.keypoints[now] - true[chosen][before]
        inverse = np.linalg.inv(tracks.covariances[now].astype(float))
        squares.append(np.einsum('ni,nij,nj->n', errors, inverse, errors))
        ages.append(np.full(len(errors), number))
    squares, ages = np.concatenate(squares), np.concatenate(ages)
    # Of the distribution: median 1.39, 90 % below 4.6, 95 % below 6.0, 0.1 % outliers.
    for youngest, oldest in ((1, 4), (5, 8), (9, 12)):
        some = squares[(ages >= youngest) & (ages <= oldest)]
        assert len(some) > 600
        assert 0.8 < np.median(some) < 1.6
        assert 3.5 < np.percentile(some, 90) < 5.8  # renewed patches add errors
        assert 4.5 < np.percentile(some, 95) < 8
        assert (some > _OUTLIER).mean() < 0.02


def pixels_of(seen, camera):
    """Return the pixels (N, 2) of normalised points (N, 2)."""
    rays = np.c_[seen, np.ones(len(seen))]
    still, lens = np.zeros(3), np.asarray(camera.distortion, float)
    return cv2.projectPoints(rays, still, still, camera.matrix, lens)[0][:, 0]


def is_flat(depth, point, reach=7):
    """Return whether a patch is on one surface: others see different parts of the scene."""
    x, y = np.rint(point).astype(int)
    part = depth[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
    return part.max() < 1.08 * part.min()


def has_patch(depth, point, reach=9):
    """Return whether a patch around a point is in the image."""
    size = np.array(depth.shape[::-1])
    return ((point > reach) & (point < size - reach)).all()


def test_a_pose_of_weighted_points_follows_the_precise_ones():
    rng, errors = np.random.default_rng(0), []
    for _ in range(10):
        points = rng.uniform([-2, -2, 4], [2, 2, 8], (200, 3))
        sigmas = np.where(np.arange(200) < 40, 0.0002, 0.002)
        seen = project(np.eye(4), points)[0] + rng.normal(0, 1, (200, 2)) * sigmas[:, None]
        rows = (measurement_rows(seen, weights=each) for each in (None, 0.002 / sigmas))
        plain, weighted = (refine_pose(np.eye(4), points, each, 0.006) for each in rows)
        errors.append([np.linalg.norm(pose[:3, 3]) for pose in (plain, weighted)])
    without, with_weights = np.mean(errors, axis=0)
    assert with_weights < 0.4 * without


def test_odometry_with_covariances_is_more_accurate_and_accepts_unknown_ones(make_flight):
    flight = make_flight(noise=0.0)
    rng = np.random.default_rng(5)
    sums = {}
    for name in ('none', 'known', 'unknown'):
        odometry, errors = VisualOdometry(flight.camera_model), []
        rng = np.random.default_rng(5)
        for tracks, stamp, true in zip(flight.tracks, flight.stamps, flight.poses, strict=True):
            sigmas = np.where(tracks.ids % 3 == 0, 0.05, 0.6)
            moved = tracks.keypoints + rng.normal(0, 1, (len(tracks), 2)) * sigmas[:, None]
            covariances = sigmas[:, None, None] ** 2 * np.eye(2)
            if name == 'unknown':
                covariances[:] = np.nan
            tracks = replace(
                tracks,
                keypoints=moved.astype(np.float32),
                covariances=None if name == 'none' else covariances.astype(np.float32),
            )
            pose = odometry.update(tracks, stamp)
            if pose is not None:
                angle = cv2.Rodrigues(pose[:3, :3].T @ true[:3, :3])[0]
                errors.append(np.linalg.norm(angle))
        assert len(errors) > 50
        sums[name] = np.mean(errors)
    assert sums['known'] < 0.7 * sums['none']
    assert sums['unknown'] == pytest.approx(sums['none'])
