# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Each pixel's fate is told as the detector decided it, and the pictures show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detector import Detector
from superpoint_ros.evaluation import step_pictures as pictures
from superpoint_ros.evaluation.detection_steps import dissect
from superpoint_ros.files import demo_photographs


@pytest.fixture(scope='module')
def detector():
    """Return the shipped detector."""
    return Detector.from_weights(device='cpu')


@pytest.fixture(scope='module')
def image():
    """Return a photograph of an odd size."""
    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:203, :301].copy()


@pytest.fixture(scope='module')
def anatomy(detector, image):
    """Return what the detector makes of the photograph."""
    return dissect(detector, image)


def pixels_of(anatomy):
    """Return the pixels (N, 2) of the keypoints, in the order of the keypoints."""
    margin = anatomy.settings.border_margin
    inner = np.zeros_like(anatomy.peaks)
    inside = (slice(margin, -margin),) * 2
    inner[inside] = anatomy.peaks[inside]
    y, x = np.nonzero(inner)
    return np.stack([x, y], axis=1)[np.argsort(-inner[y, x], kind='stable')]


def test_it_is_what_the_detector_does(detector, image, anatomy):
    features = detector(image)
    assert len(features) > 20
    # Of nearly equal scores either may come first, and blobs are rounded differently.
    distance = np.abs(anatomy.features.keypoints[:, None] - features.keypoints).max(axis=2)
    nearest = distance.argmin(axis=0)
    assert distance.min(axis=0).max() < 0.02
    assert anatomy.features.scores == pytest.approx(features.scores, abs=2e-5)
    assert anatomy.features.descriptors[nearest] == pytest.approx(features.descriptors, abs=1e-3)
    assert anatomy.heatmap == pytest.approx(detector.heatmap(image), abs=1e-6)
    assert anatomy.probabilities.sum(axis=0) == pytest.approx(np.ones((26, 38)), abs=1e-5)


def test_a_pixel_is_one_channel_of_one_cell(anatomy):
    for x, y in ((0, 0), (7, 7), (8, 0), (123, 45), (300, 202)):
        column, row, channel = anatomy.cell_of(x, y)
        assert anatomy.heatmap[y, x] == pytest.approx(
            anatomy.probabilities[channel, row, column], abs=1e-6
        )
    assert anatomy.cell_of(13, 18) == (1, 2, 2 * 8 + 5)


def test_the_fate_of_every_keypoints_pixel_is_told(anatomy):
    pixels = pixels_of(anatomy)
    assert len(pixels) == len(anatomy.features)
    for number, (x, y) in enumerate(pixels.tolist(), start=1):
        place = anatomy.features.keypoints[number - 1]
        fate = anatomy.decision(x, y)[-1]
        assert f'so it is keypoint {number} of {len(pixels)}, placed at {place[0]:.2f}' in fate


def test_a_pixel_below_the_threshold_is_none(anatomy):
    faint = (anatomy.worth > 0) & (anatomy.worth < anatomy.settings.threshold)
    x, y = np.argwhere(faint)[0][::-1].tolist()
    lines = anatomy.decision(x, y)
    assert f'Of the probability of its cell it has {anatomy.heatmap[y, x]:.4f}' in lines[2]
    assert lines[3].endswith(f'its score is {anatomy.worth[y, x]:.4f}.')
    assert lines[-2:] == ['The threshold is 0.001.', 'It is no keypoint: that is more.']


def test_a_pixel_that_is_no_blob_is_none_however_probable(anatomy):
    probable = np.where(anatomy.worth > 0, 0, anatomy.heatmap)
    y, x = np.unravel_index(probable.argmax(), probable.shape)
    assert probable[y, x] > 10 * anatomy.settings.threshold
    fate = anatomy.decision(int(x), int(y))[-1]
    assert fate == 'It is no keypoint: it is no blob of the image.'


def test_without_blobs_the_heatmap_alone_decides(detector, image):
    plain = Detector(detector.engine, 128, replace(detector.settings, keypoints='heatmap'))
    anatomy = dissect(plain, image)
    assert np.array_equal(anatomy.worth, anatomy.heatmap)
    assert anatomy.features.keypoints == pytest.approx(plain(image).keypoints)
    y, x = np.unravel_index(anatomy.heatmap.argmin(), anatomy.heatmap.shape)
    lines = anatomy.decision(int(x), int(y))
    assert lines[-2:] == ['The threshold is 0.001.', 'It is no keypoint: that is more.']


