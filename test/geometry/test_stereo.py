# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Depths of keypoints from rectified stereo pairs, and pairs that are none."""

from __future__ import annotations

import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from superpoint_ros.features import Features
from superpoint_ros.geometry.camera_model import CameraModel, CameraModelError
from superpoint_ros.geometry.depth_settings import DepthSettings
from superpoint_ros.geometry.stereo import stereo_depths, StereoCamera, StereoError
from support.stereo_pairs import BASELINE, corner_features, FOCAL, SIZE, stereo_pair

MATRIX = np.array([[FOCAL, 0, 159.5], [0, FOCAL, 119.5], [0, 0, 1]])
CAMERA = StereoCamera(CameraModel('plumb_bob', MATRIX, np.zeros(0), SIZE), FOCAL, BASELINE)


def info(p03=0.0, size=(640, 480), **other):
    """Return the fields of a calibration, with this element of p."""
    values = {'fx': 400.0, 'fy': 400.0, 'cx': 320.0, 'cy': 240.0, 'p13': 0.0, 'x_offset': 0}
    values |= {'binning': 0} | other
    p = [values['fx'], 0, values['cx'], p03, 0, values['fy'], values['cy'], values['p13']]
    roi = SimpleNamespace(x_offset=values['x_offset'], y_offset=0, width=0, height=0)
    return SimpleNamespace(
        width=size[0],
        height=size[1],
        distortion_model='plumb_bob',
        d=[0.1, 0, 0, 0, 0],
        k=[390.0, 0, 310, 0, 390, 230, 0, 0, 1],
        p=[*p, 0, 0, 1, 0],
        roi=roi,
        binning_x=values['binning'],
        binning_y=values['binning'],
    )


def found(left, right, settings=None):
    features = corner_features(left), corner_features(right)
    return features[0], stereo_depths(*features, left, right, CAMERA, settings)


@pytest.mark.parametrize(
    ('options', 'bound'),
    [
        ({'noise': 0.0}, 0.02),
        ({'slope': (0.0, 0.0)}, 0.045),
        ({'disparity': 40.0, 'slope': (0.1, 0.3)}, 0.045),
        ({'gain': 0.8, 'noise': 4.0}, 0.1),
    ],
)
def test_disparities_are_exact_to_a_fraction_of_a_pixel_and_so_are_their_deviations(
    options, bound
):
    left, right, disparities = stereo_pair(**options)
    features, depths = found(left, right)
    known = depths.known
    assert known.sum() > 60
    measured = FOCAL * BASELINE / depths.values[known]
    errors = measured - disparities(features.keypoints[known])
    # Deviations of the disparities, from those of the depths.
    sigmas = depths.sigmas[known] / depths.values[known] * measured
    assert np.abs(errors).max() < 5 * bound
    assert np.sqrt(np.mean(errors**2)) < bound
    normalised = np.median(np.abs(errors / sigmas))
    assert 0.3 < normalised < 1.3  # 0.67 for a normal distribution


def test_depths_beyond_the_limits_are_unknown():
    left, right, _ = stereo_pair()
    _, depths = found(left, right)
    middle = float(np.nanmedian(depths.values))
    _, near = found(left, right, DepthSettings(max_depth=middle))
    _, far = found(left, right, DepthSettings(min_depth=middle))
    assert near.known.any()
    assert far.known.any()
    assert np.nanmax(near.values) <= middle
    assert np.nanmin(far.values) >= middle


def test_matches_that_differ_more_in_y_than_the_tolerance_have_no_depth():
    left, right, _ = stereo_pair()
    features = [corner_features(each) for each in (left, right)]
    features[1].keypoints[::4, 1] += 3
    strict, tolerant = (
        stereo_depths(*features, left, right, CAMERA, DepthSettings(row_tolerance=tolerance))
        for tolerance in (2.0, 4.0)
    )
    assert 0.65 < strict.known.sum() / tolerant.known.sum() < 0.85


def test_images_without_common_content_have_no_depth():
    left, _, _ = stereo_pair()
    _, right, _ = stereo_pair(seed=3)
    _, depths = found(left, right)
    assert depths.known.sum() <= 3


