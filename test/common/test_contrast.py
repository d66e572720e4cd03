# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Dark and hazy images are stretched, and noise is not."""

from __future__ import annotations

import numpy as np
import pytest

from superpoint_ros.common.contrast import LEAST_CONTRAST, MAX_STRETCHED_NOISE, stretch_contrast


def scene(contrast, middle, noise=0.0):
    """Return an image with flat, bright and dark squares, whose gray levels span `contrast`."""
    rng = np.random.default_rng(0)
    levels = middle + contrast * (np.kron(rng.random((12, 16)), np.ones((20, 20))) - 0.5)
    return np.clip(np.rint(levels + rng.normal(0, noise, levels.shape)), 0, 255).astype(np.uint8)


def contrast_of(image):
    return np.subtract(*np.percentile(image, [99, 1]))


@pytest.mark.parametrize(('contrast', 'middle'), [(16, 10), (30, 200), (90, 128)])
def test_an_image_of_low_contrast_is_stretched_about_mid_gray(contrast, middle):
    image = scene(contrast, middle)
    stretched = stretch_contrast(image, 120)
    assert stretched.dtype == np.uint8
    assert contrast_of(stretched) == pytest.approx(120, abs=13)  # a gray level becomes up to 8
    assert np.percentile(stretched, [1, 99]).mean() == pytest.approx(128, abs=7)
    # The order of gray levels remains.
    order = np.argsort(image, axis=None)
    assert (np.diff(stretched.ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ('contrast', 'min_contrast'), [(90, 60), (60, 0), (LEAST_CONTRAST - 2, 100), (0, 100)]
)
def test_other_images_are_not_changed(contrast, min_contrast):
    image = scene(contrast, 100)
    assert stretch_contrast(image, min_contrast) is image


def test_a_strip_that_has_no_blocks_is_not_changed():
    strip = scene(30, 100)[:7]
    assert stretch_contrast(strip, 100) is strip


@pytest.mark.parametrize('noise', [2.0, 3.0, 6.0])
def test_noise_is_not_stretched_beyond_its_limit(noise):
    image = scene(20, 60, noise)
    stretched = stretch_contrast(image, 200)
    flat = np.s_[:20, :20]  # one of the squares
    limit = max(MAX_STRETCHED_NOISE, image[flat].std())
    assert stretched[flat].std() == pytest.approx(limit, rel=0.2)


def test_what_the_mask_forbids_does_not_count_as_contrast():
    image = scene(20, 60)
    image[:, :80] = 255
    mask = np.ones(image.shape, bool)
    mask[:, :80] = False
    assert stretch_contrast(image, 100) is image
    assert contrast_of(stretch_contrast(image, 100, mask)[:, 80:]) == pytest.approx(100, abs=13)
    assert stretch_contrast(image, 100, np.zeros_like(mask)) is image
