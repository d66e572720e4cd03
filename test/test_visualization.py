# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures show the keypoints where they are and leave the rest of the image alone."""

from __future__ import annotations

import os
import re

import cv2
import numpy as np
import pytest

from superpoint_ros.features import Features
from superpoint_ros.visualization import (
    contact_sheet,
    DARK,
    draw_keypoints,
    draw_matches,
    GREEN,
    RED,
    to_ascii,
    to_bgr,
    write_figure,
    write_picture,
    write_text,
)


def gray(width=60, height=40, value=100):
    return np.full((height, width), value, np.uint8)


def has_color(picture, color):
    # Lines are antialiased: even their middle keeps a little of the image.
    return (np.abs(picture.astype(int) - color) <= 32).all(axis=-1)


def test_a_ring_surrounds_each_keypoint_and_the_rest_stays():
    image = gray()
    picture = draw_keypoints(image, np.array([[20, 10]]), radius=4)
    assert picture.shape == (40, 60, 3)
    assert picture.dtype == np.uint8
    for x, y in ((24, 10), (16, 10), (20, 14), (20, 6)):
        assert has_color(picture[y, x], GREEN)
    assert tuple(picture[10, 20]) == (100, 100, 100)
    ys, xs = np.nonzero((picture != 100).any(axis=2))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (15, 25, 5, 15)
    assert (image == 100).all()


def test_keypoints_are_drawn_with_subpixel_precision():
    left = draw_keypoints(gray(), np.array([[20.0, 10.0]]), radius=4).astype(float) - 100
    moved = draw_keypoints(gray(), np.array([[20.5, 10.0]]), radius=4).astype(float) - 100
    centres = [(np.abs(p).sum((0, 2)) @ np.arange(60)) / np.abs(p).sum() for p in (left, moved)]
    assert centres[0] == pytest.approx(20, abs=0.05)
    assert centres[1] == pytest.approx(20.5, abs=0.05)


def test_the_best_keypoint_is_green_and_the_last_red():
    features = Features([[10, 20], [45, 20]], [0.9, 0.1], np.zeros((2, 0)))
    picture = draw_keypoints(gray(), features, radius=3)
    assert has_color(picture[20, 13], (0, 255, 0))
    assert has_color(picture[20, 48], (0, 0, 255))


@pytest.mark.parametrize('keypoints', [np.zeros((0, 2)), [], Features.empty(8), [[np.nan, 3]]])
def test_drawing_no_keypoints_leaves_the_image_unchanged(keypoints):
    assert (draw_keypoints(gray(), keypoints) == 100).all()


def test_matches_are_lines_from_the_left_image_to_the_right_one():
    a, b = gray(60, 40), gray(30, 20, 50)
    matches = np.array([[0, 1], [1, 0]])
    picture = draw_matches(
        a, [[10, 10], [10, 30]], b, [[20, 18], [20, 10]], matches, correct=[True, False]
    )
    assert picture.shape == (40, 90, 3)
    assert tuple(picture[30, 80]) == DARK
    # The correct match is the horizontal line at 10; the wrong one falls from 30 to 18.
    assert has_color(picture, GREEN)[10, 20:70].all()
    assert has_color(picture, RED)[10, 20:70].sum() == 0
    assert (picture[24, 40:50, 2] > 200).any()


@pytest.mark.parametrize('far', [np.nan, np.inf])
def test_matches_of_points_that_are_not_finite_are_left_out(far):
    picture = draw_matches(
        gray(), [[far, 10], [10, 10]], gray(), [[5, 5], [far, 5]], [[0, 0], [1, 1]]
    )
    assert (picture == 100).all()


def test_a_match_of_a_point_far_outside_is_a_line_to_the_border():
    picture = draw_matches(gray(), [[10, 10]], gray(), [[1e9, 10]], [[0, 0]], correct=[True])
    assert has_color(picture, GREEN)[10, 12:].all()


def test_no_matches_give_both_images_side_by_side():
    picture = draw_matches(gray(), [], gray(60, 40, 7), [], np.zeros((0, 2), int))
    assert (picture[:, :60] == 100).all()
    assert (picture[:, 60:] == 7).all()


def test_a_contact_sheet_shows_every_image_in_reading_order():
    sheet = contact_sheet([gray(20, 10, value) for value in (10, 110, 210)], columns=2)
    assert sheet.shape == (2 * 14 + 4, 2 * 24 + 4, 3)
    assert tuple(sheet[4, 4]) == (10, 10, 10)
    assert tuple(sheet[4, 28]) == (110, 110, 110)
    assert tuple(sheet[18, 4]) == (210, 210, 210)
    assert tuple(sheet[18, 28]) == DARK


