# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What random homographies promise: what is inside, how far they go, and seeding."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from superpoint_ros.data.random_homographies import HomographyRanges, sample_homography
from superpoint_ros.geometry.homography import image_corners, valid_mask, warp_points

SIZE = (160, 120)
STILL = HomographyRanges(
    translation=0, max_rotation=0, min_scale=1, max_scale=1, perspective=0, patch_ratio=1
)


def change(**ranges) -> HomographyRanges:
    return HomographyRanges(**{**vars(STILL), 'allow_artifacts': True, **ranges})


def test_empty_ranges_give_the_identity_homography():
    homography = sample_homography(np.random.default_rng(0), SIZE, STILL)
    np.testing.assert_allclose(homography, np.eye(3), atol=1e-9)
    assert homography.dtype == np.float64


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(16, 640), st.integers(16, 640)),
    rotation=st.floats(0, 180),
    perspective=st.floats(0, 0.24),
    translation=st.floats(0, 1),
)
def test_without_artefacts_the_target_lies_within_the_source(
    seed, size, rotation, perspective, translation
):
    ranges = HomographyRanges(
        max_rotation=rotation, perspective=perspective, translation=translation
    )
    homography = sample_homography(np.random.default_rng(seed), size, ranges)
    assert np.linalg.det(homography) > 0  # never mirrored
    patch = warp_points(image_corners(size), np.linalg.inv(homography))
    assert (patch >= -1e-6).all()
    assert (patch <= np.array(size) - 1 + 1e-6).all()


def test_with_artefacts_the_target_can_show_what_is_outside():
    rng = np.random.default_rng(0)
    ranges = HomographyRanges(allow_artifacts=True)
    shares = [valid_mask(sample_homography(rng, SIZE, ranges), SIZE).mean() for _ in range(50)]
    assert min(shares) < 0.9
    assert np.mean(shares) > 0.5


def test_the_patch_ratio_magnifies_about_the_middle():
    homography = sample_homography(np.random.default_rng(0), SIZE, change(patch_ratio=0.5))
    middle = image_corners(SIZE)[2:3] / 2
    np.testing.assert_allclose(warp_points(middle, homography), middle, atol=1e-9)
    np.testing.assert_allclose(homography[[0, 1], [0, 1]], 2, atol=1e-9)


def test_scales_of_random_homographies_reach_their_limits():
    rng = np.random.default_rng(0)
    ranges = change(min_scale=0.5, max_scale=3.0)
    scales = np.array([sample_homography(rng, SIZE, ranges)[0, 0] for _ in range(500)])
    assert 0.5 <= scales.min() < 0.52
    assert 2.9 < scales.max() <= 3.0
    assert np.log(scales).mean() == pytest.approx(np.log(0.5 * 3.0) / 2, abs=0.1)


@pytest.mark.parametrize('sigma', [None, 10.0, 300.0])
def test_rotations_stay_within_their_maximum(sigma):
    rng = np.random.default_rng(0)
    ranges = change(max_rotation=30.0, rotation_sigma=sigma)
    homographies = [sample_homography(rng, SIZE, ranges) for _ in range(500)]
    angles = np.rad2deg([np.arctan2(h[1, 0], h[0, 0]) for h in homographies])
    assert np.abs(angles).max() <= 30
    assert angles.min() < -20
    assert angles.max() > 20
    expected = 10.0 if sigma == 10.0 else 30 / np.sqrt(3)
    assert angles.std() == pytest.approx(expected, rel=0.1)


def test_a_rotation_keeps_lengths_and_angles():
    rng = np.random.default_rng(1)
    homography = sample_homography(rng, SIZE, change(max_rotation=90.0))
    np.testing.assert_allclose(homography[:2, :2] @ homography[:2, :2].T, np.eye(2), atol=1e-9)


def test_translations_stay_within_their_share_of_the_size():
    rng = np.random.default_rng(0)
    moves = np.array(
        [sample_homography(rng, SIZE, change(translation=0.25))[:2, 2] for _ in range(500)]
    )
    limit = np.array(SIZE) - 1
    assert (np.abs(moves) <= 0.25 * limit + 1e-9).all()
    assert (np.abs(moves).max(axis=0) > 0.24 * limit).all()


def test_perspective_moves_corners_up_to_its_share_of_the_side():
    rng = np.random.default_rng(0)
    limit = 0.2 * (np.array(SIZE) - 1)
    corners, moves = image_corners(SIZE), []
    for _ in range(300):
        homography = sample_homography(rng, SIZE, change(perspective=0.2))
        moves.append(warp_points(corners, np.linalg.inv(homography)) - corners)
    shares = np.array(moves) / limit
    assert (np.abs(shares) <= 1 + 1e-6).all()
    assert (np.abs(shares).max(axis=(0, 1)) > 0.99).all()
    # Of a normal distribution that is cut off at two sigmas; uniform would be 0.577.
    assert shares.std() == pytest.approx(0.48, abs=0.03)


def test_random_homographies_depend_on_the_seed_only():
    first, again, other = (
        sample_homography(np.random.default_rng(seed), SIZE) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ('field', 'value', 'allowed'),
    [
        ('perspective', 0.3, 'between 0.0 and 0.24'),
        ('max_rotation', -1, 'between 0.0 and 180.0'),
        ('rotation_sigma', 0, 'between 0.01 and 1000.0'),
        ('min_scale', 1.5, 'at most max_scale, 1.25'),
        ('patch_ratio', 0, 'between 0.1 and 1.0'),
        ('translation', float('nan'), 'between 0.0 and 1.0'),
    ],
)
def test_invalid_homography_ranges_are_refused_with_what_would_be_right(field, value, allowed):
    with pytest.raises(ValueError, match=f'{field} must .*{allowed}, got {value}'):
        HomographyRanges(**{field: value})


def test_a_homography_of_an_image_of_one_pixel_is_refused():
    with pytest.raises(ValueError, match='at least 2 x 2'):
        sample_homography(np.random.default_rng(0), (1, 1))
