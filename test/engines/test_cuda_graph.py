# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The program for CUDA graphs finds what the Detector finds; all but the capture runs on a CPU."""

from __future__ import annotations

import copy
from dataclasses import replace
import threading

import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines import cuda_graph as whole_frames
from superpoint_ros.engines.torch_engine import TorchEngine
from superpoint_ros.files import default_weights
from superpoint_ros.model.superpoint import SuperPointOutput
from superpoint_ros.model.weights import load_weights

CPU = torch.device('cpu')
SETTINGS = DetectionSettings()


class SteppedEngine(TorchEngine):
    """Runs on a CPU what CudaEngine captures."""

    def __init__(self, model):
        super().__init__(model, CPU, 'float32')
        self.frames = whole_frames.WholeFrames(self.infer, CPU)
        self.asked, self.answered = 0, 0

    def detect(self, images, size, settings, mask=None):
        found = self.frames(images, size, settings, mask)
        self.asked += 1
        self.answered += found is not None
        return found


@pytest.fixture(scope='module')
def model():
    return load_weights(default_weights())[0]


@pytest.fixture
def stepped(model):
    return Detector(SteppedEngine(model), model.config.descriptor_size)


def assert_same(found, expected):
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-5)
    # Of equal scores either may come first, and blobs are rounded differently.
    distance = np.abs(found.keypoints[:, None] - expected.keypoints).max(axis=2, initial=0)
    nearest = distance.argmin(axis=0) if len(found) else []
    assert len(set(nearest)) == len(expected)
    np.testing.assert_allclose(found.keypoints[nearest], expected.keypoints, atol=0.05)
    assert np.abs(found.keypoints[nearest] - expected.keypoints).mean() < 1e-3
    np.testing.assert_allclose(found.descriptors[nearest], expected.descriptors, atol=1e-3)


@pytest.mark.parametrize(
    'settings',
    [
        SETTINGS,
        DetectionSettings(threshold=0.001, max_keypoints=150),
        DetectionSettings(nms_radius=0, border_margin=0, threshold=0.02, subpixel=False),
        DetectionSettings(keypoints='heatmap'),
        DetectionSettings(nms_radius=9, border_margin=20, max_image_size=200),
    ],
)
def test_on_photographs_it_finds_what_the_detector_finds(
    photographs, reference, stepped, settings
):
    images = photographs[:3]
    expected = Detector(reference.engine, reference.descriptor_size, settings)(images)
    for found, wanted in zip(stepped(images, settings=settings), expected, strict=True):
        assert_same(found, wanted)
        assert len(found) > 10
    assert stepped.engine.answered == 1


class RandomEngine:
    """Says the same random things of every image."""

    name, precision, device, has_own_threads = 'random', 'float32', CPU, False

    def __init__(self, seed):
        self._seed = seed

    def infer(self, images):
        count, _, height, width = images.shape
        generator = torch.Generator().manual_seed(self._seed)
        sizes = ((count, size, height // 8, width // 8) for size in (65, 16))
        return SuperPointOutput(*(3 * torch.randn(*size, generator=generator) for size in sizes))


class SteppedRandomEngine(RandomEngine):
    def __init__(self, seed):
        super().__init__(seed)
        self.detect = whole_frames.WholeFrames(self.infer, CPU)


@pytest.mark.parametrize('seed', range(4))
def test_on_random_heatmaps_it_finds_what_the_detector_finds(seed):
    images = [np.zeros((61, 83), np.uint8)] * 2
    mask = np.ones((61, 83), np.uint8)
    mask[:, :40] = 0
    settings = DetectionSettings(threshold=0.05, nms_radius=3, keypoints='heatmap')
    stepped, plain = SteppedRandomEngine(seed), RandomEngine(seed)
    stepped, plain = (Detector(each, 16, settings) for each in (stepped, plain))
    # With a mask, without, and with it again: it is remembered from frame to frame.
    for given in (mask, None, mask):
        for found, expected in zip(stepped(images, given), plain(images, given), strict=True):
            assert_same(found, expected)
            assert len(found) > 10
            assert given is None or (found.keypoints[:, 0] >= 38).all()
            assert given is not None or (found.keypoints[:, 0] < 38).any()


def test_what_it_returned_stays(photographs, stepped):
    first = stepped(photographs[0])
    kept = copy.deepcopy(first)
    stepped(photographs[1])
    assert_same(first, kept)


def test_threshold_and_number_change_without_another_program(photographs, stepped):
    usual = replace(SETTINGS, threshold=0.005)
    counts = []
    for threshold in (0.3, usual.threshold, 1.0):
        settings = replace(usual, threshold=threshold)
        counts.append(len(stepped(photographs[0], settings=settings)))
    assert counts[0] < counts[1]
    assert counts[2] == 0
    more = replace(usual, max_keypoints=900)
    assert len(stepped(photographs[0], settings=more)) == counts[1]
    assert len(stepped.engine.frames._programs) == 1
    few = replace(usual, max_keypoints=20)
    assert len(stepped(photographs[0], settings=few)) == 20


def test_programs_of_the_last_sizes_are_kept(stepped):
    for width in (64, 72, 80, 88, 96, 64):
        stepped(np.zeros((64, width), np.uint8))
    kept = [key.size[1] for key in stepped.engine.frames._programs]
    assert kept == [80, 88, 96, 64]


@pytest.mark.parametrize('change', [{'grid_cells': 4}, {'max_keypoints': 9000}])
def test_what_it_cannot_do_is_done_as_elsewhere(photographs, reference, stepped, change):
    settings = replace(SETTINGS, **change)
    expected = reference(photographs[0], settings=settings)
    assert_same(stepped(photographs[0], settings=settings), expected)
    assert (stepped.engine.asked, stepped.engine.answered) == (1, 0)


def test_where_rounds_are_too_few_the_frame_is_decoded_as_elsewhere(
    photographs, reference, stepped, monkeypatch
):
    monkeypatch.setattr(whole_frames, 'ROUNDS', 1)
    assert_same(stepped(photographs[0]), reference(photographs[0]))
    assert (stepped.engine.asked, stepped.engine.answered) == (1, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no CUDA device')
@pytest.mark.parametrize('precision', ['float32', 'float16'])
def test_on_cuda_the_captured_program_finds_what_its_steps_find(photographs, precision):
    detector = Detector.from_weights(device='cuda', precision=precision)
    steps = Detector(
        TorchEngine(load_weights(default_weights())[0], torch.device('cuda'), precision),
        detector.descriptor_size,
    )
    for images in (photographs[:1], photographs[:3], photographs[1:2], photographs[:3]):
        for found, expected in zip(detector(images), steps(images), strict=True):
            assert abs(len(found) - len(expected)) <= 0.01 * len(expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no CUDA device')
def test_on_cuda_a_network_is_captured_while_another_works(photographs):
    working = Detector.from_weights(device='cuda')
    expected, stop, errors = working(photographs[0]), threading.Event(), []

    def work():
        while not stop.is_set():
            try:
                assert_same(working(photographs[0]), expected)
            except Exception as error:  # noqa: BLE001 - the main thread tells of any
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        Detector.from_weights(device='cuda')(photographs[1])
    stop.set()
    thread.join()
    assert errors == []
