# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A CUDA graph finds what the Detector finds on a CPU; all but the capture is tested there."""

from __future__ import annotations

import copy
from dataclasses import replace
import threading

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from superpoint_ros import Detector
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines import cuda_graph
from superpoint_ros.engines.torch_engine import TorchEngine
from superpoint_ros.model.config import SuperPointOutput
from superpoint_ros.model.weights import read_weights
from superpoint_ros.resources import default_weights

CPU = 'cpu'
SETTINGS = DetectionSettings(threshold=0.001)
"""With a lower threshold, rounding decides whether some weak responses are extrema."""


def without_capture(engine, size):
    """Return a detector that runs on a CPU what is captured on CUDA."""
    detector = Detector(engine, size)
    detector.pipeline = cuda_graph.CudaGraphPipeline(engine.infer, CPU)
    return detector


@pytest.fixture(scope='module')
def model():
    return read_weights(default_weights())[0]


@pytest.fixture
def stepped(model):
    return without_capture(TorchEngine(model, CPU), model.config.descriptor_size)


def assert_same(found, expected):
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-5)
    # Of equal scores either may come first, and the Hessian response is rounded differently.
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
        DetectionSettings(max_keypoints=150),
        DetectionSettings(nms_radius=0, border_margin=0, threshold=0.02, subpixel=False),
        DetectionSettings(keypoints='heatmap'),
        DetectionSettings(nms_radius=9, border_margin=20, max_image_size=200),
        DetectionSettings(grid_cells=4, max_keypoints=60),
        DetectionSettings(threshold=0.001, max_keypoints=100_000, nms_radius=1),
        DetectionSettings(threshold=0.001, descriptor_scales=2),
    ],
)
def test_on_photographs_a_graph_finds_what_the_detector_finds(
    photographs, reference, stepped, settings
):
    images = photographs[:3]
    expected = Detector(reference.engine, reference.descriptor_size, settings)(images)
    for found, wanted in zip(stepped(images, settings=settings), expected, strict=True):
        assert_same(found, wanted)
        assert len(found) > 10


class RandomEngine:
    """An engine with the same random output for every image."""

    name, precision, device = 'random', 'float32', CPU

    def __init__(self, seed):
        self._seed = seed

    def infer(self, images):
        count, _, height, width = images.shape
        generator = torch.Generator().manual_seed(self._seed)
        sizes = ((count, size, height // 8, width // 8) for size in (65, 16))
        output = [3 * torch.randn(*size, generator=generator) for size in sizes]
        if isinstance(images, np.ndarray):
            output = [each.numpy() for each in output]
        return SuperPointOutput(*output)


@pytest.mark.parametrize('seed', range(4))
def test_on_random_heatmaps_a_graph_finds_what_the_detector_finds(seed):
    images = [np.zeros((61, 83), np.uint8)] * 2
    mask = np.ones((61, 83), np.uint8)
    mask[:, :40] = 0
    settings = DetectionSettings(threshold=0.05, nms_radius=3, keypoints='heatmap')
    stepped, plain = without_capture(RandomEngine(seed), 16), Detector(RandomEngine(seed), 16)
    # With a mask, without, and with it again: graphs keep it from frame to frame.
    for given in (mask, None, mask):
        both = (each(images, given, settings) for each in (stepped, plain))
        for found, expected in zip(*both, strict=True):
            assert_same(found, expected)
            assert len(found) > 10
            assert given is None or (found.keypoints[:, 0] >= 38).all()
            assert given is not None or (found.keypoints[:, 0] < 38).any()


def test_a_graph_does_not_overwrite_earlier_results(photographs, stepped):
    first = stepped(photographs[0])
    kept = copy.deepcopy(first)
    stepped(photographs[1])
    assert_same(first, kept)


def test_threshold_and_number_of_keypoints_change_without_another_graph(photographs, stepped):
    usual = replace(SETTINGS, threshold=0.005)
    counts = []
    for threshold in (0.3, usual.threshold, 1.0):
        settings = replace(usual, threshold=threshold)
        counts.append(len(stepped(photographs[0], settings=settings)))
    assert counts[0] < counts[1]
    assert counts[2] == 0
    more = replace(usual, max_keypoints=900)
    assert len(stepped(photographs[0], settings=more)) == counts[1]
    assert len(stepped.pipeline._graphs) == 1
    few = replace(usual, max_keypoints=20)
    assert len(stepped(photographs[0], settings=few)) == 20


def test_graphs_of_the_last_sizes_are_kept(stepped):
    for width in (64, 72, 80, 88, 96, 64):
        stepped(np.zeros((64, width), np.uint8))
    kept = [key.size[1] for key in stepped.pipeline._graphs]
    assert kept == [80, 88, 96, 64]


def test_a_frame_is_processed_without_a_graph_if_its_rounds_of_suppression_are_too_few(
    photographs, reference, stepped, monkeypatch
):
    monkeypatch.setattr(cuda_graph, 'ROUNDS', 1)
    assert_same(stepped(photographs[0]), reference(photographs[0]))


class NothingFromOrToTheHost(TorchDispatchMode):
    """Fails at operations that wait for values of a device, or copy values to it."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        # Numbers in expressions are passed to the device's functions by value.
        devices = {each.device.type for each in tensors if each.ndim}
        assert len(devices) < 2, operation
        assert str(operation) not in ('aten._local_scalar_dense.default', 'aten.nonzero.default')
        return operation(*args, **kwargs or {})


@pytest.mark.parametrize(
    'settings',
    [SETTINGS, replace(SETTINGS, grid_cells=4), replace(SETTINGS, keypoints='heatmap')],
)
def test_a_graph_that_is_recorded_copies_nothing_else_from_the_cpu(model, settings, monkeypatch):
    # CUDA refuses that. The device 'meta' has shapes but no values, and needs no GPU.
    engine = TorchEngine(model, 'meta')
    key = cuda_graph._Key((2, 1, 48, 480), (45, 474), settings)
    graph = cuda_graph._Graph(engine.infer, torch.device('meta'), key)  # a run to warm up

    def refuse(*_, **__):
        raise AssertionError('values are copied from the CPU')

    for name in ('tensor', 'as_tensor', 'from_numpy'):
        monkeypatch.setattr(torch, name, refuse)
    with torch.inference_mode(), NothingFromOrToTheHost():
        assert graph._calculate().shape[0] == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no CUDA device')
@pytest.mark.parametrize('precision', ['float32', 'float16'])
def test_on_cuda_a_captured_graph_finds_what_the_cpu_finds(photographs, precision):
    detector = Detector.from_weights(device='cuda', precision=precision)
    steps = Detector.from_weights(device='cpu', precision='float32', engine='torch')
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
            except Exception as error:  # noqa: BLE001 - the main thread reports any
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        Detector.from_weights(device='cuda')(photographs[1])
    stop.set()
    thread.join()
    assert errors == []
