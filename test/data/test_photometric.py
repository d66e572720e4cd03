# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What photometric changes promise: same shape, no wrapping, points in their places."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from superpoint_ros.data.photometric import augment, NOISE, PhotometricRanges

NOTHING = PhotometricRanges.only()


def gradient(height: int = 120, width: int = 160) -> np.ndarray:
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(8, 100),
    width=st.integers(8, 100),
    ranges=st.sampled_from([PhotometricRanges(), NOISE]),
)
def test_augmented_images_keep_shape_and_type(seed, height, width, ranges):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width), dtype=np.uint8)
    before = image.copy()
    changed = augment(image, rng, ranges)
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert not np.shares_memory(changed, image)
    np.testing.assert_array_equal(image, before)


def test_augment_accepts_strided_images():
    image = gradient()[::2, ::2]
    assert augment(image, np.random.default_rng(0), NOISE).shape == (60, 80)


def test_augment_without_any_change_returns_the_image():
    np.testing.assert_array_equal(
        augment(gradient(), np.random.default_rng(0), NOTHING), gradient()
    )


@pytest.mark.parametrize('ranges', [PhotometricRanges(), NOISE], ids=['training', 'noise'])
def test_augmentation_depends_on_the_seed_only(ranges):
    first, again, other = (
        augment(gradient(), np.random.default_rng(seed), ranges) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    'probability', [f.name for f in fields(PhotometricRanges) if f.name.endswith('_probability')]
)
def test_each_photometric_change_has_its_probability(probability):
    ranges = replace(NOTHING, **{probability: 1.0}, max_motion_blur=9)
    rng = np.random.default_rng(0)
    image = np.where(np.indices((120, 160)).sum(axis=0) // 8 % 2, 200, 60).astype(np.uint8)
    assert sum((augment(image, rng, ranges) != image).any() for _ in range(20)) > 10


@pytest.mark.parametrize(
    'probability', ['noise_probability', 'speckle_probability', 'brightness_probability']
)
def test_augmented_values_are_clipped_and_not_wrapped(probability):
    """A wrapped value would turn a white pixel nearly black."""
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, **{probability: 1.0}, max_brightness=50.0)
    for _ in range(20):
        assert augment(np.full((60, 80), 255, np.uint8), rng, ranges).min() > 100
        assert augment(np.full((60, 80), 0, np.uint8), rng, ranges).max() < 100


def test_shade_stays_within_its_limit():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, shade_probability=1.0, max_shade=0.5)
    results = [augment(np.full((60, 80), 100, np.uint8), rng, ranges) for _ in range(50)]
    assert 50 <= min(r.min() for r in results) < 60
    assert 140 < max(r.max() for r in results) <= 150
    bright = [augment(np.full((60, 80), 240, np.uint8), rng, ranges) for _ in range(50)]
    assert min(r.min() for r in bright) >= 120


def test_brightness_shifts_all_levels_equally():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, brightness_probability=1.0, max_brightness=40.0)
    image = np.full((60, 80), 100, np.uint8)
    levels = [augment(image, rng, ranges) for _ in range(200)]
    assert all(np.ptp(level) == 0 for level in levels)
    assert 60 <= min(level[0, 0] for level in levels) < 63
    assert 137 < max(level[0, 0] for level in levels) <= 140


def test_contrast_is_about_mid_gray():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, contrast_probability=1.0, min_contrast=0.5, max_contrast=0.5)
    image = np.array([[28, 128, 228]], np.uint8)
    np.testing.assert_array_equal(augment(image, rng, ranges), [[78, 128, 178]])


def test_gamma_brightens_and_darkens_up_to_its_limit():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, gamma_probability=1.0, max_gamma=2.0)
    image = np.array([[0, 64, 255]], np.uint8)
    levels = np.array([augment(image, rng, ranges)[0] for _ in range(200)])
    assert (levels[:, [0, 2]] == [0, 255]).all()
    darkest, brightest = 255 * (64 / 255) ** np.array([2.0, 0.5])
    assert darkest - 0.5 <= levels[:, 1].min() < darkest + 3
    assert brightest - 3 < levels[:, 1].max() <= brightest + 0.5


def test_noise_has_the_sigma_that_is_set():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, noise_probability=1.0, max_noise=20.0)
    image = np.full((120, 160), 128, np.uint8)
    sigmas = [augment(image, rng, ranges).std() for _ in range(200)]
    assert max(sigmas) == pytest.approx(20, abs=1)
    assert np.mean(sigmas) == pytest.approx(10, abs=1)


