# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Simulated flights past points: ground truth and exact tracks, without images."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from superpoint_ros.features import Depths
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.odometry.tracker import Tracks

SIZE = (640, 480)

# A conftest.py that skips would skip the whole run with pytest 7.
collect_ignore = [] if find_spec('rclpy') else ['nodes']


@dataclass
class Flight:
    """Poses, camera-to-world (K, 4, 4), stamps (K) and the tracks of each frame."""

    camera_model: CameraModel
    poses: np.ndarray
    stamps: np.ndarray
    tracks: list[Tracks]


def make_pose(rotation, position):
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.asarray(rotation, float))[0]
    pose[:3, 3] = position
    return pose


def smooth_trajectory(count, length=4.0, turn=0.5):
    """Return poses of a camera that moves sideways and forward on a curve and rotates slowly."""
    poses = []
    for s in np.linspace(0, 1, count):
        position = [length * s, 0.4 * np.sin(5 * s), 0.5 * length * s**2]
        poses.append(make_pose([0.1 * np.sin(4 * s), -turn * s, 0.05 * np.sin(7 * s)], position))
    return np.array(poses)


def measured(depths, error, rng):
    """Return depths with errors as of a stereo camera: `error` is that at 1 m, in metres."""
    sigmas = error * depths**2
    return Depths(1 / (1 / depths + rng.normal(0, error, len(depths))), sigmas)


@pytest.fixture
def make_flight():
    """
    Return a function that makes a flight past random points, or past points of one plane.

    With `depth_error`, the tracks have depths, of which a share of `wrong` is wrong.
    """

    def make(
        poses=None, noise=0.0, wrong=0.0, distortion=(), plane=False, seed=1, depth_error=None
    ):
        poses = smooth_trajectory(60) if poses is None else poses
        rng = np.random.default_rng(seed)
        world = rng.uniform([-6, -5, 3], [14, 5, 10], (4000, 3))
        if plane:
            world[:, 2] = 5 + 0.2 * world[:, 0]
        K = np.array([[400.0, 0, 319.5], [0, 400.0, 239.5], [0, 0, 1]])
        model = CameraModel('plumb_bob', K, np.array(distortion, float), SIZE)
        frames = []
        for pose in poses:
            local = (world - pose[:3, 3]) @ pose[:3, :3]
            ahead = np.flatnonzero(local[:, 2] > 0.3)
            still = np.zeros(3)
            lens = np.array(distortion or (0, 0, 0, 0), float)
            pixels = cv2.projectPoints(local[ahead], still, still, K, lens)[0][:, 0]
            inside = ((pixels > 0) & (pixels < np.array(SIZE) - 1)).all(axis=1)
            ids, pixels = ahead[inside], pixels[inside]
            chosen = ids % 10 < 2  # about 300 points per frame
            ids, pixels = ids[chosen], pixels[chosen]
            pixels = pixels + rng.normal(0, noise, pixels.shape) if noise else pixels
            bad = rng.random(len(ids)) < wrong
            pixels[bad] = rng.uniform(0, SIZE, (bad.sum(), 2))
            depths = None
            if depth_error is not None:
                true = local[ids, 2]
                true[rng.random(len(ids)) < wrong] *= 0.6
                depths = measured(true, depth_error, rng)
            frames.append(Tracks.new(ids, pixels, depths=depths))
        stamps = np.arange(len(poses)) / 20
        return Flight(model, poses, stamps, frames)

    return make
