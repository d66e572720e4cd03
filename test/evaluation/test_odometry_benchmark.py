# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The odometry benchmark: exact features have small errors, random ones large errors."""

from __future__ import annotations

from dataclasses import replace
import json
import logging

import cv2
import numpy as np
import pytest

pytest.importorskip('evo', reason='evo is not installed')
pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from superpoint_ros.data.sequences.bags import BagSequence
from superpoint_ros.data.sequences.sequence import Frame, FrameSequence, SecondCamera
from superpoint_ros.evaluation.baselines import described_method, Method
from superpoint_ros.evaluation.evaluation_plans import OdometryPlan
from superpoint_ros.evaluation.front_ends import KLT, odometry_method
from superpoint_ros.evaluation.odometry_benchmark import evaluate_odometry
from superpoint_ros.evaluation.odometry_report import odometry_markdown, write_odometry_report
from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.poses import pose_matrix
from support.arc_flight import arc_pose, COUNT
from support.moving_picture import layered_picture, shifted_view, SIZE

CAMERA = CameraModel.of_view((640, 480), 70)


class Flight(FrameSequence):
    """Sequence whose images contain only the number of their frame."""

    rate, camera = 10.0, CAMERA

    def __iter__(self):
        for index in range(COUNT):
            image = np.full((480, 640), index, np.uint8)
            yield Frame(image, index / 10, str(index), pose=arc_pose(index))


RNG = np.random.default_rng(3)
WORLD = RNG.uniform((-4, -3, 3), (8, 3, 9), (300, 3))
DESCRIPTORS = RNG.normal(size=(300, 32))
DESCRIPTORS /= np.linalg.norm(DESCRIPTORS, axis=1, keepdims=True)


def perfect(image):
    """Return the exact positions of all visible points."""
    pose = arc_pose(int(image[0, 0]))
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


PERFECT = odometry_method(Method('Perfect', perfect))
RANDOM = odometry_method(Method('Random', random_features))


@pytest.fixture(scope='module')
def measured():
    calls = []
    result, trajectories = evaluate_odometry(
        [PERFECT],
        [('arc', Flight)],
        OdometryPlan(gaps=(2, 5)),
        lambda *_: calls.append(1),
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
        np.linalg.norm(arc_pose(i + 1)[:3, 3] - arc_pose(i)[:3, 3]) for i in range(COUNT - 1)
    )
    assert numbers['position_percent'] < 100 * 0.01 / (0.7 * length)
    assert numbers['track_length'] > 8
    assert numbers['rotation_drift'] < 0.05
    assert numbers['translation_drift'] < 1
    assert numbers['restarts'] == 0
    found = trajectories['arc']
    np.testing.assert_allclose(found.aligned['Perfect'][-1], arc_pose(COUNT - 1)[:3, 3], atol=0.03)
    np.testing.assert_allclose(found.true_positions[7], arc_pose(7)[:3, 3])
    assert found.stamps == [index / 10 for index in range(COUNT)]
    assert found.estimated['Perfect'][0] is None


def test_odometry_benchmark_counts_frames_without_a_pose_as_wrong():
    methods, plan = [RANDOM], OdometryPlan(gaps=(5,), frames=12)
    result, trajectories = evaluate_odometry(methods, [('arc', Flight)], plan)
    numbers = result['sequences']['arc']['Random']
    assert numbers['two_views']['5']['auc_20'] < 0.2
    assert numbers['odometry']['5']['auc_20'] == 0
    assert numbers['odometry']['5']['rotation_median'] == 180
    assert numbers['frames_with_pose'] == 0
    assert numbers['position_rmse'] is None
    assert numbers['rotation_drift'] is None
    assert 'Random' not in trajectories['arc'].aligned
    line = '| Random, odometry | 0.000 | 0.000 | 0.000 | 180.000 | 90.000 | 7 |'
    assert line in odometry_markdown(result).splitlines()


def test_odometry_benchmark_respects_the_numbers_of_keypoints_and_frames():
    plan = OdometryPlan(max_keypoints=60, gaps=(2,), frames=10)
    result, _ = evaluate_odometry([PERFECT], [('arc', Flight)], plan)
    numbers = result['all']['Perfect']
    assert numbers['keypoints'] == 60
    assert numbers['frames'] == 10
    assert numbers['two_views']['2']['pairs'] == 8


def test_odometry_report_has_json_tables_and_a_picture(measured, tmp_path):
    result, trajectories = measured
    files = write_odometry_report(result, trajectories, tmp_path / 'report')
    names = [file.relative_to(tmp_path / 'report').as_posix() for file in files]
    assert names == [
        'odometry.json',
        'odometry.md',
        'trajectories.png',
        'trajectories/arc/ground_truth.txt',
        'trajectories/arc/Perfect.txt',
    ]
    assert json.loads(files[0].read_text())['all']['Perfect']['frames'] == COUNT
    text = odometry_markdown(result)
    assert files[1].read_text() == text
    assert '## arc, 24 frames' in text
    assert 'Pairs 5 frames apart' in text
    picture = cv2.imread(str(files[2]))
    assert min(picture.shape[:2]) > 300
    assert np.ptp(picture) == 255


