# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Measurements on rendered pairs follow from depth, pose and visibility."""

import json

import cv2
import numpy as np
import pytest

from superpoint_ros.cli.main import main
from superpoint_ros.data.scenes.correspondences import transfer
from superpoint_ros.data.scenes.pair_cache import PairCache
from superpoint_ros.data.scenes.pairs import PairSettings, RenderedPair
from superpoint_ros.data.scenes.ray_casting import PinholeCamera, RenderedView
from superpoint_ros.evaluation.baselines import Method
from superpoint_ros.evaluation.scenes_benchmark import (
    evaluate_scenes,
    match_views,
    measure_features,
)
from superpoint_ros.features import Features

CAMERA = PinholeCamera(120.0, 160, 120)
STEP = 0.25


def room_pair(occluder=False):
    """Return two views of two walls, one nearer, from places side by side."""
    x = np.mgrid[:120, :160][1]
    depth = np.where(x < 80, 2.0, 4.0).astype(np.float32)
    pose = np.eye(4)
    pose[0, 3] = -STEP
    # The nearer wall's edge moves by 120 * 0.25 / 2 = 15 px.
    moved = np.where(x < 65, 2.0, 4.0).astype(np.float32)
    if occluder:
        moved[:60] = 0.5
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.uniform(0, 255, (120, 160)).astype(np.float32), (0, 0), 2)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return RenderedPair(
        RenderedView(image, depth), RenderedView(image, moved), CAMERA, pose, 'walls'
    )


def perfect_features(pair, count=150):
    """Return features of both views at the same surface points, with the same descriptors."""
    rng = np.random.default_rng(1)
    points = rng.uniform([20, 5], [155, 115], (count, 2))
    places, visible = transfer(points, *pair.depth_views(), pair.pose)
    descriptors = rng.standard_normal((count, 32))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    a, b = (
        Features(at[visible].astype(np.float32), np.ones(visible.sum()), descriptors[visible])
        for at in (points, places)
    )
    return a, b


def measured_features(pair, a, b):
    """Return the measurements of features of both views."""
    found = iter([a, b])
    a, b, _, correct = match_views(Method('', lambda image: next(found)), pair, 500)
    return measure_features(pair, a, b, correct)


def test_perfect_features_reach_one_and_their_pose_is_right():
    pair = room_pair()
    a, b = perfect_features(pair)
    found = iter([a, b])
    result = evaluate_scenes([Method('perfect', lambda image: next(found))], [pair], 500)
    measured = result['methods']['perfect']
    for name in ('repeatability', 'matching_accuracy', 'matching_score'):
        assert measured[name] == pytest.approx(1.0, abs=0.02)
    assert measured['localisation'] == pytest.approx(0.0, abs=0.01)
    assert measured['pose_auc_5'] > 0.9
    assert measured['pairs'] == 1


def test_keypoints_that_the_other_view_does_not_see_do_not_count_as_lost():
    pair = room_pair(occluder=True)
    a, b = perfect_features(pair)
    assert (a.keypoints[:, 1] > 58).all()
    hidden = Features(
        np.concatenate([a.keypoints, [[100.0, 20.0]]]),
        np.ones(len(a) + 1),
        np.concatenate([a.descriptors, a.descriptors[:1] * [-1]]),
    )
    measured = measured_features(pair, hidden, b)
    assert measured['repeatability'] == pytest.approx(1.0, abs=0.02)
    assert measured['matching_score'] == pytest.approx(1.0, abs=0.02)


def test_wrong_matches_lower_accuracy_and_score_but_not_repeatability():
    pair = room_pair()
    a, b = perfect_features(pair)
    half = len(b) // 2
    swapped = np.concatenate([np.roll(b.descriptors[:half], 1, axis=0), b.descriptors[half:]])
    measured = measured_features(pair, a, Features(b.keypoints, b.scores, swapped))
    assert measured['repeatability'] > 0.97
    assert measured['matching_accuracy'] == pytest.approx(0.5, abs=0.06)
    assert measured['matching_score'] == pytest.approx(0.5, abs=0.06)


def test_without_keypoints_everything_is_zero_and_the_pose_is_wrong():
    nothing = Method('nothing', lambda image: Features.empty(32))
    result = evaluate_scenes([nothing], [room_pair()], 100)['methods']['nothing']
    assert (result['repeatability'], result['matching_score'], result['pose_auc_20']) == (0, 0, 0)
    assert result['localisation'] is None


def test_no_pairs_and_no_keypoints_are_refused():
    with pytest.raises(ValueError, match='no rendered pair'):
        evaluate_scenes([], [], 100)
    with pytest.raises(ValueError, match='max_keypoints must lie between 1 and 100000'):
        evaluate_scenes([], [room_pair()], 0)


def turned_pair():
    """Return two views of one wall, the second turned by 180 degrees."""
    view = room_pair().first
    wall = np.full((120, 160), 2.0, np.float32)
    turned = RenderedView(np.ascontiguousarray(view.image[::-1, ::-1]), wall)
    return RenderedPair(
        RenderedView(view.image, wall), turned, CAMERA, np.diag([-1.0, -1.0, 1.0, 1.0]), 'turned'
    )


def test_wide_matching_matches_views_that_are_turned(tmp_path):
    data, out = tmp_path / 'pairs', tmp_path / 'report'
    PairCache(data, PairSettings(160, 120), {}).write(0, turned_pair())
    command = ['evaluate', 'scenes', '--data', str(data), '--out', str(out), '--wide', '--methods']
    assert main([*command, '--device', 'cpu', '--max-keypoints', '200', '--pictures', '1']) == 0
    measured = json.loads((out / 'scenes.json').read_text())['methods']
    assert list(measured) == ['SuperPoint', 'SuperPoint, wide']
    assert measured['SuperPoint']['matching_accuracy'] < 0.5
    assert measured['SuperPoint, wide']['matching_accuracy'] > 0.9
    assert measured['SuperPoint, wide']['matching_score'] > 0.5


def test_the_command_compares_ours_with_baselines(tmp_path, capsys):
    data, out = tmp_path / 'pairs', tmp_path / 'report'
    cache = PairCache(data, PairSettings(160, 120), {})
    cache.write(0, room_pair())
    (data / 'pair_000001.npz').write_bytes(b'PK damaged')
    cache.write(2, room_pair())
    command = ['evaluate', 'scenes', '--data', str(data), '--out', str(out), '--methods', 'sift']
    assert main([*command, '--device', 'cpu', '--max-keypoints', '50', '--pictures', '1']) == 1
    shown = capsys.readouterr()
    assert 'pair_000001.npz is not a rendered pair' in shown.err
    assert '| SuperPoint |' in shown.out
    assert '| SIFT |' in shown.out
    result = json.loads((out / 'scenes.json').read_text())
    named = ['pair_000000.npz', 'pair_000002.npz']
    assert [row['pair'] for row in result['pairs'] if row['method'] == 'SIFT'] == named
    assert result['skipped'] == ['pair_000001.npz']
    assert result['files'] == ['matches_0_walls.png']
    text = (out / 'scenes.md').read_text()
    assert 'Left out, because it cannot be used: pair_000001.npz.\n\n| method |' in text
    assert sorted(path.name for path in out.iterdir()) == [
        'matches_0_walls.png',
        'scenes.json',
        'scenes.md',
    ]
