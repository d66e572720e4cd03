# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Hessian keypoints are exact to a fraction of a pixel."""

import cv2
import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.detection.hessian import (
    find_extrema,
    hessian_response,
    HessianResponse,
    parabola_offsets,
    weight_scores,
)
from superpoint_ros.detection.hessian_constants import (
    count_scales,
    HALF_STRENGTH,
    KERNEL_RADIUS,
    SCALE_STEPS,
    SCALES,
)
from superpoint_ros.detection.pipeline import find_keypoints
from superpoint_ros.detection.settings import DetectionSettings

SETTINGS = DetectionSettings(border_margin=8, threshold=0.01)
PADS = ((0, ((1, 1), (0, 0))), (1, ((0, 0), (1, 1))))


def batch_of(*images):
    return torch.from_numpy(np.stack(images))[:, None]


def slow_responses(image, cut):
    """
    Return the Hessian determinant at each scale.

    Kernels end at `cut` sigmas; without it, they are whole, and all their taps are used.
    """
    smooth, before = image.astype(np.float64), 0.0
    found = []
    for scale, step in list(zip(SCALES, SCALE_STEPS, strict=True))[: count_scales(*image.shape)]:
        sigma, before = np.sqrt(scale**2 - before**2), scale
        smooth = cv2.sepFilter2D(
            smooth, -1, *[kernel_of(sigma, cut, step)] * 2, borderType=cv2.BORDER_REPLICATE
        )
        rows, columns = (np.diff(np.pad(smooth, pads, 'edge'), 2, axis) for axis, pads in PADS)
        mixed = np.gradient(np.gradient(smooth, axis=1), axis=0)
        found.append(scale**4 * (rows * columns - mixed**2))
    return found


def kernel_of(sigma, cut, step):
    if cut is None:
        cut, step = 8.0, 1
    taps = np.arange(-int(np.ceil(cut * sigma / step)), int(np.ceil(cut * sigma / step)) + 1)
    kernel = np.zeros(step * (len(taps) - 1) + 1)
    kernel[::step] = np.exp(-((step * taps / sigma) ** 2) / 2)
    return kernel / kernel.sum()


@pytest.mark.parametrize('size', [(211, 301), (422, 602)])
def test_the_response_is_the_determinant_of_the_hessian_at_the_best_scale(photograph, size):
    image = cv2.resize(photograph, size[::-1], interpolation=cv2.INTER_CUBIC)
    response = hessian_response(batch_of(image)).response[0].numpy()
    inside = np.s_[24:-24, 24:-24]
    for cut, least in ((KERNEL_RADIUS, 0.9999), (None, 0.9995)):
        expected = np.max(slow_responses(image, cut), axis=0)[inside]
        high = expected > 1
        assert np.isclose(response[inside], expected, rtol=0.1, atol=3)[high].mean() > 0.999
        assert np.corrcoef(response[inside][high], expected[high])[0, 1] > least


@pytest.mark.parametrize('sigma', [1.2, 1.8, 2.5, 3.3])
@pytest.mark.parametrize('contrast', [-100, 100])
def test_spots_of_all_sizes_have_equal_response(sigma, contrast):
    y, x = np.mgrid[:41, :41] - 20
    spot = contrast * np.exp(-(x**2 + y**2) / (2 * sigma**2))
    response = hessian_response(batch_of((128 + spot).round().astype(np.uint8))).response[0]
    # s^4 / (s^2 + t^2)^4 of a spot of size t, smoothed with s = t.
    assert response[20, 20].item() == pytest.approx(100**2 / 16, rel=0.2)
    assert response.argmax() == 20 * 41 + 20


def test_a_crossing_of_a_checkerboard_counts_as_an_extremum():
    board = np.kron(np.indices((4, 5)).sum(axis=0) % 2, np.ones((24, 24)))
    image = cv2.GaussianBlur(50 + 150 * board, (5, 5), 0.7).astype(np.uint8)
    response = hessian_response(batch_of(image))
    scores = weight_scores(torch.ones(1, 96, 120), response)[0]
    for y in (24, 48, 72):
        for x in (24, 48, 72, 96):
            assert scores[y - 1 : y + 1, x - 1 : x + 1].max() > 0.2


@pytest.mark.parametrize(('square', 'counts'), [(7, False), (8, False), (10, True), (40, True)])
def test_a_crossing_counts_if_its_squares_are_as_large_as_the_coarsest_scale(square, counts):
    board = np.kron(np.indices((6, 7)).sum(axis=0) % 2, np.ones((square, square)))
    image = cv2.GaussianBlur(50 + 150 * board, (5, 5), 0.7).astype(np.uint8)
    near = np.s_[0, 3 * square - 1 : 3 * square + 1, 3 * square - 1 : 3 * square + 1]
    response = hessian_response(batch_of(image))
    assert response.saddle[near].any() == counts
    assert (response.response[near] > 0).any() == counts


