# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tracker keeps the id of a point while it is seen, and never uses an id twice."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.features import Features
from superpoint_ros.odometry.tracker import Tracker, TrackerSettings

SIZE = np.array([640, 480])


class Scene:
    """Points that move together over the image, with one descriptor each."""

    def __init__(self, count=80, seed=1, noise=0.0):
        self.rng = np.random.default_rng(seed)
        self.places = self.rng.uniform([60, 60], SIZE - 60, (count, 2))
        self.descriptors = self.rng.normal(size=(count, 32))
        self.noise = noise

    def repeat(self, count, offset):
        """Add points that look like the first ones, moved by an offset."""
        self.places = np.concatenate([self.places, self.places[:count] + offset])
        self.descriptors = np.concatenate([self.descriptors, self.descriptors[:count]])

    def at(self, shift, seen=None):
        """Return the features of the points `seen` (default: all), shuffled, and their order."""
        seen = np.arange(len(self.places)) if seen is None else np.asarray(seen)
        order = self.rng.permutation(seen)
        found = self.descriptors[order] + self.rng.normal(0, self.noise, (len(order), 32))
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        scores = np.linspace(1, 0.1, len(order))
        return Features(self.places[order] + shift, scores, found), order


def names(tracks, order):
    """Return the id of each point of the scene that is tracked."""
    return {int(order[index]): int(i) for index, i in zip(tracks.indices, tracks.ids, strict=True)}


def test_track_keeps_its_id_while_it_moves_and_its_age_counts_frames():
    scene, tracker, first = Scene(noise=0.05), Tracker(), None
    for number in range(8):
        features, order = scene.at((3 * number, -2 * number))
        tracks = tracker.update(features, number / 20)
        np.testing.assert_array_equal(tracks.keypoints, features.keypoints[tracks.indices])
        now = names(tracks, order)
        first = first or now
        assert now == first
        assert (tracks.ages == number + 1).all()
        assert (np.diff(tracks.ids) > 0).all()
    assert len(first) == 80


def test_track_velocities_come_from_the_stamps_and_survive_a_dropped_frame():
    scene, tracker = Scene(), Tracker()
    new = tracker.update(scene.at((0, 0))[0], 5.0)
    assert np.isnan(new.previous).all()
    assert np.isnan(new.intervals).all()
    assert (new.velocities == 0).all()
    # A frame at 20 Hz, then a dropped one: twice the distance in twice the time.
    for shift, stamp in (((4, -1), 5.05), ((12, -3), 5.15)):
        tracks = tracker.update(scene.at(shift)[0], stamp)
        np.testing.assert_allclose(tracks.velocities, np.full((80, 2), (80, -20)), rtol=1e-3)
    np.testing.assert_allclose(tracks.intervals, 0.1)
    np.testing.assert_allclose(tracks.keypoints - tracks.previous, [[8, -2]] * 80, atol=1e-3)


def test_tracks_that_were_lost_are_found_again_with_their_ids():
    scene, tracker = Scene(), Tracker(TrackerSettings(max_lost_frames=3))
    features, order = scene.at((0, 0))
    first = names(tracker.update(features, 0.0), order)
    half = np.arange(40)
    for number in (1, 2, 3):
        features, order = scene.at((2 * number, 0), half)
        tracks = tracker.update(features, number / 10)
        assert len(tracks) == 40
    features, order = scene.at((8, 0))
    tracks = tracker.update(features, 0.4)
    assert names(tracks, order) == first
    found = np.isin(tracks.ids, [first[point] for point in range(40, 80)])
    assert (tracks.ages[found] == 2).all()
    np.testing.assert_allclose(tracks.intervals[found], 0.4)
    np.testing.assert_allclose(tracks.velocities, [[20, 0]] * 80, atol=1e-3)


def test_tracks_lost_for_longer_than_max_lost_frames_come_back_with_new_ids():
    scene, tracker = Scene(), Tracker(TrackerSettings(max_lost_frames=2))
    features, order = scene.at((0, 0))
    first = names(tracker.update(features, 0.0), order)
    for number in (1, 2, 3):
        tracker.update(scene.at((0, 0), range(40))[0], number / 10)
    features, order = scene.at((0, 0))
    now = names(tracker.update(features, 0.4), order)
    assert {point: now[point] for point in range(40)} == {p: first[p] for p in range(40)}
    assert not {now[point] for point in range(40, 80)} & set(first.values())


def test_tracks_survive_a_frame_without_keypoints():
    scene, tracker = Scene(), Tracker()
    features, order = scene.at((0, 0))
    first = names(tracker.update(features, 0.0), order)
    tracks = tracker.update(Features.empty(32), 0.1)
    assert len(tracks) == 0
    assert tracks.velocities.shape == (0, 2)
    assert not tracks.restarted
    features, order = scene.at((6, 2))
    assert names(tracker.update(features, 0.2), order) == first


