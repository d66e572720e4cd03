# Copyright 2026 The superpoint_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The refinement loss is the distance between what a detector would report in both images."""

import math

import pytest
import torch

from superpoint_ros.training.descriptor_losses import contrastive_loss, hinge_loss, warp
from superpoint_ros.training.refinement_loss import refinement_loss

TURN = torch.tensor([[0.93, -0.3, 20.0], [0.28, 0.9, -4.0], [2e-4, -1e-4, 1.0]])
WIDTH, HEIGHT = 160, 120


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def bells(points, sigma=1.0):
    """Return a heatmap (1, H, W) with a bell at each of the points (N, 2), the highest alone."""
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing='ij')
    squared = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return torch.exp(-squared / (2 * sigma**2)).amax(dim=0)[None]


def lattice():
    """Return points (1, N, 2) far from each other, at places between pixels, and the same in B."""
    grid = torch.cartesian_prod(torch.arange(40.0, 120, 16), torch.arange(24.0, 80, 16))
    points = (grid + random(len(grid), 2) - 0.5)[None]
    return points, warp(points, TURN[None])


def slow(heatmap_a, heatmap_b, homography, points_a, points_b, valid, farthest):
    """Return the loss of one pair of images, point by point and pixel by pixel."""

    def centroid(heatmap, point):
        height, width = heatmap.shape
        x = min(max(round(float(point[0])), 2), width - 3)
        y = min(max(round(float(point[1])), 2), height - 3)
        mass = sum_x = sum_y = peak = 0.0
        for v in range(y - 2, y + 3):
            for u in range(x - 2, x + 3):
                value = float(heatmap[v, u])
                mass, peak = mass + value, max(peak, value)
                sum_x, sum_y = sum_x + value * u, sum_y + value * v
        return sum_x / mass, sum_y / mass, peak

    total = weights = 0.0
    for a, b, shown in zip(points_a, points_b, valid, strict=True):
        if not shown:
            continue
        ax, ay, peak_a = centroid(heatmap_a, a)
        bx, by, peak_b = centroid(heatmap_b, b)
        u, v, w = (homography @ torch.tensor([ax, ay, 1.0])).tolist()
        weight = math.sqrt(peak_a * peak_b)
        total += weight * min(math.hypot(u / w - bx, v / w - by), farthest)
        weights += weight
    return total / weights


@pytest.mark.parametrize('farthest', [3.0, 0.7])
def test_the_loss_is_the_weighted_mean_distance_of_the_centroids(farthest):
    heatmaps = random(2, 1, 24, 32, seed=1), random(2, 1, 24, 32, seed=2)
    homography = torch.tensor([[1.02, -0.05, 0.6], [0.04, 0.97, -0.3], [1e-3, -5e-4, 1.0]])
    points_a = random(1, 40, 2, seed=3) * torch.tensor([31.0, 23.0])
    points_b = warp(points_a, homography[None])
    valid = random(1, 40, seed=4) > 0.3
    a, b = heatmaps[0][0], heatmaps[1][0]
    expected = slow(a[0], b[0], homography, points_a[0], points_b[0], valid[0], farthest)
    got = refinement_loss(a, b, homography[None], points_a, points_b, valid, farthest)
    assert got.item() == pytest.approx(expected, abs=1e-4)


def test_heatmaps_that_agree_cost_next_to_nothing_and_a_shift_costs_its_length():
    points_a, points_b = lattice()
    valid = torch.ones(points_a.shape[:2], dtype=torch.bool)
    a, b = bells(points_a[0]), bells(points_b[0])
    assert refinement_loss(a, b, TURN[None], points_a, points_b, valid).item() < 0.08
    # One pixel: the centroid follows a bell that is cut off by its window less than fully.
    shifted = bells(points_b[0] + torch.tensor([1.0, 0.0]), sigma=0.7)
    loss = refinement_loss(a, shifted, TURN[None], points_a, points_b, valid)
    assert loss.item() == pytest.approx(1.0, abs=0.1)


def test_points_that_are_not_shown_and_points_without_a_peak_do_not_count():
    points_a, points_b = lattice()
    half = torch.arange(points_a.shape[1])[None] % 2 == 0
    # The others lie two pixels off in B, and show nothing in A.
    moved = points_b[0] + torch.where(half[0], 0.0, 2.0)[:, None]
    b = bells(moved)
    only_half = refinement_loss(bells(points_a[0]), b, TURN[None], points_a, points_b, half)
    assert only_half.item() < 0.08
    dark = bells(points_a[0][half[0]]) + 1e-12
    everything = torch.ones_like(half)
    assert refinement_loss(dark, b, TURN[None], points_a, points_b, everything).item() < 0.08


def test_gradients_pull_the_heatmaps_together_and_are_finite():
    points_a, points_b = lattice()
    valid = torch.ones(points_a.shape[:2], dtype=torch.bool)
    a = bells(points_a[0])
    logits = bells(points_b[0] + 0.6).add(1e-3).log().requires_grad_()
    losses = []
    for _ in range(30):
        loss = refinement_loss(a, logits.exp(), TURN[None], points_a, points_b, valid)
        losses.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(gradient).all()
        logits = (logits - 20 * gradient).detach().requires_grad_()
    assert losses[0] > 0.6
    assert losses[-1] < 0.5 * losses[0]


def test_no_point_costs_nothing_and_points_behind_the_horizon_leave_gradients_finite():
    horizon = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]]])
    a = random(1, 24, 32).requires_grad_()
    points = torch.tensor([[[5.0, 1.0], [20.0, 1.0], [0.0, 0.0]]])
    for valid in ([False, False, False], [True, True, False]):
        loss = refinement_loss(a, a, horizon, points, points, torch.tensor([valid]))
        (gradient,) = torch.autograd.grad(loss, a)
        assert torch.isfinite(gradient).all()
        assert loss.item() <= 3.0001
        if not any(valid):
            assert loss.item() == 0


def in_both_precisions(loss, *inputs):
    """Return a loss by itself, and where matrix products are rounded to bfloat16."""
    exact = loss(*inputs).item()
    with torch.autocast('cpu', torch.bfloat16):
        return exact, loss(*inputs).item()


def test_mixed_precision_does_not_round_coordinates():
    points_a, points_b = lattice()
    valid = torch.ones(points_a.shape[:2], dtype=torch.bool)
    heatmaps = bells(points_a[0]), bells(points_b[0])
    inputs = (*heatmaps, TURN[None], points_a, points_b, valid)
    exact, mixed = in_both_precisions(refinement_loss, *inputs)
    assert mixed == exact < 0.08
    descriptors = random(2, 1, 16, 15, 20, seed=5) - 0.5
    shown = torch.ones(1, 15, 20, dtype=torch.bool)
    exact, mixed = in_both_precisions(hinge_loss, *descriptors, TURN[None], shown)
    assert mixed == exact


def test_mixed_precision_does_not_round_cosines():
    points_a, points_b = lattice()
    valid = torch.ones(points_a.shape[:2], dtype=torch.bool)
    descriptors = random(2, 1, 16, 15, 20, seed=5) - 0.5
    exact, mixed = in_both_precisions(contrastive_loss, *descriptors, points_a, points_b, valid)
    assert mixed == exact
