# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The decision on each pixel is explained as the detector made it, and pictures show it."""

from __future__ import annotations

from dataclasses import replace
import re

import numpy as np
import pytest
import torch

from superpoint_ros.common.contrast import stretch_contrast
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detection.pipeline import detect
from superpoint_ros.detector import Detector
from superpoint_ros.evaluation import detection_steps
from superpoint_ros.evaluation import step_pictures as pictures
from superpoint_ros.evaluation.detection_steps import run_steps
from superpoint_ros.resources import demo_photographs


@pytest.fixture(scope='module')
def detector():
    """Return the shipped detector."""
    return Detector.from_weights(device='cpu', threshold=0.001)


@pytest.fixture(scope='module')
def image():
    """Return a photograph of an odd size."""
    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:203, :301].copy()


@pytest.fixture(scope='module')
def steps(detector, image):
    """Return the steps of the detector in the photograph."""
    return run_steps(detector, image)


def test_steps_record_nothing_for_gradients(detector, image, monkeypatch):
    modes = []

    def noting(*arguments, **options):
        modes.append(torch.is_inference_mode_enabled())
        return detect(*arguments, **options)

    monkeypatch.setattr(detection_steps, 'detect', noting)
    run_steps(detector, image)
    assert modes == [True]


def pixels_of(steps):
    """Return the pixels (N, 2) of the keypoints, in the order of the keypoints."""
    margin = steps.settings.border_margin
    inner = np.zeros_like(steps.maxima)
    inside = (slice(margin, -margin),) * 2
    inner[inside] = steps.maxima[inside]
    y, x = np.nonzero(inner)
    return np.stack([x, y], axis=1)[np.argsort(-inner[y, x], kind='stable')]


def test_steps_are_those_of_the_detector(detector, image, steps):
    features = detector(image)
    assert len(features) > 20
    # Of nearly equal scores either may come first, and the response is rounded differently.
    distance = np.abs(steps.features.keypoints[:, None] - features.keypoints).max(axis=2)
    nearest = distance.argmin(axis=0)
    assert distance.min(axis=0).max() < 0.02
    assert steps.features.scores == pytest.approx(features.scores, abs=2e-5)
    assert steps.features.descriptors[nearest] == pytest.approx(features.descriptors, abs=1e-3)
    assert steps.heatmap == pytest.approx(detector.heatmap(image), abs=1e-6)
    assert steps.probabilities.sum(axis=0) == pytest.approx(np.ones((26, 38)), abs=1e-5)


def test_steps_of_a_dark_image_are_those_of_the_stretched_one(detector, image):
    dark = np.rint(0.1 * image).astype(np.uint8)
    found = run_steps(detector, dark)
    np.testing.assert_array_equal(found.image, stretch_contrast(dark, 100))
    assert len(found.features) == len(detector(dark)) > 20


def test_a_pixel_is_one_channel_of_one_cell(steps):
    for x, y in ((0, 0), (7, 7), (8, 0), (123, 45), (300, 202)):
        column, row, channel = steps.cell_of(x, y)
        assert steps.heatmap[y, x] == pytest.approx(
            steps.probabilities[channel, row, column], abs=1e-6
        )
    assert steps.cell_of(13, 18) == (1, 2, 2 * 8 + 5)


def test_the_pixel_of_every_keypoint_is_explained(steps):
    pixels = pixels_of(steps)
    assert len(pixels) == len(steps.features)
    for number, (x, y) in enumerate(pixels.tolist(), start=1):
        place = steps.features.keypoints[number - 1]
        fate = steps.explain(x, y)[-1]
        assert f'It is keypoint {number} of {len(pixels)}, at {place[0]:.2f}' in fate


