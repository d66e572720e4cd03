# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Targets of the detector: classes of cells, and keypoints that two views share."""

from functools import partial
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.homography import warp_image, warp_points
from superpoint_ros.model.config import DUSTBIN
from superpoint_ros.training.losses import IGNORED
from superpoint_ros.training.targets import (
    cell_labels,
    is_visible,
    PseudoLabelTargets,
    RepeatabilityTargets,
    repeatable_keypoints,
    TOLERANCE,
    valid_cells,
    ViewPair,
)
from support.spots import draw_spots


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


def test_cells_without_points_are_dustbins():
    assert (cell_labels(np.zeros((0, 2)), (24, 16), rng()) == DUSTBIN).all()


def test_one_of_several_points_in_a_cell_is_picked_at_random():
    points = np.array([[0, 0], [1, 0], [2, 0]])
    generator = rng()
    picked = [int(cell_labels(points, (8, 8), generator)[0, 0]) for _ in range(3000)]
    counts = np.bincount(picked, minlength=3)
    assert counts.sum() == 3000
    assert (np.abs(counts - 1000) < 110).all()  # over four sigmas
    again = rng()
    assert picked == [int(cell_labels(points, (8, 8), again)[0, 0]) for _ in range(3000)]


def test_cell_labels_equal_those_of_a_slow_loop():
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
def test_a_size_that_is_not_a_multiple_of_eight_is_refused(size):
    with pytest.raises(ValueError, match='multiples of 8'):
        cell_labels(np.zeros((0, 2)), size, rng())


@pytest.mark.parametrize('shape', [(3, 3), (2,), (1, 2, 2)])
def test_points_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f'(N, 2), got {shape}')):
        cell_labels(np.zeros(shape), (16, 16), rng())


@pytest.mark.parametrize('shape', [(12, 16), (16, 12)])
def test_a_mask_whose_sides_are_not_multiples_of_eight_is_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f'multiples of 8, got {shape}')):
        valid_cells(np.ones(shape, bool))


def test_a_point_is_visible_on_a_seen_pixel_inside_the_image():
    seen = np.ones((10, 20), bool)
    seen[:, 8:] = False
    points = np.array([[0, 0], [7.4, 9], [7.6, 9], [-0.1, 3], [3, 9.1], [np.nan, 2]])
    assert is_visible(points, seen).tolist() == [True, True, False, False, False, False]
    assert is_visible(points[:2], seen, border=1).tolist() == [False, False]


WIDTH, HEIGHT = 128, 96
SEEN = np.ones((HEIGHT, WIDTH), bool)
DENSE = 5.0  # more places than there are spots
MOVE = np.array([[1.0, 0, 9], [0, 1, -5], [0, 0, 1]])


def pair_of(images, homography, seen=(SEEN, SEEN), points=(), uncertain=()):
    """Return views with a homography between them, and points of A (N, 2) in both."""
    both = homography, np.linalg.inv(homography)
    known, doubtful = (
        np.stack([each, warp_points(each, homography)])
        for each in (np.reshape(given, (-1, 2)).astype(float) for given in (points, uncertain))
    )
    mappings = tuple(partial(warp_points, homography=each) for each in both)
    return ViewPair(images, seen, mappings, known, doubtful)


def test_pseudo_labels_ignore_cells_that_are_uncertain_or_not_seen():
    half = SEEN.copy()
    half[:, 64:] = False
    points, uncertain = [[10, 10], [70, 30]], [[12, 11], [41, 40]]
    pair = pair_of((SEEN, SEEN), np.eye(3), (SEEN, half), points, uncertain)
    targets = PseudoLabelTargets().make(pair, rng())
    a, b = targets.fields['labels']
    assert (a[1, 1], a[3, 8], a[5, 5], a[0, 0]) == (2 * 8 + 2, 6 * 8 + 6, IGNORED, DUSTBIN)
    assert (b[1, 1], b[5, 5], b[0, 0]) == (2 * 8 + 2, IGNORED, DUSTBIN)
    assert (b[:, 8:] == IGNORED).all()
    # Descriptors are trained at points that both views show.
    assert targets.keypoints.tolist() == [[[10, 10]], [[10, 10]]]


def find(images, homography, seen=(SEEN, SEEN), density=DENSE):
    """Return the repeatable keypoints of views with a homography between them."""
    found = repeatable_keypoints(pair_of(images, homography, seen), density)
    return SimpleNamespace(**found.fields, points=found.keypoints)


def dots(centres, heights=120.0):
    return draw_spots(centres, (WIDTH, HEIGHT), heights)