def test_speckle_grows_with_brightness():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, speckle_probability=1.0, max_speckle=0.2)
    image = np.repeat(np.array([[40, 120]], np.uint8), 80, axis=1).repeat(120, axis=0)
    changed = [augment(image, rng, ranges) for _ in range(20)]
    dark, bright = (
        np.mean([c[:, part].std() for c in changed]) for part in (slice(0, 80), slice(80, 160))
    )
    assert bright / dark == pytest.approx(3, rel=0.15)


def test_salt_and_pepper_change_at_most_their_share_of_pixels():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, salt_probability=1.0, max_salt=0.02)
    image = np.full((120, 160), 128, np.uint8)
    changed = np.array([augment(image, rng, ranges) for _ in range(50)])
    assert 0.015 < (changed != 128).mean(axis=(1, 2)).max() <= 0.02
    assert np.unique(changed).tolist() == [0, 128, 255]
    assert (changed == 0).sum() == pytest.approx((changed == 255).sum(), rel=0.1)


@pytest.mark.parametrize('probability', ['motion_blur_probability', 'blur_probability'])
def test_blur_does_not_shift_points(probability):
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, **{probability: 1.0}, max_motion_blur=9, max_blur=3.0)
    image = np.zeros((61, 81), np.uint8)
    cv2.circle(image, (40, 30), 6, 200, -1)
    for _ in range(30):
        blurred = augment(image, rng, ranges).astype(np.float64)
        moments = cv2.moments(blurred)
        assert moments['m10'] / moments['m00'] == pytest.approx(40, abs=0.05)
        assert moments['m01'] / moments['m00'] == pytest.approx(30, abs=0.05)


def test_motion_blur_is_as_long_as_its_limit_at_most_in_any_direction():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, motion_blur_probability=1.0, max_motion_blur=15)
    image = np.zeros((61, 81), np.uint8)
    image[30, 40] = 255
    reach = [
        np.abs(np.argwhere(augment(image, rng, ranges) > 4) - [30, 40]).max(axis=0)
        for _ in range(200)
    ]
    assert np.max(reach, axis=0).tolist() == [7, 7]
    assert min(max(each) for each in reach) <= 1


def test_gaussian_blur_has_the_sigma_that_is_set():
    rng = np.random.default_rng(0)
    ranges = replace(NOTHING, blur_probability=1.0, max_blur=3.0)
    image = np.where(np.indices((61, 81))[1] < 40, 0, 255).astype(np.uint8)
    sigmas = []
    for _ in range(200):
        slope = np.diff(augment(image, rng, ranges)[30].astype(float)) / 255
        sigmas.append(np.sqrt(slope @ (np.arange(80) - 39.0) ** 2))
    assert max(sigmas) == pytest.approx(3.0, abs=0.1)
    assert np.mean(sigmas) == pytest.approx(1.5, abs=0.2)


def test_the_noise_preset_is_noisy_but_leaves_the_picture():
    rng = np.random.default_rng(0)
    image = np.where(np.indices((120, 160))[1] < 80, 90, 170).astype(np.uint8)
    changed = [augment(image, rng, NOISE).astype(float) for _ in range(50)]
    assert np.mean([np.abs(c - image).mean() for c in changed]) > 8
    assert all(c[:, 90:].mean() - c[:, :70].mean() > 15 for c in changed)


@pytest.mark.parametrize(
    ('field', 'value', 'allowed'),
    [
        ('noise_probability', 1.5, 'between 0.0 and 1.0'),
        ('max_gamma', 0.5, 'between 1.0 and 10.0'),
        ('min_jpeg_quality', 99, 'between 1 and 95'),
        ('max_noise', -1.0, 'between 0.0 and 255.0'),
        ('min_contrast', 2.0, 'at most max_contrast'),
    ],
)
def test_invalid_photometric_ranges_are_refused_with_what_would_be_right(field, value, allowed):
    with pytest.raises(ValueError, match=f'{field} must .*{allowed}.*, got {value}'):
        PhotometricRanges(**{field: value})


@pytest.mark.parametrize(
    'image',
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_augment_refuses_images_of_other_types(image):
    with pytest.raises(ValueError, match='takes a uint8 image'):
        augment(image, np.random.default_rng(0), PhotometricRanges())
