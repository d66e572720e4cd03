# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the labels of synthetic shapes promise: they are where the corners are, and complete."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from superpoint_ros.data.random_homographies import HomographyRanges, sample_homography
from superpoint_ros.data.synthetic_shapes.shape_geometry import has_clear_corners
from superpoint_ros.data.synthetic_shapes.shapes import (
    draw_shape,
    random_shape,
    ShapeImage,
    SHAPES,
    SHAPES_WITHOUT_POINTS,
    warp_shape,
)

SHAPES_WITH_POINTS = sorted(set(SHAPES) - set(SHAPES_WITHOUT_POINTS))
SIZES = [(160, 120), (240, 180), (64, 48), (97, 131), (32, 32)]
BORDER = 6  # pixels at the border, where a window about a point would leave the image


def pictures(name: str, count: int, size: tuple[int, int] = (160, 120)) -> list[ShapeImage]:
    rng = np.random.default_rng(list(name.encode()))
    return [draw_shape(name, rng, size) for _ in range(count)]


def point_at(degrees: float, distance: float) -> tuple[float, float]:
    angle = np.radians(degrees)
    return distance * np.cos(angle), distance * np.sin(angle)


def away_from_border(points: np.ndarray, image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    return points[((points >= BORDER) & (points < [width - BORDER, height - BORDER])).all(axis=1)]


def test_shapes_have_all_categories_of_the_paper():
    assert set(SHAPES) == {
        'lines',
        'polygon',
        'multiple_polygons',
        'ellipses',
        'star',
        'checkerboard',
        'stripes',
        'cube',
        'gaussian_noise',
    }


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('name', SHAPES)
def test_shapes_of_any_size_are_gray_images_with_points_inside(name, size):
    for image, points in pictures(name, 5, size):
        assert image.shape == size[::-1]
        assert image.dtype == np.uint8
        assert points.dtype == np.float32
        assert points.ndim == 2
        assert points.shape[1] == 2
        assert (points >= 0).all()
        assert (points <= np.array(size) - 1).all()


@pytest.mark.parametrize('name', SHAPES_WITHOUT_POINTS)
def test_ellipses_and_noise_have_no_points_but_a_picture(name):
    for image, points in pictures(name, 20):
        assert points.shape == (0, 2)
        assert image.std() > 1


@pytest.mark.parametrize(
    ('name', 'most'),
    [('polygon', 7), ('star', 7), ('cube', 7), ('stripes', 22), ('checkerboard', 81)],
)
def test_shapes_have_as_many_points_as_corners(name, most):
    counts = [len(points) for _, points in pictures(name, 40)]
    assert max(counts) <= most
    assert np.mean(counts) > 3


@pytest.mark.parametrize('name', SHAPES)
def test_shapes_of_one_seed_are_identical(name):
    first, again, other = (draw_shape(name, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.points, again.points)
    assert (first.image != other.image).any()


@pytest.mark.parametrize(
    ('corners', 'limit'),
    [
        # A side of 5 px.
        (lambda size: [(0, 0), (20, 0), (20, size), (0, size)], 5),
        # A corner 5 px from the side on the other side of the polygon.
        (lambda size: [(0, 0), (20, 0), (20, 20), (10, size), (0, 20)], 5),
        # A tip of 20 degrees.
        (lambda size: [(0, 0), (40, 0), point_at(size, 40)], 20),
        # A corner that bends by 35 degrees.
        (lambda size: [(-40, 0), (0, 0), point_at(size, 40), (0, 60)], 35),
    ],
)
def test_corners_of_polygons_are_clear_from_a_size_up(corners, limit):
    for polygon in (corners(limit - 0.1), corners(limit - 0.1)[::-1]):
        assert not has_clear_corners(polygon, 5)
    for polygon in (corners(limit + 0.1), corners(limit + 0.1)[::-1]):
        assert has_clear_corners(polygon, 5)


def test_shapes_do_not_use_global_random_generators():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    cv2.setRNGSeed(1)
    expected = cv2.randu(np.zeros(8, np.uint8), 0, 255).copy()
    cv2.setRNGSeed(1)
    for name in SHAPES:
        draw_shape(name, np.random.default_rng(0))
    np.testing.assert_array_equal(cv2.randu(np.zeros(8, np.uint8), 0, 255), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_checkerboard_points_are_the_saddle_points_to_a_fraction_of_a_pixel():
    errors = []
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    for image, points in pictures('checkerboard', 30):
        points = away_from_border(points, image)
        if len(points) == 0:
            continue
        found = cv2.cornerSubPix(image, points[:, None].copy(), (3, 3), (-1, -1), stop)[:, 0]
        errors.append(found - points)
    errors = np.concatenate(errors)
    assert len(errors) > 300
    assert np.median(np.hypot(*errors.T)) < 0.2
    assert np.hypot(*errors.T).mean() < 0.5
    assert np.abs(errors.mean(axis=0)).max() < 0.05  # the half pixel of the reduction


@pytest.mark.parametrize('name', SHAPES_WITH_POINTS)
def test_every_labelled_point_is_a_visible_corner(name):
    """The corner response at a point beats that of its surroundings' plain background."""
    seen = []
    for image, points in pictures(name, 40):
        response = cv2.cornerMinEigenVal(image, 3, 3)
        for x, y in np.rint(away_from_border(points, image)).astype(int):
            seen.append(
                response[y - 3 : y + 4, x - 3 : x + 4].max() / (np.median(response) + 1e-9)
            )
    assert len(seen) > 80
    assert np.mean(np.array(seen) > 3) > 0.99


@pytest.mark.parametrize('name', SHAPES_WITH_POINTS)
def test_labelled_points_are_not_shifted_from_the_corner_response(name):
    shifts = []
    for image, points in pictures(name, 60):
        response = cv2.cornerMinEigenVal(image, 3, 3)
        for x, y in away_from_border(points, image):
            column, row = round(float(x)), round(float(y))
            window = response[row - 3 : row + 4, column - 3 : column + 4]
            dy, dx = np.unravel_index(window.argmax(), window.shape)
            shifts.append((column - 3 + dx - x, row - 3 + dy - y))
    shifts = np.array(shifts)
    assert np.abs(shifts.mean(axis=0)).max() < 4 * shifts.std() / np.sqrt(len(shifts)) + 0.05
    assert np.median(np.hypot(*shifts.T)) < 2


@pytest.mark.parametrize(
    ('name', 'distance', 'share'),
    [
        ('polygon', 4, 0.01),
        ('multiple_polygons', 4, 0.01),
        ('checkerboard', 4, 0.01),
        ('stripes', 4, 0.01),
        ('cube', 4, 0.01),
        # The notches beside a junction of strokes respond as well, some pixels away from it.
        ('lines', 9, 0.02),
        ('star', 9, 0.02),
    ],
)
def test_every_strong_corner_is_labelled(name, distance, share):
    strong, unlabelled = 0, 0
    for image, points in pictures(name, 60):
        corners = cv2.goodFeaturesToTrack(image, 200, 0.2, 4)
        corners = away_from_border(corners[:, 0], image)
        if len(points) == 0:
            continue  # stripes that fill the whole image: edges alone
        distances = np.linalg.norm(corners[:, None] - points, axis=2)
        strong += len(corners)
        unlabelled += (distances.min(axis=1) > distance).sum()
    assert strong > 100
    assert unlabelled <= share * strong


@pytest.mark.parametrize('name', SHAPES_WITH_POINTS)
def test_labelled_points_are_distinct(name):
    for _, points in pictures(name, 60):
        distances = np.linalg.norm(points[:, None] - points, axis=2)
        assert (distances + 1e3 * np.eye(len(points)) > 4).all()


def test_random_shapes_are_of_all_categories():
    rng = np.random.default_rng(0)
    counts = [len(random_shape(rng).points) for _ in range(40)]
    assert min(counts) == 0  # ellipses and noise
    assert max(counts) > 22  # checkerboards


def test_an_unknown_shape_and_a_tiny_size_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no shape 'hexagon'.*polygon"):
        draw_shape('hexagon', rng)
    with pytest.raises(ValueError, match=r'\(160, 20\).*at least 32 x 32'):
        draw_shape('cube', rng, (160, 20))


def test_warping_a_shape_by_the_identity_changes_nothing():
    shape = draw_shape('cube', np.random.default_rng(3))
    warped = warp_shape(shape, np.eye(3))
    np.testing.assert_array_equal(warped.image, shape.image)
    np.testing.assert_array_equal(warped.points, shape.points)


def test_warping_a_shape_moves_its_points_and_drops_those_outside():
    image = np.zeros((48, 64), np.uint8)
    shape = ShapeImage(image, np.array([[10, 20], [60, 20]], np.float32))
    right = np.array([[1, 0, 5], [0, 1, 2], [0, 0, 1]], np.float64)
    # The new left edge shows what was 0 to 5 pixels from the old one, mirrored: no point there.
    np.testing.assert_allclose(warp_shape(shape, right).points, [[15, 22]])


def test_the_mirror_image_of_a_warped_shape_is_labelled():
    image = np.zeros((48, 64), np.uint8)
    shape = ShapeImage(image, np.array([[10, 20]], np.float32))
    right = np.array([[1, 0, 30], [0, 1, 0], [0, 0, 1]], np.float64)
    points = warp_shape(shape, right).points
    np.testing.assert_allclose(sorted(points.tolist()), [[20, 20], [40, 20]])


def test_warped_checkerboards_keep_true_labels():
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    distances = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape = draw_shape('checkerboard', rng)
        homography = sample_homography(rng, (160, 120), HomographyRanges())
        image, points = warp_shape(shape, homography)
        points = away_from_border(points, image)
        if len(points):
            found = cv2.cornerSubPix(image, points[:, None].copy(), (4, 4), (-1, -1), stop)[:, 0]
            distances.append(np.hypot(*(found - points).T))
    # Steeply tilted boards have several corners in the window that the reference looks at.
    assert np.median(np.concatenate(distances)) < 0.25
    assert np.mean([np.median(d) < 0.5 for d in distances]) > 0.9