def test_a_pixel_below_the_threshold_is_not_a_keypoint(steps):
    faint = (steps.score_map > 0) & (steps.score_map < steps.settings.threshold)
    x, y = np.argwhere(faint)[0][::-1].tolist()
    lines = steps.explain(x, y)
    assert f'Its probability is {steps.heatmap[y, x]:.4f}' in lines[2]
    said = re.search(r'its score is ([0-9.]+)\.$', lines[3])[1]  # without an exponent
    assert float(said) == pytest.approx(steps.score_map[y, x], rel=0.01)
    assert lines[-2] == 'The threshold is 0.001.'
    assert lines[-1] == 'It is not a keypoint: its score is below the threshold.'


def test_a_pixel_that_is_not_an_extremum_is_not_a_keypoint_however_probable(steps):
    probable = np.where(steps.score_map > 0, 0, steps.heatmap)
    y, x = np.unravel_index(probable.argmax(), probable.shape)
    assert probable[y, x] > 10 * steps.settings.threshold
    fate = steps.explain(int(x), int(y))[-1]
    assert fate == 'It is not a keypoint: it is not an extremum of the Hessian response.'


def test_with_heatmap_keypoints_the_heatmap_alone_decides(detector, image):
    plain = Detector(detector.engine, 128, replace(detector.settings, keypoints='heatmap'))
    steps = run_steps(plain, image)
    assert np.array_equal(steps.score_map, steps.heatmap)
    found, expected = steps.features.keypoints, plain(image).keypoints
    assert len(found) == len(expected)
    # The order of equal scores is open.
    distances = np.abs(found[:, None] - expected).max(axis=2)
    assert distances.min(axis=0).max() < 1e-3
    assert distances.min(axis=1).max() < 1e-3
    y, x = np.unravel_index(steps.heatmap.argmin(), steps.heatmap.shape)
    lines = steps.explain(int(x), int(y))
    assert lines[-2] == 'The threshold is 0.001.'
    assert lines[-1] == 'It is not a keypoint: its score is below the threshold.'


def test_a_suppressed_pixel_names_the_one_that_suppressed_it(steps):
    threshold = steps.settings.threshold
    suppressed = np.argwhere((steps.score_map >= threshold) & (steps.maxima == 0))
    assert len(suppressed) > 10
    y, x = suppressed[0].tolist()
    top, left = max(y - 3, 0), max(x - 3, 0)
    window = steps.maxima[top : y + 4, left : x + 4]
    dy, dx = np.unravel_index(window.argmax(), window.shape)
    said, score = steps.explain(x, y)[-1].split(' with a score of ')
    pixel = f'pixel {left + dx}, {top + dy}'
    assert said == f'It is not a keypoint: {pixel} within 3 px suppresses it'
    assert float(score.rstrip('.')) == pytest.approx(window.max(), rel=0.01)


def test_border_and_number_are_reasons_too(detector, image, steps):
    x, y = pixels_of(steps)[-1].tolist()
    distance = min(x, y, 300 - x, 202 - y)
    strict = Detector(detector.engine, 128, replace(detector.settings, border_margin=distance + 1))
    fate = run_steps(strict, image).explain(x, y)[-1]
    assert fate == f'It is not a keypoint: it is within {distance + 1} px of the border.'
    few = Detector(detector.engine, 128, replace(detector.settings, max_keypoints=3))
    fate = run_steps(few, image).explain(x, y)[-1]
    assert fate == (
        'It is not a keypoint: the maximum number of keypoints, 3, is reached before it.'
    )


def test_an_image_that_would_be_reduced_is_refused(detector, image):
    settings = replace(detector.settings, max_image_size=200)
    with pytest.raises(ValueError, match='301x203 pixels is larger than max_image_size, 200'):
        run_steps(Detector(detector.engine, 128, settings), image)
    settings = replace(detector.settings, upscale_factor=1.5)
    with pytest.raises(ValueError, match='leave upscale_factor and descriptor_scales at 1'):
        run_steps(Detector(detector.engine, 128, settings), image)


@pytest.mark.parametrize(('x', 'y'), [(-1, 0), (301, 0), (0, 203)])
def test_a_pixel_beyond_the_image_is_refused(steps, x, y):
    with pytest.raises(ValueError, match=f'pixel {x}, {y} is outside the image of 301x203 pixels'):
        steps.explain(x, y)