def test_a_suppressed_pixel_names_the_one_that_suppressed_it(anatomy):
    threshold = anatomy.settings.threshold
    suppressed = np.argwhere((anatomy.worth >= threshold) & (anatomy.peaks == 0))
    assert len(suppressed) > 10
    y, x = suppressed[0].tolist()
    top, left = max(y - 3, 0), max(x - 3, 0)
    window = anatomy.peaks[top : y + 4, left : x + 4]
    dy, dx = np.unravel_index(window.argmax(), window.shape)
    assert anatomy.decision(x, y)[-1] == (
        f'It is no keypoint: pixel {left + dx}, {top + dy} with '
        f'{window.max():.4f} lies within 3 pixels and suppresses it.'
    )


def test_border_and_number_are_reasons_too(detector, image, anatomy):
    x, y = pixels_of(anatomy)[-1].tolist()
    distance = min(x, y, 300 - x, 202 - y)
    strict = Detector(detector.engine, 128, replace(detector.settings, border_margin=distance + 1))
    fate = dissect(strict, image).decision(x, y)[-1]
    assert fate == f'It is no keypoint: it lies within {distance + 1} pixels of the border.'
    few = Detector(detector.engine, 128, replace(detector.settings, max_keypoints=3))
    fate = dissect(few, image).decision(x, y)[-1]
    assert fate == 'It is no keypoint: 3 others go before it.'


def test_an_image_that_would_be_reduced_is_refused(detector, image):
    settings = replace(detector.settings, max_image_size=200)
    with pytest.raises(ValueError, match='301x203 pixels is larger than max_image_size, 200'):
        dissect(Detector(detector.engine, 128, settings), image)
    settings = replace(detector.settings, upscale_factor=1.5)
    with pytest.raises(ValueError, match='leave magnification and levels at 1'):
        dissect(Detector(detector.engine, 128, settings), image)


@pytest.mark.parametrize(('x', 'y'), [(-1, 0), (301, 0), (0, 203)])
def test_a_pixel_beyond_the_image_is_refused(anatomy, x, y):
    with pytest.raises(ValueError, match=f'pixel {x}, {y} is not in the image of 301x203 pixels'):
        anatomy.decision(x, y)


def test_the_selection_shows_kept_pixels_green_and_suppressed_ones_red(anatomy):
    picture = pictures.selection(anatomy)
    left, top, columns, rows = pictures._region(anatomy)
    part = np.s_[8 * top : 8 * (top + rows), 8 * left : 8 * (left + columns)]
    # Three panels of 5 pixels for one, with gaps of 4; the middle one is looked at.
    panel = picture[4:, 8 + columns * 40 :][2 : rows * 40 : 5, 2 : columns * 40 : 5]
    kept = anatomy.peaks[part] > 0
    suppressed = (anatomy.worth[part] >= anatomy.settings.threshold) & ~kept
    assert suppressed.any()
    assert kept.sum() >= 4
    assert (panel[kept] == pictures.GREEN).all()
    # White squares may lie over some of the pixels.
    assert ((panel[suppressed] == pictures.RED).all(axis=1)).mean() >= 0.5
    assert not (panel[~kept & ~suppressed] == pictures.RED).all(axis=1).any()


def test_the_close_up_is_where_most_keypoints_are(anatomy):
    left, top, columns, rows = pictures._region(anatomy)

    def count(x, y):
        first, last = np.array([x, y]) * 8, np.array([x + columns, y + rows]) * 8
        points = anatomy.features.keypoints
        return int(((points >= first) & (points < last)).all(axis=1).sum())

    counts = [count(x, y) for x in range(37 - columns + 1) for y in range(25 - rows + 1)]
    assert (columns, rows) == (8, 6)
    assert count(left, top) == max(counts) > 0


def test_the_second_view_shows_where_the_homography_takes_points(image):
    view, homography = pictures.other_view(image)
    assert view.shape == image.shape
    centre = homography @ [150, 101, 1]
    assert centre / centre[2] == pytest.approx([150, 101, 1])
    assert abs(int(view[101, 150]) - int(image[101, 150])) <= 2


@pytest.mark.parametrize('shape', [(16, 16), (40, 500)])
def test_small_and_narrow_images_have_pictures_too(detector, shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    anatomy = dissect(detector, image)
    for draw in (pictures.cells, pictures.channels, pictures.pixel_shuffle, pictures.heatmap):
        assert draw(anatomy).dtype == np.uint8
    assert pictures.selection(anatomy).shape[2] == 3
