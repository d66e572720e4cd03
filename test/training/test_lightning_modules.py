# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Optimizer and learning-rate schedule of the stages."""

import pytest
import torch
from torch import nn

pytest.importorskip('lightning', reason="needs the extra 'train'")

from superpoint_ros.training.lightning_modules import configure_optimizer, MagicPointModule
from superpoint_ros.training.training_recipes import MagicPointRecipe


@pytest.mark.parametrize(
    ('max_steps', 'warm_up', 'decay', 'expected'),
    [
        (100, 0.1, 0.2, {0: 0.1, 4: 0.5, 9: 1, 50: 1, 80: 1, 90: 0.5, 99: 0.05}),
        (10, 0.2, 1.0, {0: 0.5, 1: 0.9, 2: 0.8, 3: 0.7}),  # falls over all steps
        (10, 0.0, 0.0, dict.fromkeys(range(10), 1.0)),
    ],
)
def test_the_learning_rate_rises_stays_and_falls(max_steps, warm_up, decay, expected):
    recipe = MagicPointRecipe(max_steps=max_steps, warm_up=warm_up, decay=decay, learning_rate=1.0)
    configured = configure_optimizer(nn.Conv2d(1, 2, 3), recipe)
    optimizer, scheduler = configured['optimizer'], configured['lr_scheduler']['scheduler']
    rates = []
    for _ in range(max_steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert {step: rates[step] for step in expected} == pytest.approx(expected)


def test_weight_decay_applies_to_the_weights_of_convolutions_only():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    recipe = MagicPointRecipe(weight_decay=0.1, warm_up=0.5, max_steps=10, learning_rate=1.0)
    optimizer = configure_optimizer(model, recipe)['optimizer']
    decays = {
        p: group['weight_decay'] for group in optimizer.param_groups for p in group['params']
    }
    assert [decays[p] for p in model.parameters()] == [0.1, 0, 0, 0]
    assert optimizer.param_groups[0]['lr'] == pytest.approx(0.2)


@pytest.mark.parametrize('batch_norm', [True, False])
def test_a_new_network_expects_few_keypoints(tmp_path, batch_norm):
    recipe = MagicPointRecipe(network='compact', batch_norm=batch_norm)
    network = MagicPointModule(recipe, tmp_path).network.train()
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    probability = 1 - network(images).logits.softmax(dim=1)[:, -1].mean().item()
    assert 0.02 < probability < 0.12
