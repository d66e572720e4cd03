# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Homographic adaptation labels the points that a detector finds in many views."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros.data.random_homographies import HomographyRanges
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.resources import demo_photographs
from superpoint_ros.training.adaptation_candidates import (
    add_candidates,
    BUMP_RADIUS,
    corner_response,
    mark_maxima,
)
from superpoint_ros.training.adaptation_recipe import AdaptationRecipe
from superpoint_ros.training.homographic_adaptation import (
    adapted_heatmap,
    label_image,
    network_heatmaps,
)
from support.spots import draw_spots

SIZE = (160, 120)


def points_of(size=SIZE, count=9, seed=0):
    """Return points at fractions of pixels, far from each other and from the border."""
    rng = np.random.default_rng(seed)
    columns = np.linspace(0.15, 0.85, 3)
    grid = np.stack(np.meshgrid(columns, columns), axis=-1).reshape(-1, 2)[:count]
    return grid * size + rng.uniform(-3, 3, (count, 2))


def spots(points, size=SIZE, sigma=1.5):
    """Return an image, uint8, with a bright spot at each point on black ground."""
    return draw_spots(points, size, heights=250, sigma=sigma, ground=0)


def brightness(images):
    """Detect what is bright: the known answer is the image itself."""
    assert images.dtype == np.uint8
    assert images.shape[1] % 8 == images.shape[2] % 8 == 0
    return images.astype(np.float32) / 255


def edges(images):
    """Detect steps of brightness."""
    return np.stack(
        [
            np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)) / 1020
            for image in images
        ]
    )


def distances(found, points):
    """Return each point's distance to the nearest that was found."""
    return np.linalg.norm(found[None] - points[:, None], axis=2).min(axis=1)


@pytest.mark.parametrize('scales', [(1.0,), (0.5,), (2.0,), (1.0, 0.5, 2.0)])
def test_the_adapted_heatmap_equals_that_of_an_equivariant_detector(scales):
    recipe = AdaptationRecipe(homographies=30, scales=scales)
    image = spots(points_of(), sigma=3)
    adapted = adapted_heatmap(image, brightness, recipe, np.random.default_rng(0))
    assert adapted.shape == image.shape
    assert adapted.dtype == np.float32
    # Interpolation, there and back, lowers the maxima; it moves nothing.
    assert np.abs(adapted - image / 255).max() < (0.15 if min(scales) < 1 else 0.05)
    moments = cv2.moments(adapted), cv2.moments(image / 255)
    for name in ('m10', 'm01'):
        centres = [moment[name] / moment['m00'] for moment in moments]
        assert centres[0] == pytest.approx(centres[1], abs=0.1)


@pytest.mark.parametrize('scales', [(1.0,), (0.5,), (2.0,)])
@pytest.mark.parametrize(
    ('size', 'longest_side'), [(SIZE, 320), ((157, 117), 0), ((640, 480), 160), ((411, 303), 200)]
)
def test_labels_are_in_pixels_of_the_original_image(size, longest_side, scales):
    reduction = max(1.0, max(size) / longest_side) if longest_side else 1.0
    points = points_of(size)
    image = spots(points, size, sigma=1.2 * reduction)
    recipe = AdaptationRecipe(
        homographies=20, scales=scales, longest_side=longest_side, threshold=0.2
    )
    labels = label_image(image, brightness, recipe, np.random.default_rng(1))
    assert len(labels.keypoints) == len(points)
    assert labels.keypoints.dtype == labels.scores.dtype == np.float32
    offsets = (
        labels.keypoints[
            np.linalg.norm(labels.keypoints[None] - points[:, None], axis=2).argmin(axis=1)
        ]
        - points
    )
    assert np.abs(offsets).max() < (0.4 if scales == (0.5,) else 0.2) * reduction
    # A convention that is wrong by half a pixel would shift all labels.
    assert np.abs(offsets.mean(axis=0)).max() < 0.1 * reduction


def test_labels_are_sorted_by_score_and_limited_in_number():
    points = points_of()
    image = (spots(points) * np.linspace(0.5, 1, SIZE[0])).astype(np.uint8)
    recipe = AdaptationRecipe(homographies=5, max_keypoints=4, threshold=0.1)
    labels = label_image(image, brightness, recipe, np.random.default_rng(0))
    assert len(labels.scores) == 4
    assert (np.diff(labels.scores) <= 0).all()
    assert labels.keypoints[:, 0].min() > SIZE[0] / 3  # the brighter ones are at the right


def test_the_average_of_a_pixel_is_over_the_views_that_show_it():
    ranges = HomographyRanges(translation=0.5, allow_artifacts=True)
    recipe = AdaptationRecipe(homographies=20, homography=ranges)
    image = np.full(SIZE[::-1], 128, np.uint8)
    # With a constant heatmap, an average over all views would fall towards the border.
    adapted = adapted_heatmap(
        image, lambda x: np.full(x.shape, 0.5, np.float32), recipe, np.random.default_rng(0)
    )
    assert adapted == pytest.approx(np.full(image.shape, 0.5), abs=1e-6)


