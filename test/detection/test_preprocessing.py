# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images become gray, padded and smaller, and keypoints keep their places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superpoint_ros.detection.preprocessing import (
    image_pyramid,
    pad,
    rescale_keypoints,
    resize_mask,
)
from superpoint_ros.export.graph import pad_to_cells


def random_image(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def test_image_pyramid_halves_down_to_what_the_network_accepts():
    image = random_image(70, 100)
    pyramid = image_pyramid(image, 4)
    assert [level.shape for level in pyramid] == [(70, 100), (35, 50), (18, 25)]
    assert pyramid[0] is image
    assert abs(pyramid[1].mean() - image.mean()) < 1
    assert [level.shape for level in image_pyramid(image, 1)] == [(70, 100)]


@pytest.mark.parametrize('size', [(16, 16), (17, 40), (23, 31)])
def test_padding_repeats_the_last_row_and_column_up_to_whole_cells(size):
    images = [random_image(*size), random_image(*size)[::-1].copy()]
    padded = pad(images)
    height, width = (-(-side // 8) * 8 for side in size)
    assert padded.shape == (2, 1, height, width)
    for before, after in zip(images, padded[:, 0], strict=True):
        ends = ((0, height - size[0]), (0, width - size[1]))
        np.testing.assert_array_equal(after, np.pad(before, ends, 'edge'))
    in_graphs = pad_to_cells(torch.from_numpy(np.stack(images)[:, None]))
    np.testing.assert_array_equal(in_graphs.numpy(), padded)


@pytest.mark.parametrize('make', [torch.tensor, np.float32])
def test_keypoints_of_a_resized_image_lie_at_the_same_fraction_of_it(make):
    before, after = np.zeros((40, 60)), np.zeros((20, 90))
    # Pixel centres: the left edge of the image is at -0.5.
    points = make([[-0.5, -0.5], [59.5, 39.5], [29.5, 19.5]])
    moved = rescale_keypoints(points, before, after)
    assert moved.tolist() == [[-0.5, -0.5], [89.5, 19.5], [44.5, 9.5]]
    assert rescale_keypoints(points, before, before) is points


@pytest.mark.parametrize('size', [(20, 30), (10, 15), (16, 21), (60, 90), (61, 100), (40, 25)])
def test_a_resized_mask_forbids_each_pixel_of_which_the_mask_forbids_a_part(size):
    mask = random_image(40, 60) > 10
    expected = np.ones(size, bool)
    for row, column in np.argwhere(~mask):
        # The pixels (y, x) that cover a part of this one.
        expected[
            row * size[0] // 40 : -(-(row + 1) * size[0] // 40),
            column * size[1] // 60 : -(-(column + 1) * size[1] // 60),
        ] = False
    assert expected.any()
    resized = resize_mask(mask.astype(np.uint8) * 3, size)
    assert resized.dtype == bool
    np.testing.assert_array_equal(resized, expected)