def test_tracker_follows_a_single_keypoint():
    scene, tracker = Scene(1), Tracker()
    for number in range(3):
        tracks = tracker.update(scene.at((number, 0))[0], number / 10)
        assert tracks.ids.tolist() == [0]


def test_tracker_rejects_matches_that_do_not_fit_the_homography():
    turn = np.array([[0.999, 0.04], [-0.04, 0.999]])
    for check, accepted in (('none', True), ('homography', False)):
        scene = Scene(100)
        moved = (scene.places - SIZE / 2) @ turn + SIZE / 2
        assert bool(accepted_outliers(scene, moved, check)) == accepted


def test_tracker_rejects_matches_that_do_not_fit_the_fundamental_matrix():
    for check, accepted in (('none', 10), ('fundamental', 2)):
        scene = Scene(100)
        depths = scene.rng.uniform(2, 8, (100, 1))
        directions = (scene.places - SIZE / 2) / 400
        moved = 400 * (directions * depths + [0.15, 0.05]) / (depths - 0.2) + SIZE / 2
        # One or two of the wrong matches may lie on their epipolar lines.
        assert len(accepted_outliers(scene, moved, check)) <= accepted
        assert check != 'none' or len(accepted_outliers(scene, moved, check)) == 10


def accepted_outliers(scene, moved, check):
    """Return which of ten points with a different motion keep their ids; all others must."""
    moved = moved.copy()
    moved[:10] += scene.rng.choice([-25, 25], (10, 2))
    tracker = Tracker(TrackerSettings(geometric_check=check, max_motion=0.0))
    features, order = scene.at((0, 0))
    first = names(tracker.update(features, 0.0), order)
    features, order = scene.at((0, 0))
    seen = Features(moved[order], features.scores, features.descriptors)
    now = names(tracker.update(seen, 0.05), order)
    same = {point for point in now if now[point] == first[point]}
    assert same >= set(range(10, 100))
    return same & set(range(10))


def test_tracker_rejects_matches_farther_away_than_max_motion():
    scene = Scene()
    for limit, same in ((30.0, True), (10.0, False), (0.0, True)):
        settings = TrackerSettings(max_motion=limit, max_jump=0.0, geometric_check='none')
        tracker = Tracker(settings)
        first = tracker.update(scene.at((0, 0))[0], 0.0)
        tracks = tracker.update(scene.at((20, 0))[0], 0.1)
        kept = np.isin(tracks.ids, first.ids).mean()
        assert kept == 1.0 if same else kept < 0.2, limit


@pytest.mark.parametrize(('limit', 'same'), [(1000.0, True), (100.0, False), (0.0, False)])
def test_tracker_finds_tracks_after_a_sudden_turn_up_to_max_jump(limit, same):
    scene, tracker = Scene(noise=0.02), Tracker(TrackerSettings(max_jump=limit))
    first = tracker.update(scene.at((0, 0))[0], 0.0)
    tracks = tracker.update(scene.at((120, 10))[0], 0.1)
    kept = np.isin(tracks.ids, first.ids).mean()
    assert kept > 0.9 if same else kept < 0.2


def test_the_first_motion_may_be_large_although_other_points_look_alike_nearby():
    scene, tracker = Scene(count=100, noise=0.02), Tracker()
    first, order = scene.at((0, 0))
    ids = names(tracker.update(first, 0.0), order)
    # Points that were out of sight come to where some of the others were.
    scene.repeat(30, (-80, 0))
    second, order = scene.at((90, 0))
    now = names(tracker.update(second, 0.1), order)
    assert all(now[point] == ids[point] for point in range(30, 100))


def test_a_doubled_frame_does_not_lead_to_points_that_look_alike():
    scene, tracker = Scene(count=100, noise=0.02), Tracker()
    for number, shift in enumerate((0, 40, 80, 80)):  # the velocities are 0 at the end
        features, order = scene.at((shift, 0))
        ids = names(tracker.update(features, 0.1 * number), order)
    scene.repeat(30, (-80, 0))
    features, order = scene.at((170, 0))
    now = names(tracker.update(features, 0.4), order)
    assert all(now[point] == ids[point] for point in range(30, 100))


def test_tracker_does_not_search_the_image_for_tracks_that_are_out_of_sight():
    scene, tracker = Scene(count=200), Tracker()
    first = tracker.update(scene.at((0, 0), np.arange(100))[0], 0.0)
    tracks = tracker.update(scene.at((0, 0), np.arange(90, 200))[0], 0.1)
    assert np.isin(first.ids, tracks.ids).sum() == 10
    scene.places[100:110] += 200  # fewer than a geometric model needs
    later = tracker.update(scene.at((0, 0), np.arange(100, 110))[0], 0.2)
    assert not np.isin(later.ids, tracks.ids).any()