def test_the_first_view_of_adaptation_is_the_image_itself():
    recipe = AdaptationRecipe(homographies=1)
    image = np.random.default_rng(0).integers(0, 255, (117, 157)).astype(np.uint8)
    seen = []

    def spy(images):
        seen.append(images)
        return brightness(images)

    adapted = adapted_heatmap(image, spy, recipe, np.random.default_rng(0))
    assert (adapted == image.astype(np.float32) / 255).all()
    assert [images.shape for images in seen] == [(1, 120, 160)]
    # What fills the last cells goes on as the image ends, without an edge.
    assert (seen[0][0, :117, 157:] == image[:, -1:]).all()


def test_detections_in_a_single_view_are_averaged_away():
    calls = []

    def dreaming(images):
        heatmaps = np.zeros(images.shape, np.float32)
        for heatmap in heatmaps:
            if not calls:
                heatmap[60, 80] = 1.0  # seen in the first view only
            calls.append(1)
        return heatmaps

    recipe = AdaptationRecipe(homographies=101)
    image = np.zeros(SIZE[::-1], np.uint8)
    adapted = adapted_heatmap(image, dreaming, recipe, np.random.default_rng(0))
    assert len(calls) == 101
    assert 1 / 101 - 1e-7 <= adapted[60, 80] < 1 / 50
    assert not len(
        label_image(
            image, dreaming, AdaptationRecipe(threshold=0.02), np.random.default_rng(0)
        ).scores
    )


@pytest.mark.parametrize('scale', [0.5, 1.0, 2.0])
def test_the_edge_of_the_photograph_is_not_labelled(scale):
    ranges = HomographyRanges(translation=0.4, min_scale=0.5, allow_artifacts=True)
    recipe = AdaptationRecipe(homographies=40, scales=(scale,), homography=ranges)
    # Seen from elsewhere, the photograph ends in a step from white to black.
    image = np.full(SIZE[::-1], 255, np.uint8)
    labels = label_image(image, edges, recipe, np.random.default_rng(0))
    assert len(labels.scores) == 0


def test_bright_spots_at_the_border_are_not_labelled():
    inner = points_of()
    outer = np.array([[0, 0], [2, 60], [80, 1], [157, 60], [159, 119]], float)
    image = np.maximum(spots(inner), spots(outer))
    recipe = AdaptationRecipe(homographies=20, threshold=0.2)
    labels = label_image(image, brightness, recipe, np.random.default_rng(0))
    assert len(labels.scores) == len(inner)
    assert distances(labels.keypoints, inner).max() < 0.25


def test_labels_do_not_depend_on_the_batch_size():
    points = points_of()
    image = spots(points)
    results = []
    sizes = []
    for batch in (1, 3, 64):
        recipe = AdaptationRecipe(homographies=13, scales=(1.0, 0.5), batch=batch, threshold=0.1)

        def spy(images):
            sizes.append(len(images))
            return brightness(images)

        results.append(label_image(image, spy, recipe, np.random.default_rng(5)))
    for labels in results[1:]:
        assert (labels.keypoints == results[0].keypoints).all()
        assert (labels.scores == results[0].scores).all()
    # 13 views, 6 of them at half size: those of one size go together.
    assert sizes == [1] * 13 + [3, 3, 3, 3, 1] + [6, 7]


