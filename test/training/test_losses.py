# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Losses equal slow loops over the formulas of the paper."""

import math
import re

import pytest
import torch

from superpoint_ros.detection.descriptors import sample_descriptors
from superpoint_ros.model.config import DUSTBIN, SuperPointOutput
from superpoint_ros.training.losses import (
    cell_centres,
    cell_cross_entropy,
    contrastive_loss,
    hinge_loss,
    IGNORED,
    resize_batch,
)


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 65, 3, 4, generator=generator)
    labels = torch.randint(0, 65, (2, 3, 4), generator=generator)
    return logits, labels


@pytest.mark.parametrize('factor', [0.5, 2.0])
def test_resized_batches_are_interpolated_about_pixel_centres(factor):
    ramp = torch.arange(64.0).expand(2, 1, 32, 64)
    resized = resize_batch(ramp, factor)
    assert resized.shape == (2, 1, 32 * factor, 64 * factor)
    expected = (torch.arange(64 * factor) + 0.5) / factor - 0.5
    # The nearest pixels would be off by 0.25; bicubic weights are exact to 0.05.
    torch.testing.assert_close(resized[1, 0, 5, 4:-4], expected[4:-4], atol=0.06, rtol=0)


def test_batches_are_resized_to_whole_cells():
    images = torch.zeros(1, 1, 32, 64)
    assert resize_batch(images, 0.7).shape == (1, 1, 24, 48)
    assert resize_batch(images, 1.0) is images
    assert resize_batch(torch.zeros(1, 1, 32, 96), 1 / 8).shape == (1, 1, 8, 16)


def test_the_cross_entropy_of_cells_is_the_papers_formula():
    logits, labels = example()
    labels[0, 1, 2] = labels[1, 0, 0] = IGNORED
    total, count = 0.0, 0
    for image in range(2):
        for row in range(3):
            for column in range(4):
                label = int(labels[image, row, column])
                if label == IGNORED:
                    continue
                cell = logits[image, :, row, column].tolist()
                total -= math.log(math.exp(cell[label]) / sum(math.exp(value) for value in cell))
                count += 1
    assert count == 22
    assert cell_cross_entropy(logits, labels).item() == pytest.approx(total / count, rel=1e-5)


def test_ignored_cells_have_no_gradient():
    logits, labels = example()
    labels[0] = IGNORED
    logits.requires_grad_()
    cell_cross_entropy(logits, labels).backward()
    assert logits.grad[0].abs().max() == 0
    assert logits.grad[1].abs().max() > 0


def test_the_cross_entropy_is_zero_if_all_cells_are_ignored():
    logits, labels = example()
    assert cell_cross_entropy(logits, torch.full_like(labels, IGNORED)).item() == 0


def test_large_logits_do_not_overflow_the_cross_entropy():
    logits = torch.zeros(1, 65, 1, 1)
    logits[0, DUSTBIN] = 1e4
    label = torch.full((1, 1, 1), DUSTBIN)
    assert cell_cross_entropy(logits, label).item() == 0
    assert cell_cross_entropy(logits, torch.zeros_like(label)).item() == pytest.approx(1e4)


