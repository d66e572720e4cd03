# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Patches are found in warped images to a fraction of a pixel, whatever the light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.odometry.patch_alignment import NO_PATCH, PatchPool, smoothed
from superpoint_ros.odometry.patch_pixels import GAINS, PatchMemory, PIXELS
from superpoint_ros.odometry.patch_preparation import prepare_patches
from support.noise_pictures import noise_picture

UNIT = np.eye(2, dtype=np.float32)
SIZE = (320, 240)


@pytest.fixture(scope='module')
def picture():
    return noise_picture(3, SIZE)


def points_in(picture, count=60, seed=1):
    height, width = picture.shape
    rng = np.random.default_rng(seed)
    return rng.uniform([40, 40], [width - 40, height - 40], (count, 2)).astype(np.float32)


def warped(picture, affine, gain=1.0, offset=0.0):
    """Return the picture moved by an affine (2, 3), with other gray levels."""
    height, width = picture.shape
    moved = cv2.warpAffine(
        picture.astype(np.float32), affine, (width, height), flags=cv2.INTER_LANCZOS4
    )
    return np.clip(gain * moved + offset, 0, 255).astype(np.uint8)


def align(picture, image, points, start):
    pool = PatchPool()
    slots = pool.add(smoothed(picture), points)
    assert (slots != NO_PATCH).all()
    return pool.align(smoothed(image), slots, start, np.tile(UNIT, (len(points), 1, 1)))


@pytest.mark.parametrize(
    ('affine', 'gain', 'offset'),
    [
        ([[1, 0, 0.5], [0, 1, -0.25]], 1.0, 0.0),
        ([[1, 0, 1.25], [0, 1, 0.75]], 0.6, 30.0),
        ([[1.12, 0.05, -20], [-0.06, 1.1, -5]], 1.0, 0.0),
    ],
)
def test_patches_are_found_to_a_few_hundredths_of_a_pixel(picture, affine, gain, offset):
    affine = np.array(affine, np.float64)
    points = points_in(picture)
    true = points @ affine[:, :2].T + affine[:, 2]
    inside = (true > 15).all(axis=1) & (true < np.array(picture.shape[::-1]) - 15).all(axis=1)
    points, true = points[inside], true[inside]
    assert len(points) > 30
    start = true + np.random.default_rng(2).uniform(-1.2, 1.2, true.shape)
    found = align(picture, warped(picture, affine, gain, offset), points, start)
    good = found.correlations > 0.9
    assert good.mean() > 0.95
    errors = np.linalg.norm(found.points - true, axis=1)[good]
    assert np.median(errors) < 0.03
    assert np.percentile(errors, 90) < 0.08
    np.testing.assert_allclose(np.median(found.warps, axis=0), affine[:, :2], atol=0.01)


def test_patches_of_dark_images_are_found_as_precisely_as_their_gray_levels_allow(picture):
    affine = np.array([[1, 0, 0.5], [0, 1, -0.25]])
    points = points_in(picture)
    true = (points + affine[:, 2]).astype(np.float32)
    dark = warped(picture, np.eye(2, 3), 0.06, 5.0)
    found = align(dark, warped(picture, affine, 0.06, 5.0), points, true)
    errors = np.linalg.norm(found.points - true, axis=1)
    assert (found.correlations > 0.9).mean() > 0.95
    assert np.median(errors) < 0.12


def test_a_patch_that_is_not_in_the_image_has_a_low_correlation(picture):
    points = points_in(picture)
    other = noise_picture(9, SIZE)
    found = align(picture, other, points, points)
    assert np.median(found.correlations) < 0.8
    assert (found.correlations < 0.95).mean() > 0.95


def test_the_gains_of_a_patch_turn_the_gray_levels_of_a_shifted_one_into_the_shift(picture):
    points, shift = points_in(picture), np.array([0.2, -0.1], np.float32)

    def prepared(places):
        count = len(places)
        shapes = (PIXELS,), (GAINS, PIXELS), (2, 2), (2, 2, 2), ()
        memory = PatchMemory(*(np.zeros((count, *shape), np.float32) for shape in shapes))
        good = np.zeros(count, bool)
        prepare_patches(smoothed(picture), places, np.arange(count), memory, good)
        assert good.all()
        return memory

    values, gains, *_ = prepared(points)
    moved = prepared(points + shift).values
    np.testing.assert_allclose(np.einsum('ngp,np->ng', gains, values), 0, atol=1e-4)
    updates = np.einsum('ngp,np->ng', gains, moved)
    np.testing.assert_allclose(np.median(updates[:, :2], axis=0), shift, rtol=0.1)
    np.testing.assert_allclose(np.median(updates[:, 6:8], axis=0), shift, rtol=0.1)
    # The last two do not see a motion that the warp explains.
    assert np.abs(np.median(updates[:, 8:], axis=0)).max() < 0.002


