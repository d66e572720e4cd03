# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The odometry benchmark: exact features have small errors, random ones large errors."""

from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest

pytest.importorskip('evo', reason='evo is not installed')
pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.data.sequences.sequence import Frame, Intrinsics
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.odometry_benchmark import (
    align_trajectory,
    evaluate_odometry,
    odometry_markdown,
    OdometryPlan,
    write_odometry_report,
)
from superpoint_ros.features import Features

COUNT = 24
CAMERA = Intrinsics.of_view((640, 480), 70)


def true_pose(index):
    """Return the pose of a frame of a flight along an arc."""
    result = np.eye(4)
    result[:3, :3], _ = cv2.Rodrigues(np.array([0, np.radians(index), 0]))
    result[:3, 3] = [0.1 * index, 0.02 * np.sin(index / 5), 0.03 * index]
    return result


class Flight:
    """Sequence whose images contain only the number of their frame."""

    rate, camera = 10.0, CAMERA

    def __iter__(self):
        for index in range(COUNT):
            image = np.full((480, 640), index, np.uint8)
            yield Frame(image, index / 10, str(index), pose=true_pose(index))


RNG = np.random.default_rng(3)
WORLD = RNG.uniform((-4, -3, 3), (8, 3, 9), (300, 3))
DESCRIPTORS = RNG.normal(size=(300, 32))
DESCRIPTORS /= np.linalg.norm(DESCRIPTORS, axis=1, keepdims=True)


def perfect(image):
    """Return the exact positions of all visible points."""
    pose = true_pose(int(image[0, 0]))
    seen = (WORLD - pose[:3, 3]) @ pose[:3, :3]
    pixels = seen / seen[:, 2:] @ CAMERA.matrix.T
    inside = (seen[:, 2] > 0.2) & (pixels[:, 0] >= 0) & (pixels[:, 0] < 640)
    inside &= (pixels[:, 1] >= 0) & (pixels[:, 1] < 480)
    chosen = np.flatnonzero(inside)
    return Features(pixels[chosen, :2], np.ones(len(chosen)), DESCRIPTORS[chosen])


def random_features(image):
    """Return random points with random descriptors."""
    rng = np.random.default_rng(int(image[0, 0]))
    descriptors = rng.normal(size=(60, 32))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Features(rng.uniform(0, 480, (60, 2)), np.ones(60), descriptors)


@pytest.fixture(scope='module')
def measured():
    calls = []
    result, trajectories = evaluate_odometry(
        [Method('Perfect', perfect)],
        [('arc', Flight())],
        OdometryPlan(gaps=(2, 5)),
        lambda: calls.append(1),
    )
    assert len(calls) == COUNT
    return result, trajectories


def test_odometry_benchmark_of_exact_features_has_small_errors(measured):
    result, trajectories = measured
    numbers = result['sequences']['arc']['Perfect']
    assert numbers['frames'] == COUNT
    for gap in ('2', '5'):
        assert numbers['two_views'][gap]['auc_5'] > 0.95
        assert numbers['two_views'][gap]['pairs'] == COUNT - int(gap)
    # The first frames have no pose before the map is made.
    assert numbers['odometry']['5']['auc_5'] > 0.7
    assert numbers['odometry']['5']['rotation_median'] < 0.05
    assert numbers['odometry']['5']['direction_median'] < 0.2
    assert numbers['frames_with_pose'] > 0.75
    assert numbers['position_rmse'] < 0.01
    length = sum(
        np.linalg.norm(true_pose(i + 1)[:3, 3] - true_pose(i)[:3, 3]) for i in range(COUNT - 1)
    )
    assert numbers['position_percent'] < 100 * 0.01 / (0.7 * length)
    assert numbers['track_length'] > 8
    np.testing.assert_allclose(
        trajectories['arc']['Perfect'][-1], true_pose(COUNT - 1)[:3, 3], atol=0.03
    )
    np.testing.assert_allclose(trajectories['arc']['truth'][7], true_pose(7)[:3, 3])


