# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The pose that is expected while none is found."""

import numpy as np
import pytest

from superpoint_ros.geometry.poses import make_pose
from superpoint_ros.odometry.camera_motion import CameraMotion, LONGEST_COAST


def turn_and_step(turns: float) -> np.ndarray:
    """Return a motion about and along z: `turns` times 0.1 radians and 2 metres."""
    cosine, sine = np.cos(0.1 * turns), np.sin(0.1 * turns)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return make_pose(rotation, np.array([0, 0, 2 * turns]))


def test_the_next_pose_repeats_the_motion():
    motion = CameraMotion(turn_and_step(1), 0.1)
    np.testing.assert_allclose(motion.next_pose(turn_and_step(3)), turn_and_step(4), atol=1e-12)


def test_a_camera_coasts_in_proportion_to_the_time_and_then_stands_still():
    motion, pose = CameraMotion(turn_and_step(1), 0.1), turn_and_step(0)
    for seconds, expected in ((0.1, 1), (0.35, 4.5), (10, 20), (0.1, 20)):
        pose = motion.coast(pose, seconds)
        assert expected <= LONGEST_COAST / 0.1
        np.testing.assert_allclose(pose, turn_and_step(expected), atol=1e-12)


@pytest.mark.parametrize('motion', [CameraMotion(), CameraMotion(turn_and_step(1), 0.0)])
def test_an_unknown_motion_and_one_without_stamps_lead_nowhere(motion):
    np.testing.assert_array_equal(motion.coast(turn_and_step(2), 0.1), turn_and_step(2))