def test_new_tracks_are_expected_to_move_like_the_others():
    scene = Scene()
    tracker = Tracker(TrackerSettings(max_motion=50.0, max_jump=0.0))
    tracker.update(scene.at((0, 0), np.arange(40))[0], 0.0)
    tracks = tracker.update(scene.at((40, 0))[0], 0.1)  # half of the tracks are new
    assert (tracks.velocities[tracks.ages == 1] == 0).all()
    later = tracker.update(scene.at((120, 0))[0], 0.2)
    np.testing.assert_array_equal(later.ids, tracks.ids)


@pytest.mark.parametrize(
    ('missed', 'shift', 'same'), [(1, 50, True), (0, 50, False), (4, 80, True)]
)
def test_max_motion_grows_with_the_frames_that_tracks_were_lost_up_to_three_times(
    missed, shift, same
):
    scene = Scene()
    settings = TrackerSettings(max_motion=30.0, max_jump=0.0, geometric_check='none')
    tracker = Tracker(settings)
    first = tracker.update(scene.at((0, 0))[0], 0.0)
    for number in range(missed):
        tracker.update(Features.empty(32), 0.1 * (number + 1))
    tracks = tracker.update(scene.at((shift, 0))[0], 0.1 * (missed + 1))
    kept = np.isin(tracks.ids, first.ids).mean()
    assert kept == 1.0 if same else kept < 0.2


def test_tracker_measures_motion_from_the_position_predicted_by_the_velocity():
    scene, tracker = Scene(), Tracker(TrackerSettings(max_motion=10.0, geometric_check='none'))
    ids = tracker.update(scene.at((0, 0))[0], 0.0).ids
    for number, shift in enumerate((8, 24, 46, 74), start=1):  # faster and faster
        tracks = tracker.update(scene.at((shift, 0))[0], number / 10)
        np.testing.assert_array_equal(tracks.ids, ids)


@pytest.mark.parametrize(
    ('jump', 'reason'),
    [
        (-0.01, 'the stamps went back by 0.010 s'),
        (-100.0, 'the stamps went back by 100.000 s'),
        (10.5, 'the stamps of two frames differ by 10.500 s'),
        (1e6, 'the stamps of two frames differ by 1000000.000 s'),
    ],
)
def test_tracker_restarts_with_new_ids_after_a_clock_jump(jump, reason):
    scene, tracker = Scene(), Tracker()
    before = tracker.update(scene.at((0, 0))[0], 100.0)
    assert before.restarted
    assert not tracker.update(scene.at((0, 0))[0], 100.05).restarted
    assert tracker.restart_reason == ''
    tracks = tracker.update(scene.at((0, 0))[0], 100.05 + jump)
    assert tracks.restarted
    assert tracker.restart_reason == reason
    assert (tracks.ages == 1).all()
    assert not np.isin(tracks.ids, before.ids).any()


def test_tracker_of_images_without_stamps_gives_no_velocities():
    scene, tracker = Scene(), Tracker()
    for number in range(3):
        tracks = tracker.update(scene.at((5 * number, 0))[0], 0.0)
        assert tracks.ids.tolist() == list(range(80))
        assert (tracks.velocities == 0).all()


def test_tracker_restarts_after_a_change_of_image_or_descriptor_size():
    scene, tracker = Scene(), Tracker()
    tracker.update(scene.at((0, 0))[0], 0.0, (640, 480))
    assert not tracker.update(scene.at((0, 0))[0], 0.1).restarted
    assert not tracker.update(scene.at((0, 0))[0], 0.2, (640, 480)).restarted
    assert tracker.update(scene.at((0, 0))[0], 0.3, (320, 240)).restarted
    assert tracker.restart_reason == 'images have 320 x 240 px now'
    features = scene.at((0, 0))[0]
    other = Features(features.keypoints, features.scores, features.descriptors[:, :16])
    assert tracker.update(other, 0.4, (320, 240)).restarted
    assert tracker.restart_reason == 'descriptors have 16 numbers now'


def interrupted_tracker(**settings):
    """Return a scene, a tracker that has seen it three times at 10 Hz, and the ids there."""
    scene, tracker = Scene(), Tracker(TrackerSettings(**settings))
    for number in range(3):
        features, order = scene.at((4 * number, 0))
        ids = names(tracker.update(features, number / 10), order)
    return scene, tracker, ids


def noise_features(rng):
    """Return features of an image of noise, at random places with random descriptors."""
    descriptors = rng.normal(size=(60, 32))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Features(rng.uniform(0, SIZE, (60, 2)), np.full(60, 0.1), descriptors)


