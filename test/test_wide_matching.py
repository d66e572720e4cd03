# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images that are turned, zoomed or oblique match after alignment; others match as before."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.alignment_search import ENOUGH_INLIERS
from superpoint_ros.detector import Detector
from superpoint_ros.geometry.alignment import fit_alignment, view_change
from superpoint_ros.geometry.homography import resample, scaling, warp_points
from superpoint_ros.model.config import SMALLEST_SIDE
from superpoint_ros.resources import demo_photographs
from superpoint_ros.wide_matching import match_aligned, match_images, match_wide
from support.noise_pictures import noise_picture

SIZE = (320, 240)


@pytest.fixture(scope='module')
def detector():
    return Detector.from_weights(device='cpu', engine='torch', precision='float32')


@pytest.fixture(scope='module')
def photograph():
    path = next(path for path in demo_photographs() if path.stem == 'coffee')
    return cv2.resize(cv2.imread(str(path), 0), (640, 480), interpolation=cv2.INTER_AREA)


def turned(degrees, zoom, shift=(0.0, 0.0)):
    """Return the homography that turns clockwise about the middle of the photograph and zooms."""
    angle = np.radians(degrees)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    from_middle = np.array([[1, 0, -319.5], [0, 1, -239.5], [0, 0, 1]])
    to_middle = np.array([[1, 0, (SIZE[0] - 1) / 2], [0, 1, (SIZE[1] - 1) / 2], [0, 0, 1]])
    return (
        np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ to_middle @ turn @ from_middle
    )


def views(photograph, degrees, zoom):
    """Return the whole photograph, a close-up of it, and the homography between them."""
    to_whole, to_close_up = scaling(0.5), turned(degrees, 0.5 * zoom)
    whole = resample(photograph, to_whole, SIZE)
    close_up = resample(photograph, to_close_up, SIZE)
    return whole, close_up, to_close_up @ np.linalg.inv(to_whole)


def errors(matched, homography):
    a, b = matched.points
    return np.linalg.norm(warp_points(a.astype(float), homography) - b, axis=1)


@pytest.mark.parametrize(('degrees', 'zoom'), [(130, 2.6), (170, 1.0), (20, 4.0)])
def test_wide_matching_finds_a_close_up_that_is_turned_and_zoomed(
    detector, photograph, degrees, zoom
):
    whole, close_up, homography = views(photograph, degrees, zoom)
    plain = match_images(whole, close_up, detector)
    assert np.sum(errors(plain, homography) < 3) < 15
    for a, b, truth in (
        (whole, close_up, homography),
        (close_up, whole, np.linalg.inv(homography)),
    ):
        wide = match_wide(a, b, detector)
        correct = errors(wide, truth) < 3 * max(1, zoom if b is close_up else 1)
        assert len(correct) > 30
        assert correct.mean() > 0.9
        assert wide.inliers > 0.9 * len(wide.matches)
        found = view_change(wide.to_b, SIZE)
        assert found == pytest.approx(view_change(truth, SIZE), rel=0.05, abs=1.5)


def oblique(degrees, direction):
    """
    Return the homography from the photograph to a view at an oblique angle, through its middle.

    The camera is `degrees` from the normal of the photograph, seen from a `direction` in degrees.
    """
    focal, distance = 600.0, 1200.0
    axis = np.array([np.cos(np.radians(direction)), np.sin(np.radians(direction)), 0])
    rotation = cv2.Rodrigues(np.radians(degrees) * axis)[0]
    camera = np.array([[focal, 0, (SIZE[0] - 1) / 2], [0, focal, (SIZE[1] - 1) / 2], [0, 0, 1]])
    from_middle = np.array([[1, 0, -319.5], [0, 1, -239.5], [0, 0, 1]])
    pose = np.column_stack([rotation[:, 0], rotation[:, 1], [0, 0, distance]])
    return camera @ pose @ from_middle


@pytest.mark.parametrize(('degrees', 'direction'), [(60, 0), (-66, 90), (66, 30), (72, 120)])
def test_wide_matching_finds_a_view_at_an_oblique_angle(detector, photograph, degrees, direction):
    to_front, to_oblique = scaling(0.5), oblique(degrees, direction)
    front, tilted = resample(photograph, to_front, SIZE), resample(photograph, to_oblique, SIZE)
    truth = to_oblique @ np.linalg.inv(to_front)
    for a, b, homography in ((front, tilted, truth), (tilted, front, np.linalg.inv(truth))):
        plain, wide = (match(a, b, detector) for match in (match_images, match_wide))
        correct = errors(wide, homography) < 3
        assert correct.sum() > 1.3 * np.sum(errors(plain, homography) < 3)
        assert correct.mean() > 0.6
        change, true_change = (view_change(each, SIZE) for each in (wide.to_b, homography))
        assert change == pytest.approx(true_change, rel=0.2, abs=5)
        assert change.stretch == pytest.approx(true_change.stretch, rel=0.2)


