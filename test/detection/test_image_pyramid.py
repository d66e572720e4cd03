# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Several levels of an image, and the descriptors of all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superpoint_ros.detection.image_pyramid import make_levels, pool_descriptors


def test_each_level_is_smaller_down_to_what_the_network_takes():
    image = np.random.default_rng(0).integers(0, 256, (70, 100), dtype=np.uint8)
    levels = make_levels(image, 4)
    assert [level.shape for level in levels] == [(70, 100), (35, 50), (18, 25)]
    assert levels[0] is image
    assert abs(levels[1].mean() - image.mean()) < 1
    assert [level.shape for level in make_levels(image, 1)] == [(70, 100)]


def test_each_level_counts_half_of_the_one_before():
    fine, coarse = torch.tensor([[1.0, 0, 0], [0, 1, 0]]), torch.tensor([[0.0, 1, 0], [0, 1, 0]])
    coarsest = torch.tensor([[0.0, 0, 1], [0, 1, 0]])
    pooled = pool_descriptors([fine, coarse, coarsest])
    expected = np.array([1, 0.5, 0.25]) / np.sqrt(1 + 0.25 + 0.0625)
    assert pooled[0].numpy() == pytest.approx(expected)
    assert pooled[1].numpy() == pytest.approx([0, 1, 0])
    assert torch.equal(pool_descriptors([fine]), fine)


def test_no_keypoints_are_a_result():
    assert pool_descriptors([torch.zeros(0, 8), torch.zeros(0, 8)]).shape == (0, 8)
