# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0


"""What two views repeat: blobs at their own places, as sure as they are found again."""

import cv2
import numpy as np
import pytest

from superpoint_ros.geometry.homography import warp_image, warp_points
from superpoint_ros.training.cell_labels import DUSTBIN
from superpoint_ros.training.repeatability_targets import find_repeats, TOLERANCE

WIDTH, HEIGHT = 128, 96
SEEN = np.ones((HEIGHT, WIDTH), bool)
DENSE = 5.0  # more places than there are blobs
MOVE = np.array([[1.0, 0, 9], [0, 1, -5], [0, 0, 1]])


def dots(centres, values=None, size=(WIDTH, HEIGHT)):
    """Return a gray image with soft dots, of these gray levels above the ground."""
    y, x = np.mgrid[: size[1], : size[0]]
    image = np.full(x.shape, 60.0)
    for (u, v), value in zip(centres, values or [120.0] * len(centres), strict=True):
        image += value * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 1.5**2))
    return image.clip(0, 255).round().astype(np.uint8)


def lattice(seed=0, step=16):
    """Return places far from each other and from the border, between pixels."""
    grid = np.stack(np.meshgrid(np.arange(24, 104, step), np.arange(24, 72, step)), axis=2)
    return grid.reshape(-1, 2) + np.random.default_rng(seed).uniform(-2, 2, (grid.size // 2, 2))


def pixels_of(target):
    """Return the pixels (N, 2) that have a chance in (65, h, w), and these chances."""
    place, row, column = np.nonzero(target[:DUSTBIN])
    pixels = np.stack([column * 8 + place % 8, row * 8 + place // 8], axis=1)
    return pixels, target[place, row, column]


def chances_near(target, points, reach=1):
    """Return the greatest chance within some pixels of each point."""
    pixels, chances = pixels_of(target)
    near = np.abs(pixels[None] - points[:, None]).max(axis=2) <= reach + 0.5
    return (near * chances).max(axis=1, initial=0)


def test_what_both_views_show_is_surely_a_keypoint_in_both():
    a = lattice()
    b = warp_points(a, MOVE)
    found = find_repeats((dots(a), dots(b)), MOVE, (SEEN, SEEN), DENSE)
    for target, points in zip(found.targets, (a, b), strict=True):
        inside = ((points > 5) & (points < [WIDTH - 6, HEIGHT - 6])).all(axis=1)
        # A faint blob of the rounded gray levels may lie in the same cell, and take its share.
        assert chances_near(target, points[inside]).min() > 0.85
        assert target.sum(axis=0) == pytest.approx(np.ones((12, 16)), abs=1e-6)
    places_a, places_b = found.points
    assert len(places_a) >= 10
    assert np.abs(warp_points(places_a, MOVE) - places_b).max() < 0.2


def test_what_only_one_view_shows_is_none():
    a = lattice()
    b = warp_points(a, MOVE)
    found = find_repeats((dots(a), dots(b[::2])), MOVE, (SEEN, SEEN), DENSE)
    assert chances_near(found.targets[0], a[1::2]).max() < 0.05
    seen = chances_near(found.targets[0], a[::2])
    assert np.median(seen) > 0.9


def test_the_chance_falls_with_the_distance():
    a = lattice()
    moved = warp_points(a, MOVE) + [TOLERANCE, 0]
    found = find_repeats((dots(a), dots(moved)), MOVE, (SEEN, SEEN), DENSE)
    chances = chances_near(found.targets[0], a)
    assert np.median(chances[chances > 0]) == pytest.approx(np.exp(-0.5), abs=0.05)


def test_cells_that_the_other_view_does_not_show_are_not_known():
    a = lattice()
    found = find_repeats((dots(a), dots(warp_points(a, MOVE))), MOVE, (SEEN, SEEN), DENSE)
    known_a, known_b = found.known
    # Of A, B lacks 9 pixels at the right and 5 at the top, of B, A lacks those opposite.
    assert known_a[2:-1, 1:-2].all()
    assert not known_a[:, -1].any()
    assert not known_a[0].any()
    assert not known_b[:, 0].any()
    assert not known_b[-1].any()
    half = SEEN.copy()
    half[:, :64] = False
    found = find_repeats((dots(a), dots(a)), np.eye(3), (SEEN, half), DENSE)
    assert not found.known[:, :, :8].any()
    assert found.known[:, 1:-1, 8:-1].all()
    assert not chances_near(found.targets[0], a[a[:, 0] < 60]).any()


def test_the_strongest_blobs_of_both_views_compete_for_few_places():
    a = lattice()
    values = list(np.linspace(40, 180, len(a)))
    images = dots(a, values), dots(warp_points(a, MOVE), values)
    known = find_repeats(images, MOVE, (SEEN, SEEN), DENSE).known[0].sum()
    found = find_repeats(images, MOVE, (SEEN, SEEN), 5 / known)
    chances = chances_near(found.targets[0], a)
    assert (chances > 0.5).sum() == 5
    shown = ((warp_points(a, MOVE) > 5) & (warp_points(a, MOVE) < [122, 90])).all(axis=1)
    strongest = np.flatnonzero(shown)[-5:]
    assert (chances[strongest] > 0.5).all()


def test_turned_and_magnified_views_repeat_as_well():
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((64, 48), 30, 1.3)
    image = dots(lattice())
    found = find_repeats((image, warp_image(image, turn)), turn, (SEEN, SEEN), DENSE)
    assert found.points.shape[1] >= 5
    distance = np.linalg.norm(warp_points(found.points[0], turn) - found.points[1], axis=1)
    assert distance.max() < 1.343  # a chance of a half, and the root of the views' scales


@pytest.mark.parametrize('other', ['even', 'elsewhere'])
def test_views_that_share_nothing_have_no_keypoints(other):
    image = dots(lattice())
    blank = np.full_like(image, 90)
    if other == 'even':
        found = find_repeats((image, blank), np.eye(3), (SEEN, SEEN), DENSE)
        assert found.known.any()
    else:
        far = np.array([[1.0, 0, 500], [0, 1, 0], [0, 0, 1]])
        found = find_repeats((image, image), far, (SEEN, SEEN), DENSE)
        assert not found.known.any()
    assert (found.targets[:, DUSTBIN] == 1).all()
    assert found.points.shape == (2, 0, 2)