def test_wide_matching_of_images_that_match_anyway_is_plain_matching(detector, photograph):
    whole = resample(photograph, scaling(0.5), SIZE)
    moved = resample(photograph, np.array([[1, 0, 7], [0, 1, -4], [0, 0, 1]]) @ scaling(0.5), SIZE)
    plain, wide = (match(whole, moved, detector) for match in (match_images, match_wide))
    assert wide.to_b is None
    np.testing.assert_array_equal(wide.matches, plain.matches)
    for before, after in zip(plain.points, wide.points, strict=True):
        np.testing.assert_array_equal(before, after)
    assert len(plain.matches) > 100


@pytest.mark.parametrize(
    'change',
    [turned(30, 0.5), turned(0, 0.7), turned(0, 0.5) @ np.diag([1.4, 1, 1])],
    ids=['turned', 'zoomed', 'stretched'],
)
def test_wide_matching_aligns_images_that_match_but_would_match_better(
    detector, photograph, change
):
    whole, other = (resample(photograph, each, SIZE) for each in (scaling(0.5), change))
    plain, wide = (match(whole, other, detector) for match in (match_images, match_wide))
    assert wide.to_b is not None
    truth = change @ np.linalg.inv(scaling(0.5))
    assert np.sum(errors(wide, truth) < 3) > 1.1 * np.sum(errors(plain, truth) < 3) > 300


@pytest.mark.parametrize('size', [(16, 16), (300, 20), (320, 240)])
def test_wide_matching_of_a_blank_or_tiny_image_has_no_matches(detector, photograph, size):
    whole = resample(photograph, scaling(0.5), SIZE)
    blank = np.full(size[::-1], 90, np.uint8)
    for a, b in ((whole, blank), (blank, whole), (blank, blank)):
        matched = match_wide(a, b, detector)
        assert matched.matches.shape == (0, 2)
        assert matched.to_b is None
        assert [points.shape for points in matched.points] == [(0, 2), (0, 2)]


def test_wide_matching_of_unrelated_images_aligns_only_if_more_matches_fit(detector, photograph):
    whole, other = resample(photograph, scaling(0.5), SIZE), noise_picture(5, SIZE)
    plain, wide = (match(whole, other, detector) for match in (match_images, match_wide))
    before, after = (fit_alignment(*each.points, SIZE, SIZE).inliers for each in (plain, wide))
    assert after > before if wide.to_b is not None else after == before
    assert after < ENOUGH_INLIERS


def test_unrelated_photographs_are_matched_without_alignment(detector):
    small = [cv2.resize(cv2.imread(str(path), 0), SIZE) for path in demo_photographs()]
    for a, b in zip(small, small[1:] + small[:1], strict=True):
        plain, wide = (match(a, b, detector) for match in (match_images, match_wide))
        assert wide.to_b is None
        assert wide.inliers == 0
        np.testing.assert_array_equal(wide.matches, plain.matches)


def test_alignment_by_a_homography_that_shrinks_both_middles_ends(detector, photograph):
    whole = resample(photograph, scaling(0.5), SIZE)
    strange = np.array([[2, 0, -200], [0, 2, 0], [0.0037, 0, 1]])
    for homography in (strange, np.linalg.inv(strange)):
        assert view_change(homography, SIZE).zoom < 1
        matched = match_aligned(whole, whole, homography, detector)
        assert matched is None or (matched.matches >= 0).all()


def test_images_that_do_not_overlap_by_a_homography_are_not_aligned(detector, photograph):
    whole = resample(photograph, scaling(0.5), SIZE)
    narrow = SIZE[0] - SMALLEST_SIDE + 1
    for zoom, shift in ((100, 0), (1, 1000), (0.9, 1000), (1, narrow)):
        homography = np.array([[zoom, 0, shift], [0, zoom, 0], [0, 0, 1.0]])
        assert match_aligned(whole, whole, homography, detector) is None


def test_wide_matching_refuses_what_is_not_an_image_with_one_clear_line(detector, photograph):
    with pytest.raises(ValueError, match='an image must be a NumPy array'):
        match_wide(photograph, None, detector)
    with pytest.raises(ValueError, match='at least 16x16 pixels; got 8x40'):
        match_wide(np.zeros((40, 8), np.uint8), photograph, detector)