def test_the_selection_shows_kept_pixels_green_and_suppressed_ones_red(steps):
    picture = pictures.selection(steps)
    left, top, columns, rows = pictures._region(steps)
    part = np.s_[8 * top : 8 * (top + rows), 8 * left : 8 * (left + columns)]
    # Three panels of 5 pixels for one, with gaps of 4; the middle one is looked at.
    panel = picture[4:, 8 + columns * 40 :][2 : rows * 40 : 5, 2 : columns * 40 : 5]
    kept = steps.maxima[part] > 0
    suppressed = (steps.score_map[part] >= steps.settings.threshold) & ~kept
    assert suppressed.any()
    assert kept.sum() >= 4
    assert (panel[kept] == pictures.GREEN).all()
    # White squares may lie over some of the pixels.
    assert ((panel[suppressed] == pictures.RED).all(axis=1)).mean() >= 0.5
    assert not (panel[~kept & ~suppressed] == pictures.RED).all(axis=1).any()


def test_the_close_up_is_where_most_keypoints_are(steps):
    left, top, columns, rows = pictures._region(steps)

    def count(x, y):
        first, last = np.array([x, y]) * 8, np.array([x + columns, y + rows]) * 8
        points = steps.features.keypoints
        return int(((points >= first) & (points < last)).all(axis=1).sum())

    counts = [count(x, y) for x in range(37 - columns + 1) for y in range(25 - rows + 1)]
    assert (columns, rows) == (8, 6)
    assert count(left, top) == max(counts) > 0


def test_the_example_cells_differ_if_the_best_keypoint_is_ambiguous_too(steps):
    probabilities = np.zeros_like(steps.probabilities)
    probabilities[64] = 0.9
    left, top, _, _ = pictures._region(steps)
    probabilities[[64, 5], top + 2, left + 3] = 0.5
    probabilities[64, top + 4, left + 1] = 0.6
    cells = pictures._example_cells(replace(steps, probabilities=probabilities))
    assert cells['a keypoint'] == (top + 2, left + 3)
    assert cells['ambiguous'] == (top + 4, left + 1)
    assert cells['empty'] == (top, left)


def test_in_an_image_without_keypoints_no_cell_is_said_to_have_one(detector):
    steps = run_steps(detector, np.zeros((64, 64), np.uint8))
    assert len(steps.features) == 0
    assert list(pictures._example_cells(steps)) == ['highest probability', 'ambiguous', 'empty']


def test_the_second_view_shows_where_the_homography_takes_points(image):
    view, homography = pictures.other_view(image)
    assert view.shape == image.shape
    centre = homography @ [150, 101, 1]
    assert centre / centre[2] == pytest.approx([150, 101, 1])
    assert abs(int(view[101, 150]) - int(image[101, 150])) <= 2


@pytest.mark.parametrize('shape', [(16, 16), (40, 500)])
def test_small_and_narrow_images_have_pictures_too(detector, shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    steps = run_steps(detector, image)
    for draw in (pictures.cells, pictures.channels, pictures.pixel_shuffle, pictures.heatmap):
        assert draw(steps).dtype == np.uint8
    assert pictures.selection(steps).shape[2] == 3


@pytest.mark.parametrize('width', [480, 640, 960, 1080, 1280, 1920])
def test_every_peak_of_a_heatmap_is_in_its_place_in_the_reduced_picture(width):
    scale = width / 480
    for x in range(0, width, 7):
        heatmap = np.zeros((round(90 * scale), width), np.float32)
        heatmap[30, x] = 1
        reduced = pictures.reduced_maxima(heatmap, (90, 480))
        y_found, x_found = np.argwhere(reduced == 1).mean(axis=0)
        assert abs(x_found - ((x + 0.5) / scale - 0.5)) <= 0.75
        assert abs(y_found - (30.5 / scale - 0.5)) <= 0.75
