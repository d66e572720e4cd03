# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

import math

import pytest
import torch

from superpoint_ros.detection.descriptors import sample_batch, sample_descriptors
from superpoint_ros.training.descriptor_losses import contrastive_loss, hinge_loss, warp


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(vector):
    return vector / vector.norm()


TURN = torch.tensor([[0.9, -0.3, 9.0], [0.25, 1.1, -4.0], [1e-3, -5e-4, 1.0]])


def slow_hinge(a, b, homographies, valid, weight, positive, negative):
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
                            total += weight * max(0, positive - dot)
                        else:
                            total += max(0, dot - negative)
                        count += 1
    return total / count


@pytest.mark.parametrize('margins', [(250.0, 1.0, 0.2), (3.0, 0.5, -0.1)])
def test_the_hinge_loss_is_the_papers_formula(margins):
    a, b = random(2, 5, 4, 6), random(2, 5, 4, 6, seed=1)
    homographies = torch.stack([torch.eye(3), TURN])
    valid = random(2, 4, 6, seed=2) > -0.5
    expected = slow_hinge(a, b, homographies, valid, *margins)
    assert hinge_loss(a, b, homographies, valid, *margins).item() == pytest.approx(
        expected, rel=1e-4
    )


def test_the_hinge_loss_of_nothing_is_zero_and_has_a_gradient():
    a = random(1, 5, 2, 2).requires_grad_()
    loss = hinge_loss(a, random(1, 5, 2, 2), torch.eye(3)[None], torch.zeros(1, 2, 2) > 0)
    assert loss.item() == 0


def slow_contrastive(a, b, points_a, points_b, valid, temperature, radius):
    total, count = 0.0, 0
    for i in range(len(a)):
        da, db = (sample_descriptors(d[i], p[i]) for d, p in ((a, points_a), (b, points_b)))
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
    sampled = sample_batch(a, points_a), sample_batch(b, points_b)
    got = contrastive_loss(*sampled, points_a, points_b, valid, 5.0, 8.0)
    assert got.item() == pytest.approx(expected, rel=1e-4)


def test_the_contrastive_loss_without_points_is_zero_and_its_gradient_finite():
    a = random(1, 3, 6).requires_grad_()
    points = torch.zeros(1, 3, 2)
    loss = contrastive_loss(a, a, points, points, torch.zeros(1, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(a.grad).all()


def test_descriptors_are_sampled_as_a_detector_samples_them():
    coarse = random(2, 6, 4, 5)
    points = torch.rand(2, 20, 2, generator=torch.Generator().manual_seed(0)) * 31
    for sampled, descriptors, where in zip(
        sample_batch(coarse, points), coarse, points, strict=True
    ):
        assert torch.allclose(sampled, sample_descriptors(descriptors, where), atol=1e-6)


def test_points_behind_the_horizon_are_far_outside():
    horizon = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]])
    warped = warp(torch.tensor([[5.0, 1.0], [20.0, 1.0]]), horizon)
    assert warped[0].tolist() == pytest.approx([10.0, 2.0])
    assert warped[1].max() < -1000


def test_maps_of_unequal_shapes_are_named():
    with pytest.raises(ValueError, match='of one shape'):
        hinge_loss(random(1, 5, 2, 2), random(1, 5, 2, 3), torch.eye(3)[None], torch.ones(1, 2, 2))
