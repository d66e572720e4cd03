# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

import pytest
import torch
from torch import nn

from superpoint_ros.benchmark.arithmetic import multiply_adds, peak_rate
from superpoint_ros.model.superpoint import COMPACT, PAPER, SuperPoint, SuperPointConfig

CPU = torch.device('cpu')


def test_the_published_numbers_of_both_networks():
    assert multiply_adds(PAPER, (640, 480)) == pytest.approx(26.05e9, rel=1e-3)
    assert multiply_adds(COMPACT, (640, 480)) == pytest.approx(5.47e9, rel=1e-3)


def test_the_count_is_that_of_the_convolutions_that_are_run():
    model = SuperPoint(SuperPointConfig((3, 4, 5, 6), 7, 8))
    counted = []

    def count(layer, inputs, output):
        per_output = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        counted.append(output[0].numel() * per_output)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 1, 40, 56))
    assert len(counted) == 12
    # 50x34 is padded to 56x40.
    assert multiply_adds(model.config, (50, 34)) == sum(counted)


def test_the_peak_is_a_rate_and_unknown_where_nothing_multiplies():
    assert peak_rate('float32', CPU, sides=[128]) > 1e6
    assert peak_rate('int3', CPU, sides=[128]) is None