def test_the_strength_is_the_sum_of_positive_responses_times_a_quarter_of_their_scale(photograph):
    strength = hessian_response(batch_of(photograph)).strength[0].numpy()
    responses = np.stack(slow_responses(photograph, KERNEL_RADIUS))
    weights = np.array(SCALES[: len(responses)]) / 4
    expected = np.tensordot(weights, responses.clip(0), axes=1)[16:-16, 16:-16]
    inside = strength[16:-16, 16:-16]
    high = expected > 1
    assert np.isclose(inside, expected, rtol=0.1, atol=3)[high].mean() > 0.999


@pytest.mark.parametrize('shift', [(0.0, 0.0), (0.3, -0.4), (-0.25, 0.5), (0.45, 0.1)])
def test_hessian_keypoints_lie_on_the_spots_the_heatmap_marks_to_a_tenth_of_a_pixel(shift):
    # The heatmap marks every second spot, to within two pixels.
    places = [(x, y) for y in range(20, 110, 17) for x in range(20, 150, 17)]
    y, x = np.mgrid[:120, :160]
    image, heatmap = np.full((120, 160), 50.0), torch.zeros(1, 120, 160)
    for number, (u, v) in enumerate(places):
        squared = (x - u - shift[0]) ** 2 + (y - v - shift[1]) ** 2
        image += 150 * np.exp(-squared / (2 * 1.5**2))
        if number % 2:
            heatmap[0, v + number % 3 - 1, u + number // 3 % 3 - 1] = 0.6
    images = batch_of(image.round().astype(np.uint8))
    steps = find_keypoints(heatmap, images, SETTINGS)
    used = steps.scores[0] > 0
    points, scores = steps.keypoints[0, used], steps.scores[0, used]
    truth = np.array(places[1::2]) + shift
    distance = np.linalg.norm(points.numpy()[:, None] - truth, axis=2)
    assert len(points) == len(truth)
    assert distance.min(axis=0).max() < 0.1
    assert scores.min() > 0.05
    whole = DetectionSettings(border_margin=8, threshold=0.01, subpixel=False)
    pixels = find_keypoints(heatmap, images, whole).keypoints[0, used]
    assert (pixels - points).abs().max() <= 0.5


def test_a_score_is_the_probability_nearby_times_the_strength_factor():
    response = torch.zeros(1, 20, 20)
    response[0, 10, 10] = HALF_STRENGTH
    none = torch.zeros(1, 20, 20, dtype=torch.bool)
    hessian = HessianResponse(response, response, none, find_extrema(response))
    heatmap = torch.zeros(1, 20, 20)
    heatmap[0, 10, 10], heatmap[0, 10, 11] = 0.2, 0.1
    scores = weight_scores(heatmap, hessian)
    near = 0.2 + 0.1 * np.exp(-0.5)
    assert scores[0, 10, 10].item() == pytest.approx(near**0.75 / 2, rel=1e-2)
    assert (scores > 0).sum() == 1
    heatmap[0, 9:12, 9:12] = 1.0  # the sum exceeds 1
    assert weight_scores(heatmap, hessian)[0, 10, 10].item() == pytest.approx(0.5)


@pytest.mark.parametrize('level', [0, 128, 255])
def test_a_uniform_image_has_no_scores(level):
    image = batch_of(np.full((40, 56), level, np.uint8))
    assert not (weight_scores(torch.ones(1, 40, 56), hessian_response(image)) > 0).any()


def test_offsets_are_the_vertices_of_parabolas_and_at_most_half_a_pixel():
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(15.0), indexing='ij')
    response = (50 - (x - 7.3) ** 2 - 2 * (y - 4.8) ** 2)[None]
    x, y = torch.tensor([[7, 0]]), torch.tensor([[5, 0]])
    offsets = parabola_offsets(response, x, y)[0]
    assert offsets[0].tolist() == pytest.approx([0.3, -0.2], abs=1e-4)
    assert offsets[1].abs().max() <= 0.5
    corner = torch.zeros(1, 1, dtype=torch.long)
    assert parabola_offsets(torch.ones(1, 3, 3), corner, corner).tolist() == [[[0, 0]]]


@pytest.mark.parametrize('shift', [(3, 5), (1, 0), (6, 2)])
def test_keypoints_follow_a_shift_of_the_image_by_some_pixels(photograph, shift):
    x, y = shift
    settings = {'device': 'cpu', 'max_keypoints': 200, 'border_margin': 16}
    distances = {}
    for chosen in ('hessian', 'heatmap'):
        detector = Detector.from_weights(keypoints=chosen, **settings)
        a = detector(photograph[: 211 - y, : 301 - x]).keypoints + 0.0
        b = detector(photograph[y:, x:]).keypoints + [x, y]
        nearest = np.linalg.norm(a[:, None] - b, axis=2).min(axis=1)
        distances[chosen] = np.median(nearest[nearest < 3])
    # Maxima of the heatmap are half a pixel off.
    assert distances['hessian'] < 0.02 < 0.2 < distances['heatmap']
