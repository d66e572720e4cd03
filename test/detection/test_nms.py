# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Non-maximum suppression is exactly the greedy one, on tensors and in compiled loops."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from superpoint_ros import Detector
from superpoint_ros.data.sequences.image_files import read_image
from superpoint_ros.detection.cpu_nms import find_maxima
from superpoint_ros.detection.nms import ROUNDS, suppress_non_maxima
from superpoint_ros.resources import demo_photographs


def suppress_slowly(scores, radius):
    """Return what greedy suppression keeps, taking the highest pixel again and again."""
    rest, kept = scores.copy(), np.zeros_like(scores)
    while rest.max() > 0:
        y, x = np.unravel_index(rest.argmax(), rest.shape)  # the first of equal ones
        kept[y, x] = rest[y, x]
        rest[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = 0
    return kept


@given(
    radius=st.integers(0, 9),
    levels=st.sampled_from([1, 2, 5, 1000]),
    threshold=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 2**16),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=60, deadline=None)
def test_suppression_is_exactly_the_greedy_one(radius, levels, threshold, seed, shape):
    # Few levels make plateaus and ties.
    values = np.random.default_rng(seed).integers(0, levels + 1, (2, *shape)) / levels
    scores = values.astype(np.float32)
    candidates = np.where(scores >= threshold, scores, np.float32(0))
    kept, undecided = suppress_non_maxima(torch.from_numpy(candidates), radius)
    assert not undecided.any() or radius == 0
    for index, source in enumerate(candidates):
        expected = suppress_slowly(source, radius)
        np.testing.assert_array_equal(kept[index].numpy(), expected)
        pixels, found = find_maxima(scores[index], threshold, radius)
        np.testing.assert_array_equal(np.sort(pixels), np.flatnonzero(expected))
        np.testing.assert_array_equal(found, expected.ravel()[pixels])
        # Highest first, and equal ones in reading order.
        order = np.lexsort((pixels, -found))
        np.testing.assert_array_equal(order, np.arange(len(order)))


@pytest.mark.parametrize('radius', [1, 4, 9])
@pytest.mark.parametrize('threshold', [0.015, 0.002])
def test_rounds_of_graphs_suffice_for_suppression_on_photographs(radius, threshold):
    detector = Detector.from_weights(device='cpu', precision='float32')
    for path in demo_photographs()[:3]:
        heatmap = detector.heatmap(read_image(path)[:304, :400].copy())
        pixels, _ = find_maxima(heatmap, threshold, radius)
        scores = torch.from_numpy(np.where(heatmap >= threshold, heatmap, 0))[None]
        kept, undecided = suppress_non_maxima(scores, radius, ROUNDS)
        assert len(pixels) > 5
        np.testing.assert_array_equal(np.flatnonzero(kept.numpy()), np.sort(pixels))
        assert not undecided.any()


def test_a_ridge_longer_than_the_rounds_leaves_its_end_undecided():
    # Every pixel is lower than its left neighbour: each round decides one maximum.
    scores = torch.linspace(1, 0.5, 40).repeat(1, 1, 1)
    kept, undecided = suppress_non_maxima(scores, 4)
    assert torch.nonzero(kept)[:, 2].tolist() == list(range(0, 40, 5))
    assert not undecided.any()
    kept, undecided = suppress_non_maxima(scores, 4, 3)
    assert torch.nonzero(kept)[:, 2].tolist() == [0, 5, 10]
    assert torch.nonzero(undecided)[:, 2].tolist() == list(range(15, 40))


def test_of_equal_pixels_suppression_keeps_the_first():
    scores = torch.zeros(2, 20, 30)
    scores[0, 5:8, 5:9] = 0.5  # a plateau
    scores[1, 3, 3] = scores[1, 3, 6] = scores[1, 3, 9] = 0.5
    kept, _ = suppress_non_maxima(scores, 4, ROUNDS)
    assert torch.nonzero(kept).tolist() == [[0, 5, 5], [1, 3, 3], [1, 3, 9]]