def test_odometry_benchmark_counts_frames_without_a_pose_as_wrong():
    methods, plan = [Method('Random', random_features)], OdometryPlan(gaps=(5,), frames=12)
    result, trajectories = evaluate_odometry(methods, [('arc', Flight())], plan)
    numbers = result['sequences']['arc']['Random']
    assert numbers['two_views']['5']['auc_20'] < 0.2
    assert numbers['odometry']['5']['auc_20'] == 0
    assert numbers['odometry']['5']['rotation_median'] == 180
    assert numbers['frames_with_pose'] == 0
    assert numbers['position_rmse'] is None
    assert 'Random' not in trajectories['arc']
    line = '| Random, odometry | 0.000 | 0.000 | 0.000 | 180.000 | 90.000 | 7 |'
    assert line in odometry_markdown(result).splitlines()


def test_odometry_benchmark_respects_the_numbers_of_keypoints_and_frames():
    plan = OdometryPlan(keypoints=60, gaps=(2,), frames=10)
    result, _ = evaluate_odometry([Method('Perfect', perfect)], [('arc', Flight())], plan)
    numbers = result['all']['Perfect']
    assert numbers['keypoints'] == 60
    assert numbers['frames'] == 10
    assert numbers['two_views']['2']['pairs'] == 8


def test_odometry_report_has_json_tables_and_a_picture(measured, tmp_path):
    result, trajectories = measured
    files = write_odometry_report(result, trajectories, tmp_path / 'report')
    assert [file.name for file in files] == ['odometry.json', 'odometry.md', 'trajectories.png']
    assert json.loads(files[0].read_text())['all']['Perfect']['frames'] == COUNT
    text = odometry_markdown(result)
    assert files[1].read_text() == text
    assert '## arc, 24 frames' in text
    assert 'Pairs 5 frames apart' in text
    picture = cv2.imread(str(files[2]))
    assert min(picture.shape[:2]) > 300
    assert np.ptp(picture) == 255


def test_odometry_benchmark_names_what_it_cannot_measure():
    class Unknown(Flight):
        camera = None

    class Still(Flight):
        def __iter__(self):
            for frame in super().__iter__():
                yield Frame(frame.image, frame.stamp, frame.name, pose=np.eye(4))

    methods, plan = [Method('Random', random_features)], OdometryPlan(gaps=(2,))
    with pytest.raises(ValueError, match='arc has no calibration'):
        evaluate_odometry(methods, [('arc', Unknown())], plan)
    with pytest.raises(ValueError, match='arc has no two frames'):
        evaluate_odometry(methods, [('arc', Still())], plan)
    with pytest.raises(ValueError, match='no sequences'):
        evaluate_odometry(methods, [], plan)
    for arguments, words in (
        ({'keypoints': 0}, 'keypoints must be at least 1, got 0'),
        ({'gaps': (0,)}, 'gaps must be at least 1'),
        ({'frames': 5, 'gaps': (5,)}, 'frames must be greater than the largest gap, 5; got 5'),
    ):
        with pytest.raises(ValueError, match=words):
            OdometryPlan(**arguments)


def test_trajectory_is_aligned_by_a_similarity():
    truth = [true_pose(index) for index in range(COUNT)]
    similarity = np.eye(4)
    similarity[:3, :3], _ = cv2.Rodrigues(np.array([0.3, -1.0, 2.0]))
    similarity[:3, 3] = [5, 6, 7]
    estimated = []
    for pose in truth:
        moved = similarity @ pose
        moved[:3, 3] *= 0.25
        estimated.append(moved)
    aligned = align_trajectory(estimated, truth)
    assert aligned.position < 1e-9
    np.testing.assert_allclose(aligned.estimated, [pose[:3, 3] for pose in truth], atol=1e-9)
    # Alternating errors of 0.1 m upwards and downwards: an alignment cannot remove them.
    shaken = [pose.copy() for pose in truth]
    for index, pose in enumerate(shaken):
        pose[1, 3] += 0.1 if index % 2 else -0.1
    aligned = align_trajectory(shaken, truth)
    assert aligned.position == pytest.approx(0.1, rel=0.05)
    length = sum(np.linalg.norm(b[:3, 3] - a[:3, 3]) for a, b in itertools.pairwise(truth))
    assert aligned.percent == pytest.approx(100 * aligned.position / length)
    assert align_trajectory(truth[:2], truth[:2]) is None
    assert align_trajectory([np.eye(4)] * 5, [np.eye(4)] * 5) is None
