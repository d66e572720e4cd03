# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""With images, tracks are exact to a fraction of a pixel and survive missing keypoints."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.features import Depths, Features
from superpoint_ros.odometry.track_refinement import position_sigmas
from superpoint_ros.odometry.tracker import Tracker, TrackerSettings
from support.noise_pictures import noise_picture

SIZE = (320, 240)


class MovingPicture:
    """
    A picture that moves before the camera, with inexact keypoints on known points.

    Each frame has a homography (3, 3) from the picture to the image.
    """

    def __init__(self, count=80, noise=0.3, seed=1):
        self.rng = np.random.default_rng(seed)
        self.picture = noise_picture(seed, (2 * SIZE[0], 2 * SIZE[1]))
        self.points = self.rng.uniform([180, 140], [460, 340], (count, 2))
        descriptors = self.rng.normal(size=(count, 32))
        self.descriptors = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
        self.noise = noise

    @staticmethod
    def homography(shift=(0.0, 0.0), zoom=1.0, turn=0.0):
        """Return the homography of a picture that is turned and enlarged about its centre."""
        affine = cv2.getRotationMatrix2D((SIZE[0], SIZE[1]), turn, zoom)
        affine[:, 2] += np.array(shift) - (SIZE[0] / 2, SIZE[1] / 2)
        return np.vstack([affine, [0, 0, 1]])

    def image(self, homography, gain=1.0):
        moved = cv2.warpPerspective(
            self.picture.astype(np.float32), homography, SIZE, flags=cv2.INTER_LANCZOS4
        )
        noisy = gain * moved + self.rng.normal(0, 1.5, moved.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    def true(self, homography):
        return cv2.perspectiveTransform(self.points[None], homography)[0]

    def features(self, homography, seen=None):
        """Return features of the points `seen` (default: all) that are in the image."""
        seen = np.arange(len(self.points)) if seen is None else np.asarray(seen)
        places = self.true(homography)[seen] + self.rng.normal(0, self.noise, (len(seen), 2))
        inside = ((places > 0) & (places < np.array(SIZE) - 1)).all(axis=1)
        return Features(places[inside], np.ones(inside.sum()), self.descriptors[seen[inside]])


def motion_errors(picture, first, tracks, homography):
    """
    Return the distances (N, 2) of tracks from where their first positions have moved.

    A track follows what is in its first patch: the noise of its first keypoint is no error.
    """
    known = np.isin(tracks.ids, first.ids)
    rows = np.searchsorted(first.ids, tracks.ids[known])
    start = first.keypoints[rows].astype(float)
    return tracks.keypoints[known] - cv2.perspectiveTransform(start[None], homography)[0]


def run(picture, homographies, settings=None, images=True, seen=None):
    """Return the tracks of each frame, and their errors."""
    tracker, result = Tracker(settings), []
    for number, homography in enumerate(homographies):
        features = picture.features(homography, None if seen is None else seen(number))
        image = picture.image(homography, 1 - 0.01 * number) if images else None
        tracks = tracker.update(features, number / 10, SIZE, image)
        first = result[0][0] if result else tracks
        relative = homography @ np.linalg.inv(homographies[0])
        result.append((tracks, motion_errors(picture, first, tracks, relative)))
    return result


def length(errors):
    return np.linalg.norm(errors, axis=1)


def test_tracks_with_images_do_not_have_the_noise_of_keypoints():
    motion = [MovingPicture.homography((3.3 * n, 1.2 * n), 1 + 0.01 * n, n) for n in range(8)]
    without = run(MovingPicture(), motion, images=False)
    tracks, _ = without[-1]
    assert tracks.covariances is None
    refined = run(MovingPicture(), motion)
    for (plain, rough), (tracks, fine) in zip(without[1:], refined[1:], strict=True):
        # Tracks whose patch leaves the image end.
        assert np.isin(plain.ids[:60], tracks.ids).mean() > 0.9
        assert np.median(length(rough)) > 0.4
        assert np.median(length(fine)) < 0.05
        assert np.percentile(length(fine), 90) < 0.15
        known = np.isfinite(tracks.covariances).all(axis=(1, 2))
        assert known[tracks.ages > 1].mean() > 0.9


def test_max_refinement_of_zero_keeps_the_keypoints():
    picture = MovingPicture()
    settings = TrackerSettings(max_refinement=0.0, max_bridged_frames=0)
    tracker = Tracker(settings)
    for number in range(3):
        homography = picture.homography((2 * number, 0))
        features = picture.features(homography)
        tracks = tracker.update(features, number / 10, None, picture.image(homography))
        np.testing.assert_array_equal(tracks.keypoints, features.keypoints[tracks.indices])


def test_matches_where_the_patch_does_not_fit_are_rejected_and_start_new_tracks():
    picture = MovingPicture(noise=0.1)
    settings = TrackerSettings(geometric_check='none', max_bridged_frames=0)
    tracker, wrong = Tracker(settings), np.arange(60, 80)
    for number in range(3):
        homography = picture.homography((2 * number, 0))
        features = picture.features(homography)
        if number == 2:  # descriptors of these points are found 9 pixels away
            features.keypoints[wrong] += [9, 0]
        tracks = tracker.update(features, number / 10, None, picture.image(homography))
    np.testing.assert_array_equal(tracks.ids[:60], np.arange(60))
    assert (tracks.ids[60:] >= 80).all()
    np.testing.assert_array_equal(tracks.indices[60:], wrong)
    assert (tracks.ages[60:] == 1).all()


def plain_picture():
    """Return a picture whose right half is a wall with weak, blurred spots."""
    picture = MovingPicture(noise=0.1)
    spots = np.random.default_rng(3).normal(size=picture.picture.shape)
    spots = cv2.GaussianBlur(spots, (0, 0), 10)
    wall = 128 + 6 * spots / spots.std()
    picture.picture = np.where(np.arange(2 * SIZE[0]) < SIZE[0], picture.picture, wall)
    return picture


def test_tracks_end_if_their_positions_are_less_precise_than_max_sigma():
    sigmas, on_wall = {}, {}
    for max_sigma in (0.0, 1.0):  # 0: no limit
        picture = plain_picture()
        motion = [picture.homography((2 * n, 1.5 * n)) for n in range(3)]
        settings = TrackerSettings(max_sigma=max_sigma, geometric_check='none')
        tracks, _ = run(picture, motion, settings)[-1]
        old = tracks.ids < len(picture.points)
        on_wall[max_sigma] = picture.points[tracks.ids[old], 0] > SIZE[0]
        sigmas[max_sigma] = position_sigmas(tracks.covariances[old])
    imprecise = (sigmas[0.0] > 1).sum()
    assert imprecise > 5
    assert sigmas[1.0].max() <= 1
    assert on_wall[0.0].sum() > 30
    assert (~on_wall[0.0]).sum() == (~on_wall[1.0]).sum() > 30  # precise tracks remain


def test_errors_of_tracks_with_images_stay_bounded_over_many_frames():
    # The picture turns by 80 degrees, grows by half and shrinks again: patches are renewed.
    steps = np.linspace(0, 1, 60)
    motion = [
        MovingPicture.homography((8 * np.sin(9 * s), 0), 1 + 0.5 * np.sin(np.pi * s), 80 * s)
        for s in steps
    ]
    picture = MovingPicture(count=60, noise=0.3)
    centre = np.array(SIZE, float)
    picture.points = centre + 0.5 * (picture.points - centre)  # always in the image
    medians = []
    for _, errors in run(picture, motion):
        medians.append(np.median(length(errors)))
        assert len(errors) > 50
    assert max(medians) < 0.2  # without images about 0.5
    assert np.percentile(length(errors), 90) < 0.5


def test_tracks_without_keypoints_are_bridged_by_their_patches():
    picture = MovingPicture()
    motion = [picture.homography((2.5 * n, -1.5 * n), 1, 0.3 * n) for n in range(9)]
    settings = TrackerSettings(max_bridged_frames=4)

    def seen(number):  # from frame 2 on, only half of the points have keypoints
        return np.arange(80 if number in (0, 1, 8) else 40)

    frames = run(picture, motion, settings, seen=seen)
    first = frames[0][0]
    for number, (tracks, errors) in enumerate(frames):
        bridged = tracks.indices < 0
        if 2 <= number < 6:
            assert bridged.sum() > 32
            assert np.isin(tracks.ids[bridged], first.ids).all()
            assert (tracks.ages[bridged] == number + 1).all()
            assert np.median(length(errors)) < 0.06
            np.testing.assert_allclose(tracks.intervals[bridged], 0.1)
        else:
            assert bridged.sum() == 0
    # Descriptors find the lost points again.
    assert np.isin(first.ids, frames[8][0].ids).mean() > 0.95


def test_bridged_tracks_have_no_depth_and_the_others_that_of_their_feature():
    picture, tracker = MovingPicture(), Tracker()
    for number in range(3):
        homography = picture.homography((2 * number, 0))
        seen = np.arange(80 if number < 2 else 60)
        features = picture.features(homography, seen)
        depths = Depths(1 + np.arange(len(features)) / 100, np.full(len(features), 0.01))
        features = Features(features.keypoints, features.scores, features.descriptors, depths)
        tracks = tracker.update(features, number / 10, None, picture.image(homography))
    bridged = tracks.indices < 0
    assert 10 < bridged.sum() <= 20
    assert not tracks.depths.known[bridged].any()
    np.testing.assert_array_equal(
        tracks.depths.values[~bridged], depths.values[tracks.indices[~bridged]]
    )


def test_bridged_tracks_take_the_features_at_their_places():
    picture, tracker = MovingPicture(), Tracker()
    for number in range(3):
        homography = picture.homography((2 * number, 0))
        if number == 2:  # the features of half of the points match no longer
            picture.descriptors[40:] = np.eye(80, 32)[:40] - picture.descriptors[40:]
        features = picture.features(homography, np.roll(np.arange(80), 7 * number))
        tracks = tracker.update(features, number / 10, None, picture.image(homography))
    bridged = tracks.ids >= 40
    assert bridged[tracks.ids < 80].sum() > 35
    distances = np.linalg.norm(tracks.keypoints - features.keypoints[tracks.indices], axis=1)
    assert (tracks.indices[tracks.ids < 80] >= 0).mean() > 0.95
    assert distances[tracks.indices >= 0].max() < 2.0
    assert len(tracks) <= 82  # at the places of the others, no new track starts


def test_of_two_tracks_at_one_place_the_one_without_a_match_ends():
    picture, tracker = MovingPicture(noise=0.05), Tracker()
    picture.points[40:] = picture.points[:40] + [1.5, 0]
    for number, count in enumerate((80, 40)):
        homography = picture.homography((2 * number, 0))
        features = picture.features(homography, np.arange(count))
        tracks = tracker.update(features, number / 10, None, picture.image(homography))
        assert len(tracks) == count


def test_a_track_that_ends_does_not_take_the_feature_of_another_one():
    picture, tracker = MovingPicture(noise=0.05), Tracker()
    kept, ending, bridged = np.arange(20), np.arange(40, 60), np.arange(60, 80)
    picture.points[ending] = picture.points[kept] + [1.5, 0]  # nearer than 2 px to a match
    picture.points[bridged] = picture.points[kept] + [3.2, 0]
    for number in range(2):
        homography = picture.homography((2 * number, 0))
        features = picture.features(homography)
        if number == 1:  # new features near both kinds of tracks
            features = features.select(np.arange(60))
            features.keypoints[ending] = features.keypoints[kept] + [2.6, 0]
            features.descriptors[ending] *= -1
        tracks = tracker.update(features, number / 10, None, picture.image(homography))
    np.testing.assert_array_equal(tracks.ids, [*range(40), *bridged])
    np.testing.assert_array_equal(tracks.indices, range(60))


def test_points_that_leave_the_image_are_not_bridged():
    picture = MovingPicture()
    motion = [picture.homography((25 * n, 0)) for n in range(10)]
    for tracks, _ in run(picture, motion, TrackerSettings(max_motion=0.0)):
        assert (tracks.keypoints > 0).all()
        assert (tracks.keypoints < np.array(SIZE) - 1).all()


def test_tracks_go_on_through_frames_without_image():
    picture, tracker, ids = MovingPicture(), Tracker(), None
    for number in range(6):
        homography = picture.homography((2 * number, number))
        image = None if number in (0, 3) else picture.image(homography)
        tracks = tracker.update(picture.features(homography), number / 10, SIZE, image)
        ids = tracks.ids if ids is None else ids
        np.testing.assert_array_equal(tracks.ids, ids)
        assert tracks.restarted == (number == 0)


def test_tracks_restart_when_the_size_of_the_image_changes():
    picture, tracker = MovingPicture(), Tracker()
    homography = picture.homography()
    image = picture.image(homography)
    tracker.update(picture.features(homography), 0.0, None, image)
    assert not tracker.update(picture.features(homography), 0.1, None, image).restarted
    assert tracker.update(picture.features(homography), 0.2, None, image[:200]).restarted


@pytest.mark.parametrize('image', [np.zeros((4, 4, 3), np.uint8), np.zeros((9, 9), np.float32)])
def test_images_of_another_type_are_refused(image):
    with pytest.raises(ValueError, match=r'must be uint8 of the shape \(H, W\); got'):
        Tracker().update(Features.empty(8), 0.0, None, image)


def test_tracker_accepts_images_without_keypoints_and_smaller_than_a_patch():
    tracker = Tracker()
    assert len(tracker.update(Features.empty(8), 0.0, None, np.zeros((5, 5), np.uint8))) == 0
    single = Features(np.array([[2, 2]]), np.ones(1), np.eye(1, 8))
    for number in range(1, 3):
        tracks = tracker.update(single, number / 10, None, np.zeros((5, 5), np.uint8))
        assert tracks.ids.tolist() == [0]
        assert tracks.keypoints.tolist() == [[2, 2]]
