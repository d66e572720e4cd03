# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Features may have depths, which stay with their keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.features import Depths, Features
from superpoint_ros.odometry.tracker import Tracker


def features_with_depths():
    depths = Depths([2.0, np.nan, 4.0], [0.1, 0.1, 0.2])
    return Features([[1, 2], [3, 4], [5, 6]], [0.9, 0.5, 0.1], np.eye(3), depths)


def test_depths_that_are_no_lengths_are_unknown():
    values = [1, 0, -1, np.inf, np.nan, 2, 3, 4]
    sigmas = [0.1, 0.1, 0.1, 0.1, 0.1, 0, np.nan, np.inf]
    depths = Depths(values, sigmas)
    np.testing.assert_array_equal(depths.known, [True] + [False] * 7)
    np.testing.assert_array_equal(depths.values, [1] + [np.nan] * 7)
    np.testing.assert_array_equal(depths.sigmas, np.float32([0.1] + [np.nan] * 7))
    assert not Depths.unknown(3).known.any()


def test_features_are_saved_and_loaded_with_and_without_depths(tmp_path):
    features = features_with_depths()
    features.save(tmp_path / 'with.npz')
    loaded = Features.load(tmp_path / 'with.npz')
    np.testing.assert_array_equal(loaded.depths.values, features.depths.values)
    np.testing.assert_array_equal(loaded.depths.sigmas, features.depths.sigmas)
    Features(*(getattr(features, name) for name in ('keypoints', 'scores', 'descriptors'))).save(
        tmp_path / 'without.npz'
    )
    assert Features.load(tmp_path / 'without.npz').depths is None


def test_features_that_do_not_fit_together_are_refused(tmp_path):
    for shapes in (((2, 2), 3, (3, 4)), ((3, 3), 3, (3, 4)), ((3, 2), 3, (2, 4)), ((3, 2), 3, 3)):
        with pytest.raises(ValueError, match=r'features need keypoints \(N, 2\), scores \(N,\)'):
            Features(*map(np.zeros, shapes))
    arrays = {
        'keypoints': np.zeros((2, 2)),
        'scores': np.zeros(3),
        'descriptors': np.zeros((3, 4)),
    }
    np.savez(tmp_path / 'other.npz', **arrays)
    with pytest.raises(ValueError, match=r'other\.npz has no features: features need keypoints'):
        Features.load(tmp_path / 'other.npz')


def test_printed_features_depths_and_tracks_are_one_short_line():
    features = features_with_depths()
    assert repr(features) == 'Features(3 keypoints, descriptor size 3, Depths(2 of 3 known))'
    assert repr(Features.empty(64)) == 'Features(0 keypoints, descriptor size 64)'
    tracker = Tracker()
    assert repr(tracker.update(features.best(1), 0.0)) == 'Tracks(1 track, 0 seen before)'
    assert repr(tracker.update(features, 0.1)) == 'Tracks(3 tracks, 1 seen before)'


def test_the_best_features_keep_their_depths():
    best = features_with_depths().best(2)
    assert len(best) == len(best.depths) == 2
    np.testing.assert_array_equal(best.depths.values, [2, np.nan])


def test_a_track_without_a_keypoint_has_no_depth():
    depths = features_with_depths().depths_at(np.array([2, -1, 0]))
    np.testing.assert_array_equal(depths.values, [4, np.nan, 2])
    assert Features.empty(3).depths_at(np.array([-1])) is None


def test_depths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='a depth for each keypoint: got 2 for 3'):
        Features(np.zeros((3, 2)), np.zeros(3), np.eye(3), Depths.unknown(2))
    with pytest.raises(ValueError, match=r'of one N; got \(2,\) and \(3,\)'):
        Depths([1, 2], [1, 2, 3])


def test_the_tracker_passes_depths_on_with_their_tracks():
    features = features_with_depths()
    tracker = Tracker()
    tracker.update(features, 0.0)
    order = [2, 0, 1]
    depths = features.depths.select(np.array(order))
    later = Features(
        features.keypoints[order], features.scores, features.descriptors[order], depths
    )
    tracks = tracker.update(later, 0.1)
    np.testing.assert_array_equal(tracks.ids, [0, 1, 2])
    np.testing.assert_array_equal(tracks.depths.values, [2, np.nan, 4])
    np.testing.assert_array_equal(tracks.select(tracks.ids > 0).depths.values, [np.nan, 4])
    assert tracker.update(Features(later.keypoints, later.scores, np.eye(3)), 0.2).depths is None
