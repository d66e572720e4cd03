# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The learning rate rises, stays and falls as the recipe says."""

import pytest
from torch import nn

from superpoint_ros.training.recipe import MagicPointRecipe
from superpoint_ros.training.schedule import learning_rate_factor, optimizer_and_schedule


@pytest.mark.parametrize(
    ('step', 'factor'), [(0, 0.1), (4, 0.5), (9, 1), (50, 1), (80, 1), (90, 0.5), (99, 0.05)]
)
def test_warm_up_constant_decay(step, factor):
    assert learning_rate_factor(step, 100, 0.1, 0.2) == pytest.approx(factor)


def test_without_warm_up_and_decay_it_is_constant():
    assert {learning_rate_factor(step, 10, 0, 0) for step in range(10)} == {1.0}


def test_only_the_weights_of_convolutions_decay():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    recipe = MagicPointRecipe(weight_decay=0.1, warm_up=0.5, max_steps=10, learning_rate=1.0)
    optimizer = optimizer_and_schedule(model, recipe)['optimizer']
    decays = {
        p: group['weight_decay'] for group in optimizer.param_groups for p in group['params']
    }
    assert [decays[p] for p in model.parameters()] == [0.1, 0, 0, 0]
    assert optimizer.param_groups[0]['lr'] == pytest.approx(0.2)
