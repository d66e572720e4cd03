# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The graph for other programs finds what the Detector finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.detector import Detector
from superpoint_ros.export.check import Agreement, compare, features_of
from superpoint_ros.export.graph import DetectorGraph
from superpoint_ros.features import Features
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import default_weights, demo_photographs


@pytest.fixture(scope='module')
def tiny():
    """Return a tiny network of random weights, with batch norm, that finds keypoints."""
    torch.manual_seed(0)
    model = SuperPoint(SuperPointConfig((4, 4, 8, 8), 16, 8, normalization='before_relu'))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == 'convPb.weight':
                parameter *= 20
    return model.eval()


def run_graph(graph, images, threshold):
    """Return the outputs of a graph for images (B, H, W) as arrays."""
    with torch.inference_mode():
        output = graph(torch.from_numpy(np.stack(images))[:, None], torch.tensor([threshold]))
    return type(output)(*(part.numpy() for part in output))


def noise(seed, height, width):
    """Return an image of noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def test_on_photographs_the_graph_finds_what_the_shipped_detector_finds():
    model, _ = load_weights(default_weights())
    detector = Detector.from_model(model, device='cpu', min_contrast=0)
    graph = DetectorGraph(model)
    photographs = [read_image(path)[:301, :417].copy() for path in demo_photographs()]
    agreement = compare(
        lambda images, threshold: run_graph(graph, images[:, 0], threshold), detector, photographs
    )
    assert agreement.images == 6
    assert agreement.shared >= 0.995 * agreement.keypoints > 300
    assert agreement.score < 1e-4
    assert agreement.descriptor < 1e-3
    assert agreement.holds


@pytest.mark.parametrize(('height', 'width'), [(16, 16), (17, 23), (64, 40), (61, 99)])
@pytest.mark.parametrize(
    'settings',
    [
        DetectionSettings(min_contrast=0),
        DetectionSettings(nms_radius=0, border_margin=0, max_keypoints=7, min_contrast=0),
        DetectionSettings(nms_radius=2, border_margin=9, subpixel=False, min_contrast=0),
    ],
)
def test_graphs_of_any_size_and_settings_find_what_the_detector_finds(
    tiny, height, width, settings
):
    detector = Detector.from_model(tiny, device='cpu', **vars(settings))
    graph = DetectorGraph(tiny, settings, rounds=30)
    images = [noise(seed, height, width) for seed in range(3)]
    output = run_graph(graph, images, settings.threshold)
    count = settings.max_keypoints
    assert output.keypoints.shape == (3, count, 2)
    assert output.descriptors.shape == (3, count, 8)
    assert output.valid.dtype == bool
    agreement = Agreement()
    for index, image in enumerate(images):
        agreement.add(detector(image), features_of(output, index))
        # Best first, and unused places are zero.
        assert (np.diff(output.scores[index]) <= 0).all()
        valid = int(output.valid[index].sum())
        assert output.valid[index, :valid].all()
        for part in (output.keypoints, output.scores, output.descriptors):
            assert not part[index, valid:].any()
    assert agreement.keypoints == agreement.shared
    assert agreement.holds
    assert agreement.keypoints > 0 or settings.border_margin == 9


def test_the_threshold_is_an_input_of_a_graph(tiny):
    graph = DetectorGraph(tiny, rounds=30)
    image = noise(0, 48, 64)
    every = run_graph(graph, [image], 0.001)
    # Between two scores: at one of them, rounding decides.
    scores = every.scores[every.valid]
    middle = float(scores[len(scores) // 2 :][:2].mean())
    for threshold in (0.001, middle, 1.0):
        output = run_graph(graph, [image], threshold)
        assert (output.scores[output.valid] >= threshold).all()
        found = len(Detector.from_model(tiny, device='cpu', threshold=threshold)(image))
        assert int(output.valid.sum()) == found
        assert (found == 0) == (threshold == 1.0)


def test_a_graph_may_find_no_keypoints(tiny):
    output = run_graph(DetectorGraph(tiny), [np.zeros((32, 32), np.uint8)], 1.0)
    assert not output.valid.any()
    assert not output.keypoints.any()
    assert np.isfinite(output.descriptors).all()


def test_a_graph_accepts_images_from_zero_to_one(tiny):
    graph = DetectorGraph(tiny, rounds=30)
    image = torch.from_numpy(noise(0, 48, 64))[None, None]
    with torch.inference_mode():
        one = graph(image, torch.tensor([0.01]))
        two = graph(image.float() / 255, torch.tensor([0.01]))
    assert torch.equal(one.keypoints, two.keypoints)


def test_rounds_of_a_graph_must_be_positive(tiny):
    with pytest.raises(ValueError, match='at least 1, got 0'):
        DetectorGraph(tiny, rounds=0)


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        ({'grid_cells': 4}, 'grid_cells must be 0, got 4'),
        ({'max_image_size': 640}, 'max_image_size must be 0, got 640'),
        ({'upscale_factor': 2.0}, 'upscale_factor must be 1.0, got 2.0'),
        ({'descriptor_scales': 2}, 'descriptor_scales must be 1, got 2'),
        ({'min_contrast': 100}, 'min_contrast must be 0, got 100'),
    ],
)
def test_settings_that_a_graph_does_not_implement_are_refused(tiny, setting, message):
    with pytest.raises(ValueError, match=message):
        DetectorGraph(tiny, DetectionSettings(**{'min_contrast': 0, **setting}))


def test_agreement_counts_shared_keypoints():
    def features(points, scores):
        return Features(np.array(points, float), np.array(scores), np.eye(len(points)))

    agreement = Agreement()
    agreement.add(
        features([[1, 1], [5, 5], [9, 9]], [0.9, 0.8, 0.7]),
        features([[1, 1.001], [5, 6], [30, 3]], [0.9, 0.8, 0.7]),
    )
    assert (agreement.keypoints, agreement.shared) == (5, 1)
    assert not agreement.holds
    agreement = Agreement()
    agreement.add(features([[1, 1]], [0.9]), features([[1, 1]], [0.5]))
    assert agreement.score == pytest.approx(0.4)
    assert not agreement.holds