@pytest.mark.parametrize('turned', [False, True])
def test_patches_on_a_road_are_found_without_a_bias_along_the_motion(picture, turned):
    # The camera moves ahead above a plane with the horizon in row -20: y is y / (1 - 0.002 y).
    width = picture.shape[1]
    down = np.array([[1, 0, -width / 2], [0, 1, 20], [0, 0, 1.0]])
    ahead = np.array([[1, 0, 0], [0, 1, 0], [0, -0.002, 1.0]])
    homography = np.linalg.inv(down) @ ahead @ down
    if turned:
        picture = np.ascontiguousarray(picture.T)
        homography = homography[[1, 0, 2]][:, [1, 0, 2]]
    size = picture.shape[::-1]
    moved = cv2.warpPerspective(picture, homography, size, flags=cv2.INTER_LANCZOS4)
    rng = np.random.default_rng(4)
    across, along = rng.uniform(60, width - 60, 300), rng.uniform(40, 130, 300)
    points = np.stack([along, across] if turned else [across, along], axis=1).astype(np.float32)
    true = cv2.perspectiveTransform(points[None].astype(float), homography)[0]
    found = align(picture, moved, points, true.astype(np.float32))
    good = (found.correlations > 0.9) & (true > 15).all(axis=1)
    good &= (true < np.array(size) - 15).all(axis=1)
    assert good.sum() > 150
    errors = (found.points - true)[good]
    assert np.abs(np.median(errors, axis=0)).max() < 0.02


@pytest.mark.parametrize(
    ('stretch', 'is_found'), [(0.48, False), (0.52, True), (1.9, True), (2.1, False)]
)
def test_patches_are_found_up_to_a_stretch_of_two(picture, stretch, is_found):
    middle = (np.array(SIZE) - 1) / 2
    affine = np.c_[stretch * np.eye(2), (1 - stretch) * middle]
    points = (middle + np.random.default_rng(1).uniform(-30, 30, (20, 2))).astype(np.float32)
    pool = PatchPool()
    slots = pool.add(smoothed(cv2.GaussianBlur(picture, (0, 0), 2)), points)
    image = warped(cv2.GaussianBlur(picture, (0, 0), 2), affine)
    start = points @ affine[:, :2].T + affine[:, 2]
    found = pool.align(smoothed(image), slots, start, np.tile(stretch * UNIT, (20, 1, 1)))
    if is_found:
        assert (found.correlations > 0.9).mean() > 0.8
    else:
        assert found.correlations.tolist() == [-1] * 20


def test_points_without_contrast_or_near_the_border_have_no_patch(picture):
    flat = np.full(SIZE[::-1], 90, np.uint8)
    pool = PatchPool()
    assert pool.add(smoothed(flat), points_in(picture)).tolist() == [NO_PATCH] * 60
    edge = flat.copy()
    edge[:, 100:] = 200  # no position along the edge
    assert pool.add(smoothed(edge), np.array([[100, 60]], np.float32)).tolist() == [NO_PATCH]
    corners = np.array([[3, 3], [SIZE[0] - 4, 50], [50, SIZE[1] - 2], [-5, 900]], np.float32)
    assert pool.add(smoothed(picture), corners).tolist() == [NO_PATCH] * 4
    assert pool.add(smoothed(picture), np.zeros((0, 2))).shape == (0,)
    found = pool.align(
        smoothed(picture), np.array([NO_PATCH]), np.array([[50, 50]]), UNIT[None].copy()
    )
    assert found.correlations.tolist() == [-1]
    assert found.points.tolist() == [[50, 50]]


def test_slots_of_removed_patches_are_used_again(picture):
    pool, points = PatchPool(), points_in(picture)
    slots = pool.add(smoothed(picture), points)
    assert len(np.unique(slots)) == len(points)
    pool.remove(slots[:30])
    again = pool.add(smoothed(picture), points[:30])
    assert set(again) == set(slots[:30])
    many = np.repeat(points, 10, axis=0)  # more than the memory held so far
    more = pool.add(smoothed(picture), many)
    assert not set(more) & set(slots)
    slots[:30] = again
    found = pool.align(smoothed(picture), slots, points, np.tile(UNIT, (60, 1, 1)))
    assert (found.correlations > 0.999).all()


def test_covariances_are_smaller_across_edges_than_along_them():
    rng = np.random.default_rng(4)
    across = np.cumsum(rng.normal(0, 30, 160))
    along = np.cumsum(rng.normal(0, 3, 120))
    picture = cv2.normalize(across[None] + along[:, None], None, 0, 255, cv2.NORM_MINMAX)
    picture = cv2.GaussianBlur(picture, (0, 0), 1.5).astype(np.uint8)
    points = np.array([[80, 60]], np.float32)
    noisy = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
    covariance = align(picture, noisy, points, points).covariances[0]
    assert covariance[1, 1] > 10 * covariance[0, 0] > 0
    assert np.linalg.eigvalsh(covariance).min() > 0
