# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Detector, tracker and odometry together estimate a trajectory in the simulated room."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros import Detector
from superpoint_ros.geometry.trajectory_alignment import position_errors
from superpoint_ros.odometry.tracker import Tracker
from superpoint_ros.odometry.visual_odometry import TRACKING, VisualOdometry
from superpoint_ros.resources import demo_photographs
from superpoint_ros.simulation.room import SimulatedRoom


@pytest.mark.timeout(300)
def test_odometry_follows_a_flight_through_the_room_to_a_few_percent():
    room = SimulatedRoom(demo_photographs(), seed=0, rate=8.0, count=32, noise=2.0)
    detector = Detector.from_weights(device='cpu', max_keypoints=500)
    tracker, odometry = Tracker(), VisualOdometry(room.camera)
    found, true = [], []
    for frame in room:
        pose = odometry.update(tracker.update(detector(frame.image), frame.stamp), frame.stamp)
        if pose is not None:
            found.append(pose)
            true.append(frame.pose)
    assert len(found) >= 20
    assert odometry.status == TRACKING
    assert odometry.restarts == 0
    found, true = np.array(found), np.array(true)
    length = np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=1).sum()
    assert position_errors(found[:, :3, 3], true[:, :3, 3]).max() < 0.05 * length
    rotations = [np.linalg.inv(poses[0])[:3, :3] @ poses[-1][:3, :3] for poses in (found, true)]
    error = np.degrees(
        np.arccos(np.clip((np.trace(rotations[0].T @ rotations[1]) - 1) / 2, -1, 1))
    )
    assert error < 2.0