def test_another_seed_gives_other_views_of_adaptation():
    image = spots(points_of())
    recipe = AdaptationRecipe(homographies=3)
    one, again, other = (
        adapted_heatmap(image, brightness, recipe, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert (one == again).all()
    assert (one != other).any()


def test_memory_of_adaptation_does_not_grow_with_the_views():
    image = spots(points_of())
    peaks = []
    for homographies in (10, 10, 100):  # the first one fills caches
        recipe = AdaptationRecipe(homographies=homographies, batch=4)
        tracemalloc.start()
        adapted_heatmap(image, brightness, recipe, np.random.default_rng(0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 90 more heatmaps would be 7 MB; the homographies themselves are small.
    assert peaks[2] - peaks[1] < 200_000


def test_a_nearly_blank_image_has_no_labels():
    labels = label_image(
        np.zeros((64, 64), np.uint8), brightness, AdaptationRecipe(), np.random.default_rng(0)
    )
    assert labels.keypoints.shape == (0, 2)
    assert labels.scores.shape == (0,)


def test_an_image_too_small_for_the_network_is_named():
    with pytest.raises(ValueError, match='at least 16x16 pixels; got 40x12'):
        label_image(
            np.zeros((12, 40), np.uint8), brightness, AdaptationRecipe(), np.random.default_rng(0)
        )


def test_an_image_whose_views_are_too_large_is_named():
    recipe = AdaptationRecipe(homographies=2, longest_side=0, scales=[2.0])
    with pytest.raises(ValueError, match='has 32768x32 pixels; to be warped, no side may be'):
        label_image(np.zeros((16, 16384), np.uint8), brightness, recipe, np.random.default_rng(0))


def test_heatmaps_of_a_network_are_the_softmax_of_its_logits():
    torch.manual_seed(0)
    model = SuperPoint(SuperPointConfig((4, 4, 4, 8), 8, 8)).eval()
    images = np.random.default_rng(0).integers(0, 255, (2, 24, 32)).astype(np.uint8)
    with torch.no_grad():
        logits = model(torch.from_numpy(images)[:, None].float() / 255).logits
    cells = logits.softmax(1)[:, :64].reshape(2, 8, 8, 3, 4).permute(0, 3, 1, 4, 2)
    expected = cells.reshape(2, 24, 32).numpy()
    assert network_heatmaps(model, 'cpu')(images) == pytest.approx(expected, abs=1e-6)
    rough = network_heatmaps(model, 'cpu', bfloat16=True)(images)
    assert rough.dtype == np.float32
    assert rough == pytest.approx(expected, abs=2e-3)


def corner_marks(image, most):
    return mark_maxima(corner_response(image), most)


def centre(heatmap):
    """Return the heatmap's centre of gravity around its highest pixel, and that pixel's value."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    window = heatmap[y - BUMP_RADIUS : y + BUMP_RADIUS + 1, x - BUMP_RADIUS : x + BUMP_RADIUS + 1]
    steps = np.arange(-BUMP_RADIUS, BUMP_RADIUS + 1)
    offset = np.array([window.sum(axis=0) @ steps, window.sum(axis=1) @ steps]) / window.sum()
    return np.array([x, y]) + offset, heatmap[y, x]


@pytest.mark.parametrize('sigma', [1.0, 1.5])
@pytest.mark.parametrize('height', [150, -50])
def test_a_spot_is_marked_within_a_tenth_of_a_pixel(sigma, height):
    rng = np.random.default_rng(0)
    offsets = []
    for _ in range(10):
        place = rng.uniform(40, 50, 2)
        found, value = centre(corner_marks(draw_spots([place], (120, 90), height, sigma), 10))
        assert 0.6 < value <= 1
        offsets.append(found - place)
    assert np.abs(offsets).max() < 0.1
    # Half a pixel lost in the conventions would show here.
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.04


def test_the_candidates_with_the_highest_response_are_marked():
    places, heights = [(30, 30), (60, 30), (90, 60)], [60, 150, 100]
    heatmap = corner_marks(draw_spots(places, (120, 90), heights), 2)
    marked = [heatmap[y - 1 : y + 2, x - 1 : x + 2].max() > 0.5 for x, y in places]
    assert marked == [False, True, True]


def test_an_image_without_corners_has_no_candidates():
    assert not corner_marks(np.full((90, 120), 128, np.uint8), 10).any()


def test_marks_of_candidates_are_between_0_and_1():
    [path] = [path for path in demo_photographs() if path.stem == 'rocket_factory']
    photograph = read_image(path)[:240, :320].copy()
    heatmap = corner_marks(photograph, 100)
    assert heatmap.shape == (240, 320)
    assert heatmap.dtype == np.float32
    assert heatmap.min() == 0
    assert 0.9 < heatmap.max() <= 1
    # A bump has 25 pixels; some of them overlap.
    assert 25 * 20 < np.count_nonzero(heatmap) <= 25 * 100


@pytest.mark.parametrize('angle', [0.2, 0.7, 1.3])
def test_a_corner_is_marked_within_a_pixel_and_an_edge_is_not(angle):
    x, y = np.arange(96.0), np.arange(80.0)[:, None]
    u = (x - 47.6) * np.cos(angle) + (y - 41.2) * np.sin(angle)
    v = (y - 41.2) * np.cos(angle) - (x - 47.6) * np.sin(angle)
    step = 60 + 140 / ((1 + np.exp(-2 * u)) * (1 + np.exp(-2 * v)))
    found, value = centre(mark_maxima(corner_response(step.round().astype(np.uint8)), 1))
    # The maximum lies inside of the smooth corner, on its bisector.
    inside = np.array([np.cos(angle) - np.sin(angle), np.cos(angle) + np.sin(angle)])
    assert np.abs(found - [47.6, 41.2] - 1.6 * inside).max() < 0.6
    assert 0.6 < value <= 1


def test_corners_are_added_to_the_heatmap_of_the_network():
    images = np.stack([draw_spots([place], (120, 90)) for place in ((30, 30), (80, 50))])
    corners = np.stack([corner_marks(image, 10) for image in images])
    assert corners.max() > 0.6
    recipe = AdaptationRecipe(corners=0.2, candidates=10)
    both = add_candidates(lambda images: images.astype(np.float32) / 255, recipe)
    assert both(images) == pytest.approx(images / 255 + 0.2 * corners, abs=1e-6)
    recipe = AdaptationRecipe(network=False, corners=1.0, candidates=10)
    alone = add_candidates(None, recipe)
    assert alone(images) == pytest.approx(corners, abs=1e-6)