def test_a_contact_sheet_centres_small_images_and_writes_captions():
    sheet = contact_sheet([gray(40, 40, 10), gray(20, 20, 210)], captions=['first', 'second'])
    assert has_color(sheet, (210, 210, 210))[14:34, 58:78].all()
    assert sheet[46:62, 4:44].max() > 200
    assert sheet[:44, 48:58].max() == 32


def test_captions_of_small_images_are_not_cut_unless_they_are_very_long():
    caption = 'heatmap (square root of the probability'
    whole, other = (contact_sheet([gray(16)], captions=[caption + end]) for end in ')]')
    assert whole.shape == other.shape
    assert (whole != other).any()
    assert contact_sheet([gray(16)], captions=[caption * 9]).shape[1] == 408


def test_a_contact_sheet_needs_images_and_as_many_captions():
    with pytest.raises(ValueError, match='at least one image'):
        contact_sheet([])
    with pytest.raises(ValueError, match='a caption for each image: got 1 for 2'):
        contact_sheet([gray(), gray()], captions=['one'])


def test_names_with_dollar_signs_are_no_formulas_in_charts(tmp_path):
    figures = pytest.importorskip('matplotlib.figure', reason='matplotlib is not installed')
    figure = figures.Figure()
    axes = figure.subplots()
    axes.loglog([1, 10], [1, 10], label='a $\\frac$')
    axes.set_title('sequence_$x_$')
    legend = axes.legend()
    write_figure(tmp_path / 'chart.png', figure)
    assert cv2.imread(str(tmp_path / 'chart.png')) is not None
    assert not legend.get_texts()[0].get_parse_math()
    assert axes.get_xticklabels()[0].get_parse_math()


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('Übergänge', 'Ubergange'),
        ('U\u0308bung (as macOS writes it)', 'Ubung (as macOS writes it)'),
        ('İstanbul, Nẵng', 'Istanbul, Nang'),
        ('道路 7.png', '?? 7.png'),
        ('\udcfcber.png\n', '?ber.png?'),  # not UTF-8
        ('640x480: 12 %', '640x480: 12 %'),
    ],
)
def test_texts_in_pictures_are_legible(text, shown):
    assert to_ascii(text) == shown
    pictures = np.zeros((2, 24, 300, 3), np.uint8)
    write_text(pictures[0], text, (2, 16), 0.5)
    write_text(pictures[1], shown, (2, 16), 0.5)
    assert pictures[0].any()
    assert (pictures[0] == pictures[1]).all()
    sheets = [contact_sheet([gray(200)], captions=[each]) for each in (text, shown)]
    assert (sheets[0] == sheets[1]).all()


@pytest.mark.parametrize(
    'image',
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_arrays_that_are_not_images_are_refused_with_their_shape(image):
    with pytest.raises(ValueError, match=r'expected a uint8 image .* got \w+ \('):
        to_bgr(image)


def test_keypoints_are_drawn_on_color_images():
    image = np.zeros((4, 4, 3), np.uint8) + np.array([1, 2, 3], np.uint8)
    assert tuple(to_bgr(image)[0, 0]) == (1, 2, 3)
    for shape in ((2, 3), (2,), (1, 2, 2)):
        message = f'keypoints must have shape (N, 2), got {shape}'
        with pytest.raises(ValueError, match=re.escape(message)):
            draw_keypoints(image, np.ones(shape))


def test_a_picture_is_written_or_an_error_tells_why(tmp_path):
    picture = draw_keypoints(gray(), [[20, 10]])
    write_picture(tmp_path / 'a.png', picture)
    assert (cv2.imread(str(tmp_path / 'a.png')) == picture).all()
    with pytest.raises(FileExistsError):
        write_picture(tmp_path / 'a.png' / 'b.png', picture)
    with pytest.raises(ValueError, match='a.text has no suffix of a format that OpenCV writes'):
        write_picture(tmp_path / 'a.text', picture)


def test_names_of_pictures_and_captions_need_not_be_utf_8(tmp_path):
    # OpenCV 4.14 crashes on such texts.
    name = os.fsdecode(b'caf\xe9.png')
    sheet = contact_sheet([gray()], captions=[name])
    assert sheet.shape[1] == 68
    write_picture(tmp_path / name, sheet)
    assert (cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), 1) == sheet).all()
    with pytest.raises(ValueError, match='has no suffix of a format that OpenCV writes'):
        write_picture(tmp_path / os.fsdecode(b'a.\xe9'), sheet)