def test_the_cross_entropy_of_half_precision_logits_is_float32():
    logits, labels = example()
    loss = cell_cross_entropy(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(cell_cross_entropy(logits, labels).item(), rel=0.01)


def test_the_cross_entropy_names_shapes_that_do_not_fit():
    logits, labels = example()
    with pytest.raises(ValueError, match=r'labels \(2, 3, 3\)'):
        cell_cross_entropy(logits, labels[..., :3])
    for other in (logits[:, :64], logits[:, :, 0]):
        with pytest.raises(ValueError, match=r'\(B, 65, h, w\)'):
            cell_cross_entropy(other, labels)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(vector):
    return vector / vector.norm()


def warp(points, homography):
    """Return points (..., N, 2) warped by homographies (..., 3, 3)."""
    mapped = points @ homography[..., :2].transpose(-1, -2) + homography[..., None, :, 2]
    return mapped[..., :2] / mapped[..., 2:]


TURN = torch.tensor([[0.9, -0.3, 9.0], [0.25, 1.1, -4.0], [1e-3, -5e-4, 1.0]])


def slow_hinge(a, b, homographies, valid, weight):
    """Return the paper's sum over cells (h, w) and (h', w'), term by term, over its count."""
    total, count = 0.0, 0
    batch, _, height, width = a.shape
    for i in range(batch):
        for y in range(height):
            for x in range(width):
                u, v, w = (
                    homographies[i] @ torch.tensor([8 * x + 3.5, 8 * y + 3.5, 1.0])
                ).tolist()
                for y2 in range(height):
                    for x2 in range(width):
                        if not valid[i, y2, x2]:
                            continue
                        distance = math.hypot(u / w - (8 * x2 + 3.5), v / w - (8 * y2 + 3.5))
                        dot = float(unit(a[i, :, y, x]) @ unit(b[i, :, y2, x2]))
                        if distance <= 8:
                            total += weight * max(0, 1 - dot)
                        else:
                            total += max(0, dot - 0.2)
                        count += 1
    return total / count


@pytest.mark.parametrize('weight', [250.0, 3.0])
def test_the_hinge_loss_is_the_papers_formula(weight):
    a, b = random(2, 5, 4, 6), random(2, 5, 4, 6, seed=1)
    homographies = torch.stack([torch.eye(3), TURN])
    valid = random(2, 4, 6, seed=2) > -0.5
    expected = slow_hinge(a, b, homographies, valid, weight)
    cells = warp(cell_centres(4, 6), homographies).unflatten(1, (4, 6))
    assert hinge_loss(a, b, cells, valid, weight).item() == pytest.approx(expected, rel=1e-4)


def test_the_hinge_loss_without_valid_cells_is_zero():
    a = random(1, 5, 2, 2).requires_grad_()
    cells = torch.zeros(1, 2, 2, 2)
    loss = hinge_loss(a, random(1, 5, 2, 2), cells, torch.zeros(1, 2, 2) > 0, 250.0)
    assert loss.item() == 0


def slow_contrastive(a, b, points_a, points_b, valid, temperature, radius):
    total, count = 0.0, 0
    for i in range(len(a)):
        da, db = (
            sample_descriptors(SuperPointOutput(None, d[i : i + 1]), p[i : i + 1])[0]
            for d, p in ((a, points_a), (b, points_b))
        )
        for here, there, places in ((da, db, points_b), (db, da, points_a)):
            for k in range(len(here)):
                if not valid[i, k]:
                    continue
                exponentials = []
                for j in range(len(there)):
                    distance = float((places[i, j] - places[i, k]).norm())
                    if j == k or (valid[i, j] and distance >= radius):
                        exponentials.append(math.exp(temperature * float(here[k] @ there[j])))
                right = math.exp(temperature * float(here[k] @ there[k]))
                total -= math.log(right / sum(exponentials))
                count += 1
    return total / count


def test_the_contrastive_loss_is_a_softmax_over_the_other_images_points():
    a, b = random(2, 6, 4, 5), random(2, 6, 4, 5, seed=1)
    points_a = torch.rand(2, 12, 2, generator=torch.Generator().manual_seed(3)) * 31
    points_b = warp(points_a, torch.stack([torch.eye(3), TURN]))
    valid = torch.rand(2, 12, generator=torch.Generator().manual_seed(4)) > 0.3
    expected = slow_contrastive(a, b, points_a, points_b, valid, 5.0, 8.0)
    sampled = [
        sample_descriptors(SuperPointOutput(None, each), points)
        for each, points in ((a, points_a), (b, points_b))
    ]
    got = contrastive_loss(*sampled, points_a, points_b, valid, 5.0)
    assert got.item() == pytest.approx(expected, rel=1e-4)


def test_the_contrastive_loss_without_points_is_zero_and_its_gradient_finite():
    a = random(1, 3, 6).requires_grad_()
    points = torch.zeros(1, 3, 2)
    loss = contrastive_loss(a, a, points, points, torch.zeros(1, 3, dtype=torch.bool), 20.0)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize('shapes', [((1, 5, 2, 2), (1, 5, 2, 3)), ((5, 2, 2), (5, 2, 2))])
def test_the_hinge_loss_names_maps_of_wrong_shapes(shapes):
    a, b = (random(*shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(f'got {shapes[0]} and {shapes[1]}')):
        hinge_loss(a, b, torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2), 250.0)
