# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Errors of trajectories, and their files, which evo reads."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

pytest.importorskip('evo', reason='evo is not installed')

from evo.core import metrics, sync
from evo.tools import file_interface

from superpoint_ros.evaluation.trajectories import align_trajectory, write_trajectory
from support.arc_flight import arc_pose, COUNT

TRUTH = [arc_pose(index) for index in range(COUNT)]
LENGTH = sum(np.linalg.norm(b[:3, 3] - a[:3, 3]) for a, b in itertools.pairwise(TRUTH))


def moved(poses, scale):
    """Return poses after a similarity."""
    similarity = np.eye(4)
    similarity[:3, :3], _ = cv2.Rodrigues(np.array([0.3, -1.0, 2.0]))
    similarity[:3, 3] = [5, 6, 7]
    result = [similarity @ pose for pose in poses]
    for pose in result:
        pose[:3, 3] *= scale
    return result


def test_trajectory_is_aligned_by_a_similarity():
    aligned = align_trajectory(moved(TRUTH, 0.25), TRUTH)
    assert aligned.position_rmse < 1e-9
    np.testing.assert_allclose(aligned.estimated, [pose[:3, 3] for pose in TRUTH], atol=1e-9)
    assert aligned.translation_drift < 1e-6
    assert aligned.rotation_drift < 1e-4
    # Alternating errors of 0.1 m upwards and downwards: an alignment cannot remove them.
    shaken = [pose.copy() for pose in TRUTH]
    for index, pose in enumerate(shaken):
        pose[1, 3] += 0.1 if index % 2 else -0.1
    aligned = align_trajectory(shaken, TRUTH)
    assert aligned.position_rmse == pytest.approx(0.1, rel=0.05)
    assert aligned.position_percent == pytest.approx(100 * aligned.position_rmse / LENGTH)
    assert align_trajectory(TRUTH[:2], TRUTH[:2]) is None
    assert align_trajectory([np.eye(4)] * 5, [np.eye(4)] * 5) is None


def test_a_wrong_scale_is_an_error_if_the_scale_is_known():
    aligned = align_trajectory(moved(TRUTH, 1.0), TRUTH, scale=False)
    assert aligned.position_rmse < 1e-9
    aligned = align_trajectory(moved(TRUTH, 1.1), TRUTH, scale=False)
    assert aligned.translation_drift == pytest.approx(10, rel=0.01)


def test_drift_of_the_rotation_is_in_degrees_per_metre():
    # The estimate turns by 2 degrees per metre of path in addition, about the vertical.
    drifting, gone = [], 0.0
    for before, pose in zip([TRUTH[0], *TRUTH], TRUTH, strict=False):
        gone += np.linalg.norm(pose[:3, 3] - before[:3, 3])
        turn = np.eye(4)
        turn[:3, :3], _ = cv2.Rodrigues(np.array([0, np.radians(2 * gone), 0]))
        drifting.append(pose @ turn)
    aligned = align_trajectory(drifting, TRUTH)
    assert aligned.rotation_drift == pytest.approx(2, rel=0.01)
    assert aligned.position_rmse < 1e-9


def test_a_path_without_segments_has_position_errors_but_no_drift():
    # No two frames are 10 to 50 % of the path apart.
    poses = [np.eye(4) for _ in range(3)]
    for pose, position in zip(poses, ([0, 0, 0], [10, 0, 0], [10, 0.1, 0]), strict=True):
        pose[:3, 3] = position
    aligned = align_trajectory(poses, poses)
    assert aligned.position_rmse < 1e-9
    assert (aligned.translation_drift, aligned.rotation_drift) == (None, None)


def test_trajectory_files_are_read_by_evo_with_the_same_error(tmp_path):
    stamps = [1_600_000_000 + index / 20 for index in range(COUNT)]
    rng = np.random.default_rng(0)
    estimated = moved(TRUTH, 0.5)
    for pose in estimated:
        pose[:3, 3] += rng.normal(0, 0.01, 3)
    write_trajectory(tmp_path / 'true.txt', stamps, TRUTH)
    write_trajectory(tmp_path / 'mine.txt', stamps, [None, None, *estimated[2:]])
    read = [
        file_interface.read_tum_trajectory_file(str(tmp_path / name))
        for name in ('true.txt', 'mine.txt')
    ]
    assert read[1].num_poses == COUNT - 2
    np.testing.assert_allclose(read[0].poses_se3[5], TRUTH[5], atol=1e-8)
    true, mine = sync.associate_trajectories(*read)
    assert mine.num_poses == COUNT - 2
    mine.align(true, correct_scale=True)
    error = metrics.APE(metrics.PoseRelation.translation_part)
    error.process_data((true, mine))
    ours = align_trajectory(estimated[2:], TRUTH[2:]).position_rmse
    assert error.get_statistic(metrics.StatisticsType.rmse) == pytest.approx(ours, rel=1e-5)


def test_a_trajectory_without_poses_is_an_empty_file(tmp_path):
    write_trajectory(tmp_path / 'deep' / 'none.txt', [0.0, 0.1], [None, None])
    assert (tmp_path / 'deep' / 'none.txt').read_text() == ''
