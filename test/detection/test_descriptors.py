# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Descriptors at keypoints, interpolated as tensors and in compiled loops."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from superpoint_ros.detection import cpu_descriptors
from superpoint_ros.detection.descriptors import (
    average_scales,
    dense_descriptors,
    sample_descriptors,
)
from superpoint_ros.model.config import SuperPointOutput


def by_tensors(coarse, points):
    return sample_descriptors(SuperPointOutput(None, coarse[None]), points[None])[0]


def by_loops(coarse, points):
    output = SuperPointOutput(None, coarse[None].numpy())
    [sampled] = cpu_descriptors.sample_descriptors(output, [points.numpy()])
    return torch.from_numpy(sampled)


both = pytest.mark.parametrize('sample', [by_tensors, by_loops])


@both
def test_descriptor_at_the_centre_of_a_cell_is_that_of_the_cell(sample):
    coarse = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(0))
    centres = torch.tensor([[8 * 2 + 3.5, 8 * 1 + 3.5], [3.5, 3.5]])
    expected = torch.stack([coarse[:, 1, 2], coarse[:, 0, 0]])
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert torch.allclose(sample(coarse, centres), expected, atol=1e-6)


@both
def test_descriptors_agree_with_the_bicubic_map_of_the_paper(sample):
    # A smooth map, as a network's is: neighbouring cells see nearly the same pixels.
    noise = torch.randn(1, 32, 4, 5, generator=torch.Generator().manual_seed(0))
    coarse = F.interpolate(noise, scale_factor=4, mode='bicubic')
    dense = F.normalize(F.interpolate(coarse, scale_factor=8, mode='bicubic'), dim=1)
    rng = np.random.default_rng(0)
    keypoints = torch.from_numpy(rng.integers([0, 0], [160, 128], (300, 2))).float()
    x, y = keypoints.long().T
    cosine = (sample(coarse[0], keypoints) * dense[0, :, y, x].T).sum(dim=1)
    assert cosine.min() > 0.99
    assert cosine.mean() > 0.999


@both
def test_no_keypoints_have_no_descriptors(sample):
    assert sample(torch.randn(8, 3, 4), torch.zeros(0, 2)).shape == (0, 8)


@pytest.mark.parametrize('shape', [(1, 1), (1, 5), (7, 9)])
def test_descriptors_of_both_implementations_are_the_same(shape):
    height, width = shape
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(32, height, width, generator=generator)
    corners = [[0, 0], [8 * width - 1, 8 * height - 1], [-3, 2], [8 * width + 2, 1], [3.5, 3.5]]
    points = torch.rand(50, 2, generator=generator) * torch.tensor([8 * width, 8 * height])
    points = torch.cat([points, torch.tensor(corners)])
    expected = by_tensors(coarse, points)
    assert torch.allclose(by_loops(coarse, points), expected, atol=2e-5)
    # The order of the channels in memory changes nothing.
    last = coarse.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.allclose(by_tensors(last, points), expected, atol=1e-6)
    assert torch.allclose(by_loops(last, points), expected, atol=2e-5)


def test_fine_descriptors_are_added_before_the_normalisation():
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(1, 8, 3, 4, generator=generator)
    fine = torch.randn(1, 8, 6, 8, generator=generator)
    output = SuperPointOutput(None, coarse, fine)
    # The centre of a cell lies between those of four fine squares.
    centre = torch.tensor([[[8 * 2 + 3.5, 8 * 1 + 3.5]]])
    expected = F.normalize(coarse[0, :, 1, 2] + fine[0, :, 2:4, 4:6].mean(dim=(1, 2)), dim=0)
    assert torch.allclose(sample_descriptors(output, centre)[0, 0], expected, atol=1e-6)
    assert torch.allclose(F.normalize(dense_descriptors(output), dim=1)[0, :, 1, 2], expected)
    points = torch.rand(1, 40, 2, generator=generator) * torch.tensor([36.0, 28.0]) - 2
    [by_cpu] = cpu_descriptors.sample_descriptors(
        output.apply(lambda part: part.numpy()), [points[0].numpy()]
    )
    np.testing.assert_allclose(by_cpu, sample_descriptors(output, points)[0], atol=2e-5)


def test_fine_descriptors_may_be_projected_after_sampling():
    generator = np.random.default_rng(3)
    coarse, hidden = (
        generator.normal(size=shape).astype(np.float32) for shape in ((1, 8, 3, 4), (1, 5, 6, 8))
    )
    projection = generator.normal(size=(6, 8)).astype(np.float32)
    fine = np.einsum('bchw,cd->bdhw', hidden, projection[:5]) + projection[5][:, None, None]
    points = generator.uniform(-2, 34, (40, 2)).astype(np.float32)
    sample = cpu_descriptors.sample_descriptors
    [expected] = sample(SuperPointOutput(None, coarse, fine), [points])
    [found] = sample(SuperPointOutput(None, coarse, hidden, projection), [points])
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_descriptors_pass_on_gradients():
    coarse = torch.randn(1, 4, 5, 16, generator=torch.Generator().manual_seed(1))
    coarse.requires_grad_()
    output = SuperPointOutput(None, coarse.permute(0, 3, 1, 2))
    sample_descriptors(output, torch.tensor([[[3.0, 4.0]]])).sum().backward()
    assert (coarse.grad != 0).any()


def test_mixed_precision_does_not_change_descriptors():
    generator = torch.Generator().manual_seed(0)
    output = SuperPointOutput(None, torch.randn(1, 8, 25, 38, generator=generator))
    points = torch.rand(1, 50, 2, generator=generator) * torch.tensor([300, 200])
    with torch.autocast('cpu', torch.bfloat16):
        sampled = sample_descriptors(output, points)
    assert torch.equal(sampled, sample_descriptors(output, points))


@pytest.mark.parametrize(
    ('shape', 'points'),
    [((8, 2, 2), (1, 4, 2)), ((1, 8, 2, 2), (4, 2)), ((1, 8, 2, 2), (1, 4, 3))],
)
def test_wrong_shapes_of_descriptors_and_keypoints_are_named(shape, points):
    message = f'(B, D, h, w) and keypoints (B, K, 2); got {shape} and {points}'
    with pytest.raises(ValueError, match=re.escape(message)):
        sample_descriptors(SuperPointOutput(None, torch.zeros(shape)), torch.zeros(points))


def test_each_scale_counts_half_of_the_previous_one():
    fine, coarse = torch.tensor([[1.0, 0, 0], [0, 1, 0]]), torch.tensor([[0.0, 1, 0], [0, 1, 0]])
    coarsest = torch.tensor([[0.0, 0, 1], [0, 1, 0]])
    average = average_scales([fine, coarse, coarsest])
    expected = np.array([1, 0.5, 0.25]) / np.sqrt(1 + 0.25 + 0.0625)
    assert average[0].numpy() == pytest.approx(expected)
    assert average[1].numpy() == pytest.approx([0, 1, 0])
    on_cpu = cpu_descriptors.average_scales([fine.numpy(), coarse.numpy(), coarsest.numpy()])
    np.testing.assert_allclose(on_cpu, average.numpy(), atol=1e-6)
    assert torch.equal(average_scales([fine]), fine)
    assert average_scales([torch.zeros(0, 8), torch.zeros(0, 8)]).shape == (0, 8)
    assert cpu_descriptors.average_scales([np.zeros((0, 8), np.float32)] * 2).shape == (0, 8)