class Unknown(Flight):
    camera = None


class Still(Flight):
    def __iter__(self):
        for frame in super().__iter__():
            yield replace(frame, pose=np.eye(4))


class Short(Flight):
    """Sequence of one frame."""

    def __iter__(self):
        yield next(super().__iter__())


class Reduced(Flight):
    """Sequence whose last frames are smaller."""

    def __iter__(self):
        noise = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
        for index, frame in enumerate(super().__iter__()):
            yield replace(frame, image=noise if index < 5 else noise[:240, :320].copy())


class EndsEarly(Flight):
    """Sequence whose ground truth begins late and ends early."""

    def __iter__(self):
        for index, frame in enumerate(super().__iter__()):
            yield frame if 2 <= index < 20 else replace(frame, pose=None)


class Disordered(Flight):
    """Sequence of which two frames come late."""

    def __iter__(self):
        frames = list(super().__iter__())
        frames[10], frames[14] = frames[14], frames[10]
        return iter(frames)


class Unreadable(Flight):
    """Sequence without true poses and depth, of which no image can be read."""

    has_truth = has_depth = False

    def __iter__(self):
        raise AssertionError('an image is read')


class UnreadableTruth(Unreadable):
    """Such a sequence with true poses."""

    has_truth = True


def test_odometry_benchmark_names_what_it_cannot_measure():
    plan = OdometryPlan(gaps=(2,))
    stereo = OdometryPlan(gaps=(2,), scale='stereo')
    depth = OdometryPlan(gaps=(2,), frames=5, scale='depth')
    for sequences, settings, words in (
        ([('arc', Unknown)], plan, 'arc: it has no calibration'),
        ([('arc', Still)], plan, 'arc: it has no two frames'),
        ([('arc', Short)], plan, 'it has 1 frame, 1 of them with a true pose'),
        ([], plan, 'no sequences'),
        ([('arc', Flight)], stereo, 'arc: a stereo sequence is needed'),
        ([('arc', Flight)], depth, 'arc: it has no depth images for the scale'),
        ([('arc', Unreadable)], plan, 'arc: it has no true poses'),
        ([('arc', UnreadableTruth)], depth, 'arc: it has no depth images for the scale'),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate_odometry([RANDOM], sequences, settings)
    with pytest.raises(ValueError, match=r'arc: 5: the calibration is for images of \d+x\d+'):
        evaluate_odometry([KLT], [('arc', Reduced)], plan)
    for arguments, words in (
        ({'max_keypoints': 0}, 'max_keypoints must be at least 1, got 0'),
        ({'gaps': (0,)}, 'gaps must be at least 1'),
        ({'gaps': ()}, 'gaps must have at least one value'),
        ({'frames': 5, 'gaps': (5,)}, 'frames must be greater than the largest gap, 5; got 5'),
    ):
        with pytest.raises(ValueError, match=words):
            OdometryPlan(**arguments)


def test_odometry_benchmark_names_the_topics_of_a_bag_that_may_have_the_true_poses(write_bag):
    image = ('/image', 'image', np.zeros((48, 64), np.uint8), 1)
    path = write_bag([image, ('/camera_info', 'info', None, 1), ('/vicon', 'pose', 0.0, 1)])
    words = 'bag: it has no true poses; name their topic with --truth-topic: /vicon'
    with pytest.raises(ValueError, match=words):
        evaluate_odometry([KLT], [('bag', lambda: BagSequence(path))], OdometryPlan(gaps=(2,)))


def test_odometry_benchmark_leaves_out_a_bad_sequence_and_measures_the_others():
    def missing():
        raise FileNotFoundError('there is no image file x.png')

    def unreadable():
        raise ValueError('data/notes.txt is neither an image nor a video')

    plan = OdometryPlan(gaps=(2,), frames=8)
    sequences = [('lost', missing), ('notes.txt', unreadable), ('short', Short), ('arc', Flight)]
    result, trajectories = evaluate_odometry([RANDOM], sequences, plan)
    assert list(result['sequences']) == list(trajectories) == ['arc']
    assert result['skipped']['lost'] == 'lost: there is no image file x.png'
    assert result['skipped']['notes.txt'] == 'data/notes.txt is neither an image nor a video'
    assert result['skipped']['short'].startswith('short: it has no two frames')
    assert 'Left out: lost: there is no image file x.png' in odometry_markdown(result)


def test_odometry_goes_on_where_the_ground_truth_ends(caplog):
    plan = OdometryPlan(gaps=(2,))
    with caplog.at_level(logging.WARNING):
        result, trajectories = evaluate_odometry([PERFECT], [('arc', EndsEarly)], plan)
    numbers = result['sequences']['arc']['Perfect']
    # The first two frames come before the ground truth.
    assert (numbers['frames'], numbers['frames_with_truth']) == (COUNT - 2, 18)
    assert numbers['two_views']['2']['pairs'] == 16
    assert numbers['position_rmse'] < 0.01
    assert trajectories['arc'].estimated['Perfect'][-1] is not None
    assert 'arc: the true pose is missing in 4 of 22 frames' in caplog.text


def test_frames_whose_stamps_go_back_are_left_out(caplog):
    with caplog.at_level(logging.WARNING):
        result, _ = evaluate_odometry([PERFECT], [('arc', Disordered)], OdometryPlan(gaps=(2,)))
    numbers = result['sequences']['arc']['Perfect']
    # Frames 11, 12, 13 and 10 follow frame 14.
    assert numbers['frames'] == COUNT - 4
    assert numbers['position_rmse'] < 0.02
    assert 'arc: left out 4 frames: stamps must ascend' in caplog.text


class Wall(FrameSequence):
    """Stereo sequence with depth of a camera that moves parallel to a wall at 2.5 m."""

    rate = 10.0
    camera = CameraModel('plumb_bob', [[200, 0, 159.5], [0, 200, 119.5], [0, 0, 1]], [], SIZE)
    second_camera = SecondCamera(camera, pose_matrix([0.1, 0, 0], [0, 0, 0, 1]))

    def __iter__(self):
        picture = layered_picture()
        for index in range(14):
            moved = np.array([-2.6 * index, 12 * np.sin(index / 3)])
            # 200 px * 0.1 m / 2.5 m: a disparity of 8 px.
            yield Frame(
                shifted_view(picture, moved),
                index / 10,
                str(index),
                pose=pose_matrix([*(-moved * 2.5 / 200), 0], [0, 0, 0, 1]),
                second=shifted_view(picture, moved - [8, 0]),
                depth=np.full(SIZE[::-1], 2.5, np.float32),
            )


class Hole(Wall):
    """The same with depth images in which nothing was measured."""

    def __iter__(self):
        for frame in super().__iter__():
            yield replace(frame, depth=np.zeros_like(frame.depth))


def test_odometry_benchmark_warns_of_poses_without_the_scale_that_was_asked_for(caplog):
    plan = OdometryPlan(max_keypoints=200, gaps=(2,), scale='depth')
    methods = [odometry_method(described_method('sift', 200))]
    for sequence, is_warned in ((Wall, False), (Hole, True)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            result, _ = evaluate_odometry(methods, [('wall', sequence)], plan)
        share = result['sequences']['wall'][methods[0].name]['frames_with_pose']
        assert share > 0.5
        words = f'wall: {share * 14:.0f} poses of SIFT without metric scale: too few points'
        assert (words in caplog.text) == is_warned


@pytest.mark.parametrize(('scale', 'image'), [('stereo', 'second'), ('depth', 'depth')])
def test_missing_images_for_the_scale_are_counted_and_an_error_if_there_are_none(
    scale, image, caplog
):
    class Lacking(Wall):
        def __iter__(self):
            for frame in super().__iter__():
                yield replace(frame, **{image: None}) if int(frame.name) in lacking else frame

    plan = OdometryPlan(gaps=(2,), scale=scale)
    lacking = {3, 7}
    with caplog.at_level(logging.WARNING):
        evaluate_odometry([PERFECT], [('wall', Lacking)], plan)
    assert f'wall: the {image} image is missing in 2 of 14 frames' in caplog.text
    lacking = range(14)
    with pytest.raises(ValueError, match=f'it has no {image} images for the scale'):
        evaluate_odometry([PERFECT], [('wall', Lacking)], plan)


@pytest.mark.parametrize('scale', ['stereo', 'depth'])
def test_stereo_and_depth_give_a_metric_trajectory(scale):
    methods = [KLT, odometry_method(described_method('sift', 200))]
    plan = OdometryPlan(max_keypoints=200, gaps=(2,), scale=scale)
    result, trajectories = evaluate_odometry(methods, [('wall', Wall)], plan)
    assert result['scale'] == scale
    for method in methods:
        numbers = result['sequences']['wall'][method.name]
        assert numbers['frames_with_pose'] == 1
        # The path is 0.7 m long; the alignment cannot correct a wrong scale.
        assert numbers['position_rmse'] < 0.006
        start, *_, end = trajectories['wall'].estimated[method.name]
        distance = np.linalg.norm(end[:3, 3] - start[:3, 3])
        start, *_, end = trajectories['wall'].truth
        assert distance == pytest.approx(np.linalg.norm(end[:3, 3] - start[:3, 3]), rel=0.03)


def test_trajectories_of_names_that_differ_in_punctuation_have_their_own_files(tmp_path):
    methods = [PERFECT._replace(name=name) for name in ('a b', 'a_b', 'ground_truth', '?')]
    plan = OdometryPlan(gaps=(2,), frames=4)
    result, trajectories = evaluate_odometry(
        methods, [('flight 1', Flight), ('flight_1', Flight)], plan
    )
    write_odometry_report(result, trajectories, tmp_path)
    for folder in ('flight_1', 'flight_1_2'):
        names = sorted(path.stem for path in (tmp_path / 'trajectories' / folder).iterdir())
        assert names == ['a_b', 'a_b_2', 'ground_truth', 'ground_truth_2', 'unnamed']
        truth = (tmp_path / 'trajectories' / folder / 'ground_truth.txt').read_text()
        assert len(truth.splitlines()) == 4
