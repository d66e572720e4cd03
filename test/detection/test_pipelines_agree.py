# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tensor pipeline and the compiled pipeline for CPUs find the same features."""

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detection.cpu import CpuPipeline
from superpoint_ros.detection.pipeline import detect
from superpoint_ros.detection.preprocessing import pad
from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.features import Features
from superpoint_ros.model.config import SuperPointOutput
from superpoint_ros.model.weights import load_weights
from superpoint_ros.resources import default_weights, demo_photographs
from support.engines import cpu_engine


def random_network(seed, spread):
    """Return a function to random output for images, the dustbin's logits higher on the whole."""

    def network(images):
        count, _, height, width = images.shape
        generator = torch.Generator().manual_seed(seed)
        shape = (count, 65, height // 8, width // 8)
        logits = spread * torch.randn(shape, generator=generator)
        logits[:, 64] += 3
        coarse = torch.randn((count, 16, *shape[2:]), generator=generator)
        return SuperPointOutput(logits, coarse)

    return network


def with_arrays(network, images):
    """Return the output of a function of tensors for images, both as arrays."""
    return network(torch.from_numpy(images)).apply(lambda part: part.numpy())


def by_tensors(network, images, masks, detection):
    """Return the features of images of one size by the tensor pipeline."""
    mask = None if masks[0] is None else torch.from_numpy(np.stack(masks))
    seen = torch.from_numpy(np.stack(images))[:, None]
    steps, found = detect(network(torch.from_numpy(pad(images))), seen, detection, mask=mask)
    assert not steps.undecided.any()
    result = []
    for index, valid in enumerate(found.valid):
        assert not found.scores[index, ~valid].any()
        assert not found.keypoints[index, ~valid].any()
        parts = (part[index, valid].numpy() for part in found[:3])
        result.append(Features(*parts))
    return result


def assert_same(found, expected):
    """Assert that features agree, except for pairs of keypoints with nearly equal scores."""
    assert (np.diff(found.scores) <= 0).all()
    few = 1 + 0.02 * len(expected)
    assert abs(len(found) - len(expected)) <= few
    if not len(expected):
        return
    # By score, too: without suppression, refinement moves several pixels to one place.
    pairs = np.isclose(found.scores[:, None], expected.scores, rtol=2e-3, atol=1e-6)
    pairs &= np.abs(found.keypoints[:, None] - expected.keypoints).max(axis=2) < 0.02
    same, partner = pairs.any(axis=1), pairs.argmax(axis=1)
    assert (~same).sum() <= few
    descriptors = np.abs(found.descriptors - expected.descriptors[partner]).max(axis=1)
    assert (descriptors[same] < 0.02).all()


def run_both(network, images, detection, masks=None):
    """Return the features of images of one size by the compiled loops, after comparing them."""
    masks = masks or [None] * len(images)
    with torch.inference_mode():
        found = CpuPipeline(partial(with_arrays, network)).detect(images, masks, detection)
        expected = by_tensors(network, images, masks, detection)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keypoints.dtype == ours.scores.dtype == ours.descriptors.dtype == np.float32
        assert_same(ours, theirs)
    return found


@given(
    seed=st.integers(0, 100),
    size=st.tuples(st.integers(16, 200), st.integers(16, 300)),
    # More would make many probabilities 1, and the order of equal scores is open.
    spread=st.sampled_from([0.5, 2.0, 5.0]),
    detection=st.builds(
        DetectionSettings,
        keypoints=st.sampled_from(['hessian', 'heatmap']),
        nms_radius=st.integers(0, 8),
        threshold=st.sampled_from([1e-9, 0.001, 0.02, 0.3]),
        border_margin=st.integers(0, 20),
        max_keypoints=st.sampled_from([1, 50, 10_000]),
        grid_cells=st.sampled_from([0, 0, 3]),
        subpixel=st.booleans(),
    ),
)
@settings(max_examples=40, deadline=None)
def test_both_pipelines_find_the_same_on_random_input(photograph, seed, size, spread, detection):
    image = photograph[: size[0], : size[1]].copy()
    run_both(random_network(seed, spread), [image], detection)


@pytest.mark.parametrize('keypoints', ['hessian', 'heatmap'])
def test_both_pipelines_find_the_same_on_photographs(keypoints):
    model, _ = load_weights(default_weights())
    network = cpu_engine(model, 'float32', 'torch').infer
    images = [read_image(path)[:301, :417].copy() for path in demo_photographs()]
    for detection in (
        DetectionSettings(keypoints=keypoints),
        DetectionSettings(keypoints=keypoints, max_keypoints=100, grid_cells=4, nms_radius=8),
    ):
        found = run_both(network, images, detection)
        assert sum(len(features) for features in found) >= 400


@pytest.mark.parametrize('keypoints', ['hessian', 'heatmap'])
def test_both_pipelines_keep_keypoints_out_of_the_mask(photograph, keypoints):
    mask = np.zeros(photograph.shape, bool)
    mask[50:120, 100:] = True
    detection = DetectionSettings(threshold=0.0, keypoints=keypoints)
    free = np.ones_like(mask)
    masked, whole = run_both(random_network(0, 2.0), [photograph] * 2, detection, [mask, free])
    assert 50 < len(masked) < len(whole)
    # Refinement moves keypoints by less than two pixels.
    x, y = masked.keypoints.T
    assert (x > 98).all()
    assert (y > 48).all()
    assert (y < 121).all()


@pytest.mark.parametrize('keypoints', ['hessian', 'heatmap'])
@pytest.mark.parametrize('size', [(16, 16), (17, 40), (40, 23)])
def test_both_pipelines_take_images_of_few_cells(size, keypoints):
    image = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    detection = DetectionSettings(threshold=0.0, border_margin=0, keypoints=keypoints)
    [found] = run_both(random_network(0, 2.0), [image], detection)
    assert len(found)
