# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Front ends that are compared: KLT follows a moving picture, descriptors get their depths."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.data.sequences.sequence import Frame
from superpoint_ros.evaluation.baselines import described_method
from superpoint_ros.evaluation.front_ends import KLT, odometry_method
from superpoint_ros.geometry.camera_model import CameraModel
from superpoint_ros.geometry.stereo import StereoCamera
from superpoint_ros.odometry.odometry_settings import TrackerSettings
from support.moving_picture import layered_picture, shifted_view

STEP = np.array([3.25, -1.5])
SETTINGS = TrackerSettings(min_similarity=-1.0)
MATRIX = np.array([[200.0, 0, 159.5], [0, 200, 119.5], [0, 0, 1]])


@pytest.fixture(scope='module')
def picture():
    return layered_picture()


def test_klt_follows_points_and_replaces_those_that_leave(picture):
    front_end = KLT.make(200, SETTINGS, None)
    tracks = [
        front_end.update(Frame(shifted_view(picture, index * STEP), index / 10, str(index)))
        for index in range(6)
    ]
    assert tracks[0].restarted
    assert not tracks[1].restarted
    first, last = tracks[0], tracks[-1]
    assert len(first) > 150
    shared, in_first, in_last = np.intersect1d(first.ids, last.ids, return_indices=True)
    assert len(shared) > 0.7 * len(first)
    motion = last.keypoints[in_last] - first.keypoints[in_first]
    np.testing.assert_allclose(np.median(motion, axis=0), 5 * STEP, atol=0.05)
    assert (np.linalg.norm(motion - 5 * STEP, axis=1) < 0.5).mean() > 0.95
    assert (last.ages[in_last] == 6).all()
    velocities = last.velocities[in_last]
    np.testing.assert_allclose(np.median(velocities, axis=0), 10 * STEP, atol=0.5)
    # New corners have new ids, and the number stays.
    assert len(last) > 0.9 * len(first)
    assert last.ids.max() > first.ids.max()
    assert (np.diff(last.ids) > 0).all()


def test_klt_matches_two_images_and_finds_nothing_in_a_blank_one(picture):
    front_end = KLT.make(200, SETTINGS, None)
    a, b = front_end.match(shifted_view(picture, (0, 0)), shifted_view(picture, 2 * STEP))
    assert len(a) > 120
    assert (np.linalg.norm(b - a - 2 * STEP, axis=1) < 0.5).mean() > 0.95
    blank = np.full((240, 320), 90, np.uint8)
    assert len(front_end.match(blank, shifted_view(picture, STEP))[0]) == 0
    assert len(front_end.update(Frame(blank, 0.0, '0'))) == 0
    assert len(front_end.update(Frame(shifted_view(picture, STEP), 0.1, '1'))) > 150


def test_klt_survives_a_jump_of_the_exposure(picture):
    # Without equalisation, 8 % of the tracks survive.
    front_end = KLT.make(200, SETTINGS, None)
    before = front_end.update(Frame(shifted_view(picture, (0, 0)), 0.0, '0'))
    dark = np.rint(0.55 * shifted_view(picture, STEP)).astype(np.uint8)
    after = front_end.update(Frame(dark, 0.1, '1'))
    assert np.isin(before.ids, after.ids).mean() > 0.9


@pytest.mark.parametrize('method', [KLT, odometry_method(described_method('sift', 200))])
def test_points_get_their_depth_from_the_second_image_or_the_depth_image(picture, method):
    # A plane at a depth of 200 px * 0.1 m / 8 px.
    left, right = shifted_view(picture, (0, 0)), shifted_view(picture, (-8, 0))
    model = CameraModel('plumb_bob', MATRIX, np.zeros(0), (320, 240))
    stereo = StereoCamera(model, 200.0, 0.1)
    tracks = method.make(200, SETTINGS, stereo).update(Frame(left, 0.0, '0', second=right))
    known = tracks.depths.known
    assert known.mean() > 0.6
    assert np.median(tracks.depths.values[known]) == pytest.approx(2.5, rel=0.01)
    depth = np.full((240, 320), 3.5, np.float32)
    tracks = method.make(200, SETTINGS, None).update(Frame(left, 0.0, '0', depth=depth))
    np.testing.assert_allclose(tracks.depths.values, 3.5, rtol=1e-6)
    tracks = method.make(200, SETTINGS, stereo).update(Frame(left, 0.0, '0'))
    assert tracks.depths is None
