# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Points become the classes of cells, as the paper says."""

import numpy as np
import pytest

from superpoint_ros.training.cell_labels import cell_labels, DUSTBIN, IGNORED, valid_cells


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_point_is_the_class_of_its_pixel_in_its_cell():
    labels = cell_labels(np.array([[0, 0], [17, 10], [31, 15]]), (32, 16), rng())
    expected = np.full((2, 4), DUSTBIN)
    expected[0, 0] = 0
    expected[1, 2] = 2 * 8 + 1
    expected[1, 3] = 63
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int64


def test_a_point_belongs_to_the_pixel_whose_centre_is_nearest():
    assert cell_labels(np.array([[7.49, 0]]), (16, 8), rng()).tolist() == [[7, DUSTBIN]]
    assert cell_labels(np.array([[7.5, 0]]), (16, 8), rng()).tolist() == [[DUSTBIN, 0]]
    assert cell_labels(np.array([[-0.5, -0.5]]), (16, 8), rng()).tolist() == [[0, DUSTBIN]]


@pytest.mark.parametrize('point', [(-0.51, 0), (0, 7.5), (16, 3), (np.nan, 0), (0, np.inf)])
def test_points_beyond_the_image_or_not_finite_are_left_out(point):
    labels = cell_labels(np.array([point]), (16, 8), rng())
    assert labels.tolist() == [[DUSTBIN, DUSTBIN]]


def test_no_points_leave_dustbins_everywhere():
    assert (cell_labels(np.zeros((0, 2)), (24, 16), rng()) == DUSTBIN).all()


def test_of_several_points_in_a_cell_each_is_picked_as_often():
    points = np.array([[0, 0], [1, 0], [2, 0]])
    generator = rng()
    picked = [int(cell_labels(points, (8, 8), generator)[0, 0]) for _ in range(3000)]
    counts = np.bincount(picked, minlength=3)
    assert counts.sum() == 3000
    assert (np.abs(counts - 1000) < 110).all()  # over four sigmas
    again = rng()
    assert picked == [int(cell_labels(points, (8, 8), again)[0, 0]) for _ in range(3000)]


def test_many_points_are_labelled_as_a_slow_loop_does():
    points = rng(1).uniform(-5, 70, (60, 2))
    labels = cell_labels(points, (64, 48), rng(2))
    allowed = {}
    for x, y in np.floor(points + 0.5).astype(int).tolist():
        if 0 <= x < 64 and 0 <= y < 48:
            allowed.setdefault((y // 8, x // 8), set()).add(y % 8 * 8 + x % 8)
    for row in range(6):
        for column in range(8):
            assert labels[row, column] in allowed.get((row, column), {DUSTBIN})


def test_cells_that_are_not_wholly_valid_are_ignored():
    mask = np.ones((16, 16), bool)
    mask[7, 8] = False
    labels = cell_labels(np.array([[9, 2], [1, 1]]), (16, 16), rng(), mask)
    assert labels.tolist() == [[9, IGNORED], [DUSTBIN, DUSTBIN]]
    assert valid_cells(mask).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize('size', [(20, 16), (16, 12), (0, 8)])
def test_a_size_that_is_no_multiple_of_eight_is_refused(size):
    with pytest.raises(ValueError, match='multiples of 8'):
        cell_labels(np.zeros((0, 2)), size, rng())


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r'\(3, 3\)'):
        cell_labels(np.zeros((3, 3)), (16, 16), rng())