@pytest.mark.parametrize(('shift', 'spread'), [(0, 60), (100, 0)], ids=['unrelated', 'near'])
def test_matches_that_are_no_error_of_the_pair_have_no_depth(shift, spread):
    # Many matches without depth, as of two images that look alike or of a scene nearer than
    # min_depth: neither is a reason to call the pair wrong.
    rng = np.random.default_rng(0)
    points = rng.uniform((160, 60), (300, 180), (60, 2))
    moved = points - [shift, 0] + rng.uniform(-spread, spread, points.shape)
    left, right = (Features(each, np.ones(60), np.eye(60)) for each in (points, moved))
    images = [rng.integers(0, 256, SIZE[::-1], dtype=np.uint8) for _ in range(2)]
    depths = stereo_depths(left, right, *images, CAMERA, DepthSettings(min_depth=1.0))
    assert depths.known.sum() <= 3


def test_no_keypoints_have_no_depths():
    left, right, _ = stereo_pair()
    none, some = Features.empty(81), corner_features(right)
    assert len(stereo_depths(none, some, left, right, CAMERA)) == 0
    assert not stereo_depths(some, none, right, left, CAMERA).known.any()


def lowered(image, pixels):
    """Return the image, moved down."""
    matrix = np.array([[1.0, 0, 0], [0, 1, pixels]])
    return cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize('shift', [1.5, 4, 30])
def test_pairs_that_are_not_rectified_are_refused(shift):
    left, right, _ = stereo_pair()
    with pytest.raises(StereoError, match=r'not rectified: .* by [0-9.]+ px in y') as error:
        found(left, lowered(right, shift))
    [measured] = re.findall(r'by ([0-9.]+) px', str(error.value))
    assert float(measured) == pytest.approx(shift, abs=0.5)


def test_a_small_error_of_the_rectification_is_tolerated():
    left, right, _ = stereo_pair()
    assert found(left, lowered(right, 0.4))[1].known.sum() > 40


def test_exchanged_images_and_images_of_two_sizes_are_refused():
    left, right, _ = stereo_pair()
    with pytest.raises(StereoError, match='left and right image are exchanged'):
        found(right, left)
    features = corner_features(left)
    with pytest.raises(StereoError, match='same size, got 320x240 and 320x200'):
        stereo_depths(features, features, left, right[:200], CAMERA)


def test_the_calibration_comes_from_the_matrices_p():
    camera = StereoCamera.from_messages(info(), info(-48.0, cx=310.0))
    assert (camera.focal, camera.baseline, camera.offset) == (400.0, pytest.approx(0.12), 10.0)
    np.testing.assert_array_equal(camera.left.matrix[0], [400, 0, 320])
    assert len(camera.left.distortion) == 0
    depths = camera.depths(np.array([34.0, 10.0, 5.0]), np.full(3, 0.1))
    np.testing.assert_allclose(depths.values, [2, np.nan, np.nan])
    np.testing.assert_allclose(depths.sigmas[0], 2 / 24 * 0.1, rtol=1e-5)
    # Both shifted alike, as by a common origin: the baseline is the difference.
    moved = StereoCamera.from_messages(info(40.0), info(-8.0))
    assert moved.baseline == pytest.approx(0.12)
    binned = StereoCamera.from_messages(info(binning=2), info(-48.0, cx=310.0, binning=2))
    assert (binned.focal, binned.offset) == (200.0, 5.0)
    cropped = StereoCamera.from_messages(info(x_offset=8), info(-48.0, cx=310.0, x_offset=3))
    assert cropped.offset == 5.0
    assert camera.disparity_range(DepthSettings(min_depth=1.0, max_depth=4.0)) == (22.0, 58.0)


@pytest.mark.parametrize(
    ('right', 'reason'),
    [
        (info(), r'no baseline: p\[0, 3\] of the right camera must be'),
        (info(48.0), 'left and right camera are exchanged'),
        (info(-48.0, size=(320, 240)), 'same image size'),
        (info(-48.0, fx=300.0), 'not those of a rectified pair'),
        (info(-48.0, cy=250.0), 'not those of a rectified pair'),
        (info(-48.0, p13=-48.0), 'one above the other'),
        (info(-48.0, fx=0.0), 'focal lengths in p are not positive'),
        (info(np.nan), 'no baseline'),
    ],
)
def test_calibrations_that_are_no_stereo_pair_are_refused(right, reason):
    with pytest.raises(CameraModelError, match=reason):
        StereoCamera.from_messages(info(), right)


def test_a_largest_depth_below_the_smallest_one_is_refused():
    with pytest.raises(ValueError, match='max_depth must be 0 or above min_depth, 2.0; got 1.0'):
        DepthSettings(min_depth=2.0, max_depth=1.0)
