# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A narrower network keeps the channels that matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from superpoint_ros.model.superpoint import SuperPoint, SuperPointConfig
from superpoint_ros.training.channel_selection import narrow

CONFIG = SuperPointConfig(stage_channels=(4, 6, 8, 8), head_channels=12, descriptor_size=16)


@pytest.fixture
def source() -> SuperPoint:
    torch.manual_seed(0)
    return SuperPoint(CONFIG).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand((2, 1, 32, 40), generator=torch.Generator().manual_seed(1))


def test_channels_that_nothing_hears_are_those_to_go(source, images):
    with torch.no_grad():
        source.conv2b.weight[:, [1, 4]] = 0  # nothing hears these of conv2a
        source.conv3a.weight[:, [0, 5]] = 0
        source.convPb.weight *= 100  # lest channels be worth less than what is rounded
        source.convPb.weight[:, [2, 3, 7]] = 0
        source.convDb.weight[:, [0, 3, 11]] = 0
        expected = source(images)
        result = narrow(
            source, replace(CONFIG, stage_channels=(4, 4, 8, 8), head_channels=9), images
        )
        assert result.config.stage_channels == (4, 4, 8, 8)
        assert result.config.head_channels == 9
        torch.testing.assert_close(tuple(result(images)), tuple(expected), rtol=1e-4, atol=1e-5)


def test_the_source_is_left_as_it_is(source, images):
    before = {name: value.clone() for name, value in source.state_dict().items()}
    result = narrow(source, replace(CONFIG, stage_channels=(2, 3, 8, 5)), images)
    assert result.config.stage_channels == (2, 3, 8, 5)
    assert result.config.head_channels == 12
    for name, value in source.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_as_narrow_as_asked_for_is_the_same(source, images):
    result = narrow(source, CONFIG, images)
    assert result.config == CONFIG
    for name, value in source.state_dict().items():
        assert torch.equal(result.state_dict()[name], value), name