def lattice(seed=0, step=16):
    """Return places far from each other and from the border, between pixels."""
    grid = np.stack(np.meshgrid(np.arange(24, 104, step), np.arange(24, 72, step)), axis=2)
    return grid.reshape(-1, 2) + np.random.default_rng(seed).uniform(-2, 2, (grid.size // 2, 2))


def pixels_of(target):
    """Return the pixels (N, 2) that have a probability in (65, h, w), and these probabilities."""
    place, row, column = np.nonzero(target[:DUSTBIN])
    pixels = np.stack([column * 8 + place % 8, row * 8 + place // 8], axis=1)
    return pixels, target[place, row, column]


def probabilities_near(target, points, reach=1):
    """Return the greatest probability within some pixels of each point."""
    pixels, probabilities = pixels_of(target)
    near = np.abs(pixels[None] - points[:, None]).max(axis=2) <= reach + 0.5
    return (near * probabilities).max(axis=1, initial=0)


def test_a_spot_that_both_views_show_is_a_keypoint_in_both():
    a = lattice()
    b = warp_points(a, MOVE)
    found = find((dots(a), dots(b)), MOVE)
    for target, points in zip(found.targets, (a, b), strict=True):
        inside = ((points > 5) & (points < [WIDTH - 6, HEIGHT - 6])).all(axis=1)
        # A weak maximum of the rounded gray levels may lie in the same cell, and take its share.
        assert probabilities_near(target, points[inside]).min() > 0.85
        assert target.sum(axis=0) == pytest.approx(np.ones((12, 16)), abs=1e-6)
    places_a, places_b = found.points
    assert len(places_a) >= 10
    assert np.abs(warp_points(places_a, MOVE) - places_b).max() < 0.2


def test_a_spot_that_only_one_view_shows_is_not_a_keypoint():
    a = lattice()
    b = warp_points(a, MOVE)
    found = find((dots(a), dots(b[::2])), MOVE)
    assert probabilities_near(found.targets[0], a[1::2]).max() < 0.05
    seen = probabilities_near(found.targets[0], a[::2])
    assert np.median(seen) > 0.9


def test_the_probability_of_a_keypoint_falls_with_the_distance():
    a = lattice()
    moved = warp_points(a, MOVE) + [TOLERANCE, 0]
    found = find((dots(a), dots(moved)), MOVE)
    probabilities = probabilities_near(found.targets[0], a)
    assert np.median(probabilities[probabilities > 0]) == pytest.approx(np.exp(-0.5), abs=0.05)


def test_cells_that_the_other_view_does_not_show_are_unknown():
    a = lattice()
    found = find((dots(a), dots(warp_points(a, MOVE))), MOVE)
    known_a, known_b = found.known
    # Of A, B lacks 9 pixels at the right and 5 at the top, of B, A lacks those opposite.
    assert known_a[2:-1, 1:-2].all()
    assert not known_a[:, -1].any()
    assert not known_a[0].any()
    assert not known_b[:, 0].any()
    assert not known_b[-1].any()
    half = SEEN.copy()
    half[:, :64] = False
    found = find((dots(a), dots(a)), np.eye(3), (SEEN, half))
    assert not found.known[:, :, :8].any()
    assert found.known[:, 1:-1, 8:-1].all()
    assert not probabilities_near(found.targets[0], a[a[:, 0] < 60]).any()


def test_the_strongest_keypoints_of_both_views_compete_for_few_places():
    a = lattice()
    values = np.linspace(40, 180, len(a))
    images = dots(a, values), dots(warp_points(a, MOVE), values)
    known = find(images, MOVE).known[0].sum()
    found = find(images, MOVE, density=5 / known)
    probabilities = probabilities_near(found.targets[0], a)
    assert (probabilities > 0.5).sum() == 5
    shown = ((warp_points(a, MOVE) > 5) & (warp_points(a, MOVE) < [122, 90])).all(axis=1)
    strongest = np.flatnonzero(shown)[-5:]
    assert (probabilities[strongest] > 0.5).all()


def test_the_density_of_competing_keypoints_is_uniform_in_the_logarithm():
    image = dots(lattice())
    pair, generator = pair_of((image, image), np.eye(3)), rng()
    targets = RepeatabilityTargets(1e-3, 0.2)
    counts = [targets.make(pair, generator).keypoints.shape[1] for _ in range(60)]
    # In 140 cells, densities below 0.0107 allow one keypoint: 45 % of them are.
    assert 10 <= counts.count(1) <= 40
    assert max(counts) >= 10


def test_keypoints_of_rotated_and_enlarged_views_are_repeated():
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((64, 48), 30, 1.3)
    image = dots(lattice())
    found = find((image, warp_image(image, turn)), turn)
    assert found.points.shape[1] >= 5
    distance = np.linalg.norm(warp_points(found.points[0], turn) - found.points[1], axis=1)
    assert distance.max() < 1.343  # a probability of a half, and the root of the views' scales


@pytest.mark.parametrize('other', ['even', 'elsewhere'])
def test_views_that_share_nothing_have_no_keypoints(other):
    image = dots(lattice())
    blank = np.full_like(image, 90)
    if other == 'even':
        found = find((image, blank), np.eye(3))
        assert found.known.any()
    else:
        far = np.array([[1.0, 0, 500], [0, 1, 0], [0, 0, 1]])
        found = find((image, image), far)
        assert not found.known.any()
    assert (found.targets[:, DUSTBIN] == 1).all()
    assert found.points.shape == (2, 0, 2)