@pytest.mark.parametrize('kind', ['no keypoints', 'noise', 'no frames'])
@pytest.mark.parametrize('shift', [(0, 0), (150, 90)])
def test_tracks_are_found_again_after_an_interruption(kind, shift):
    rng = np.random.default_rng(0)
    scene, tracker, ids = interrupted_tracker()
    for number in range(3, 90) if kind != 'no frames' else ():
        features = Features.empty(32) if kind == 'no keypoints' else noise_features(rng)
        assert not np.isin(tracker.update(features, number / 10).ids, list(ids.values())).any()
    # The camera has moved, and shows a part of the points.
    features, order = scene.at(shift, range(50))
    tracks = tracker.update(features, 9.0)
    assert not tracks.restarted
    assert names(tracks, order) == {point: ids[point] for point in range(50)}
    np.testing.assert_allclose(tracks.intervals, 9 - 0.2)
    # The others come into view in the next frame, where the motion of the first ones leads.
    features, order = scene.at(np.add(shift, (3, 0)))
    assert names(tracker.update(features, 9.1), order) == ids


def test_tracks_are_found_again_after_an_object_has_slowly_covered_the_view():
    scene, tracker, ids = interrupted_tracker()
    for number in range(8):
        seen = np.flatnonzero(scene.places[:, 0] > 80 * (number + 1))
        tracker.update(scene.at((8, 0), seen)[0], (3 + number) / 10)
    for number in range(11, 40):
        tracker.update(Features.empty(32), number / 10)
    features, order = scene.at((20, 10))
    now = names(tracker.update(features, 4.0), order)
    same = [point for point in ids if now[point] == ids[point]]
    assert len(same) >= 65  # not the last ones, which were seen when the others had been lost


@pytest.mark.parametrize(
    ('settings', 'end'),
    [({}, 10.5), ({'max_interruption': 3.0}, 3.5), ({'max_lost_frames': 0}, 1.0)],
)
def test_interruptions_end_after_a_while(settings, end):
    scene, tracker, ids = interrupted_tracker(**settings)
    for stamp in np.arange(0.3, end, 0.1):
        tracker.update(Features.empty(32), stamp)
    features, order = scene.at((0, 0))
    assert not set(names(tracker.update(features, end), order).values()) & set(ids.values())


def test_a_point_is_found_once_after_an_interruption_although_others_look_like_it():
    scene, tracker, ids = interrupted_tracker(ratio=1.0)
    tracker.update(Features.empty(32), 0.3)
    features, _ = scene.at((12, 0))
    twice = Features(
        np.concatenate([features.keypoints, features.keypoints + (3, 3)]),
        np.ones(160),
        np.concatenate([features.descriptors] * 2),
    )
    tracks = tracker.update(twice, 0.4)
    assert len(np.unique(tracks.ids)) == len(tracks) == 160
    assert np.isin(list(ids.values()), tracks.ids).all()


def test_interruptions_of_images_without_stamps_end_after_max_lost_frames():
    scene, tracker = Scene(), Tracker()
    for _ in range(2):
        features, order = scene.at((0, 0))
        ids = names(tracker.update(features, 0.0), order)
    for _ in range(11):
        tracker.update(Features.empty(32), 0.0)
    features, order = scene.at((0, 0))
    assert not set(names(tracker.update(features, 0.0), order).values()) & set(ids.values())


def test_a_few_points_that_look_alike_do_not_end_an_interruption():
    scene, tracker, ids = interrupted_tracker()
    for number in range(3, 20):
        tracker.update(Features.empty(32), number / 10)
    features, order = scene.at((200, 0), range(12))
    assert not set(names(tracker.update(features, 2.0), order).values()) & set(ids.values())
    features, order = scene.at((30, 0))
    assert names(tracker.update(features, 2.1), order) == ids


def test_new_tracks_respect_min_spacing_and_max_tracks():
    scene, settings = Scene(300), TrackerSettings(min_spacing=25.0, max_tracks=60)
    tracker = Tracker(settings)
    for number in range(4):
        features, _ = scene.at((2 * number, 0), scene.rng.choice(300, 250, replace=False))
        tracks = tracker.update(features, number / 10)
        assert 50 < len(tracks) <= 60
    features, _ = scene.at((0, 0))
    tracks = Tracker(settings).update(features, 0.0)
    gaps = np.linalg.norm(tracks.keypoints[:, None] - tracks.keypoints[None], axis=2)
    assert gaps[~np.eye(len(tracks), dtype=bool)].min() >= 25
    assert 0 in tracks.indices  # the highest score comes first


def test_tracks_are_reproducible():
    def run():
        scene, tracker = Scene(200, noise=0.2), Tracker()
        frames = [scene.at((3 * n, n), scene.rng.choice(200, 150, False))[0] for n in range(6)]
        return [tracker.update(frame, n / 10).ids for n, frame in enumerate(frames)]

    for a, b in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(a, b)
