# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The work of a network, and its relation to the limits of arithmetic and memory."""

import pytest
import torch
from torch import nn

from superpoint_ros.benchmark.roofline import multiply_adds, network_traffic, roofline
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint


def test_multiply_adds_are_those_of_the_executed_convolutions():
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


@pytest.mark.parametrize('downsampling', ['pooling', 'stride'])
@pytest.mark.parametrize(('precision', 'unit'), [('float32', 4), ('bfloat16', 2), ('int8', 1)])
def test_traffic_is_what_the_layers_read_and_write(precision, unit, downsampling):
    model = SuperPoint(SuperPointConfig((3, 4, 5, 6), 7, 8, downsampling=downsampling))
    moved = []

    def count(layer, inputs, output):
        is_last = layer in (model.convPb, model.convDb)
        weights = layer.weight.numel() if isinstance(layer, nn.Conv2d) else 0
        read = inputs[0].numel() * (1 if layer is model.conv1a else unit)
        moved.append(read + weights * unit + output.numel() * (4 if is_last else unit))

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 1, 40, 56))
    assert len(moved) == (15 if downsampling == 'pooling' else 12)
    # 50x34 is padded to 56x40.
    assert network_traffic(model.config, (50, 34), precision) == sum(moved)


def test_a_network_is_bound_by_what_takes_longer():
    # 2 ms of arithmetic and 1 ms of memory traffic, in 4 ms.
    found = roofline(2e9, 10**8, 4.0, peak=1e12, bandwidth=1e11)
    assert found == (pytest.approx(0.5), pytest.approx(0.25), pytest.approx(2), 'arithmetic')
    found = roofline(2e9, 10**9, 20.0, peak=1e12, bandwidth=1e11)
    assert found == (pytest.approx(0.1), pytest.approx(0.5), pytest.approx(10), 'memory')
    assert roofline(2e9, 10**9, 20.0, peak=None, bandwidth=1e11).share_of_peak is None
