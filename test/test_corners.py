# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Corners are exact to a fraction of a pixel, and alike on every way to find them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from superpoint_ros import corners, Detector
from superpoint_ros.corners import corner_offsets, corner_response, corner_scores
from superpoint_ros.decoding import detect_keypoints, DetectionSettings
from superpoint_ros.resources import demo_photographs
from superpoint_ros.sequences import read_image

SETTINGS = DetectionSettings(border_margin=8, threshold=0.01)


@pytest.fixture(scope='module')
def photograph():
    [path] = [path for path in demo_photographs() if path.stem == 'bricks']
    return read_image(path)[:211, :301].copy()


def batch_of(*images):
    return torch.from_numpy(np.stack(images))[:, None]


def slow_response(image):
    """Return det / trace of the gradients' second moments, by the definition."""
    gray = image.astype(np.float64)
    bell = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 0.7**2))
    window = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.5**2))
    bell, window = bell / bell.sum(), window / window.sum()

    def filtered(values, across, down):
        for axis, kernel in ((1, across), (0, down)):
            reach = len(kernel) // 2
            pads = [(reach, reach) if axis == each else (0, 0) for each in (0, 1)]
            padded = np.pad(values, pads, mode='edge')
            length = values.shape[axis]
            parts = [np.take(padded, range(i, i + length), axis) for i in range(len(kernel))]
            values = sum(k * part for k, part in zip(kernel, parts, strict=True))
        return values

    smooth = filtered(gray, bell, bell)
    # One after the other, as borders repeat twice: only the inside is the same as in one go.
    x = filtered(smooth, [-0.5, 0, 0.5], [0.25, 0.5, 0.25])
    y = filtered(smooth, [0.25, 0.5, 0.25], [-0.5, 0, 0.5])
    xx, xy, yy = (filtered(product, window, window) for product in (x * x, x * y, y * y))
    return (xx * yy - xy * xy) / (xx + yy + 1e-3)


def test_the_response_is_det_by_trace_of_the_second_moments(photograph):
    response = corner_response(batch_of(photograph))[0].numpy()
    inside = np.s_[8:-8, 8:-8]
    assert response[inside] == pytest.approx(slow_response(photograph)[inside], rel=1e-3, abs=1e-3)


def test_opencv_and_pytorch_give_the_same(photograph, monkeypatch):
    images = batch_of(photograph, photograph[::-1].copy())
    heatmap = 0.05 * torch.rand(2, 211, 301, generator=torch.Generator().manual_seed(0))
    response = corner_response(images)
    scores = corner_scores(heatmap, response)
    monkeypatch.setattr(corners, '_takes_opencv', lambda _: False)
    assert torch.allclose(corner_response(images), response, atol=1e-3, rtol=1e-4)
    assert torch.allclose(corner_response(images.float()), response, atol=1e-3, rtol=1e-4)
    assert torch.allclose(corner_scores(heatmap, response), scores, atol=1e-6)
    assert (scores > 0).sum() > 500


@pytest.mark.parametrize('shift', [(0.0, 0.0), (0.3, -0.4), (-0.25, 0.5), (0.45, 0.1)])
def test_keypoints_lie_on_what_the_network_means_to_a_tenth_of_a_pixel(shift):
    # The network's heatmap knows the places of some dots to two pixels, and those of others not.
    places = [(x, y) for y in range(20, 110, 17) for x in range(20, 150, 17)]
    y, x = np.mgrid[:120, :160]
    image, heatmap = np.full((120, 160), 50.0), torch.zeros(1, 120, 160)
    for number, (u, v) in enumerate(places):
        squared = (x - u - shift[0]) ** 2 + (y - v - shift[1]) ** 2
        image += 150 * np.exp(-squared / (2 * 1.5**2))
        if number % 2:
            heatmap[0, v + number % 3 - 1, u + number // 3 % 3 - 1] = 0.6
    images = batch_of(image.round().astype(np.uint8))
    [(points, scores)] = detect_keypoints(heatmap, SETTINGS, None, images)
    truth = np.array(places[1::2]) + shift
    distance = np.linalg.norm(points.numpy()[:, None] - truth, axis=2)
    assert len(points) == len(truth)
    assert distance.min(axis=0).max() < 0.1
    assert scores.min() > 0.05
    whole = DetectionSettings(border_margin=8, threshold=0.01, subpixel=False)
    [(pixels, _)] = detect_keypoints(heatmap, whole, None, images)
    assert (pixels - points).abs().max() <= 0.5


def test_a_score_is_the_probability_near_times_the_strength():
    response = torch.zeros(1, 20, 20)
    response[0, 10, 10] = 30.0
    heatmap = torch.zeros(1, 20, 20)
    heatmap[0, 10, 10], heatmap[0, 10, 11] = 0.2, 0.1
    scores = corner_scores(heatmap, response)
    near = 0.2 + 0.1 * np.exp(-0.5)
    assert scores[0, 10, 10].item() == pytest.approx(near / 2, rel=1e-2)
    assert (scores > 0).sum() == 1
    heatmap[0, 9:12, 9:12] = 1.0  # more probability than one place can have
    assert corner_scores(heatmap, response)[0, 10, 10].item() == pytest.approx(0.5)


def test_images_of_many_sizes_and_threads_do_not_disturb_each_other(photograph, monkeypatch):
    images = [photograph[:height] for height in (100, 211, 60, 100)]
    alone = [corner_response(batch_of(image)) for image in images]
    together = [corner_response(batch_of(image)) for image in images]
    monkeypatch.setattr(corners._Scratch, 'LARGEST', 0)
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(corner_response, [batch_of(image) for image in images * 5]))
    for index, found in enumerate([*together, *threads]):
        assert torch.equal(found, alone[index % 4])


@pytest.mark.parametrize('level', [0, 128, 255])
def test_an_even_image_has_no_corners(level):
    image = batch_of(np.full((40, 56), level, np.uint8))
    assert not (corner_scores(torch.ones(1, 40, 56), corner_response(image)) > 0).any()


def test_offsets_are_the_vertices_of_parabolas_and_at_most_half_a_pixel():
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(15.0), indexing='ij')
    response = (50 - (x - 7.3) ** 2 - 2 * (y - 4.8) ** 2)[None]
    where = [torch.tensor([each]) for each in (0, 5, 7)]
    assert corner_offsets(response, *where)[0].tolist() == pytest.approx([0.3, -0.2], abs=1e-4)
    where = [torch.tensor([each]) for each in (0, 0, 0)]
    assert corner_offsets(response, *where).abs().max() <= 0.5
    assert corner_offsets(torch.ones(1, 3, 3), *where)[0].tolist() == [0, 0]


@pytest.mark.parametrize('shift', [(3, 5), (1, 0), (6, 2)])
def test_an_image_moved_by_some_pixels_has_its_keypoints_moved_by_as_many(photograph, shift):
    x, y = shift
    settings = {'device': 'cpu', 'max_keypoints': 200, 'border_margin': 16}
    distances = {}
    for chosen in (True, False):
        detector = Detector.from_weights(corners=chosen, **settings)
        a = detector(photograph[: 211 - y, : 301 - x]).keypoints + 0.0
        b = detector(photograph[y:, x:]).keypoints + [x, y]
        nearest = np.linalg.norm(a[:, None] - b, axis=2).min(axis=1)
        distances[chosen] = np.median(nearest[nearest < 3])
    # The network's own maxima are off by half a pixel.
    assert distances[True] < 0.02 < 0.2 < distances[False]
