# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Counts of operations, peak rates and the description of the machine."""

import pytest
import torch
from torch import nn

pytest.importorskip('psutil', reason='psutil is not installed')

from superpoint_ros.benchmark.machine import (
    describe_machine,
    multiply_adds,
    peak_rate,
)
from superpoint_ros.detection.threads import core_count
from superpoint_ros.model.config import COMPACT, PAPER, SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint

CPU = torch.device('cpu')


def test_multiply_adds_of_both_networks_are_the_published_ones():
    assert multiply_adds(PAPER, (640, 480)) == pytest.approx(26.05e9, rel=1e-3)
    assert multiply_adds(COMPACT, (640, 480)) == pytest.approx(6.335e9, rel=1e-3)


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


def test_peak_rate_is_unknown_for_a_precision_without_matrix_product():
    assert peak_rate('float32', CPU, sides=[128]) > 1e6
    assert peak_rate('int8', CPU, sides=[128]) > 1e6
    assert peak_rate('int3', CPU, sides=[128]) is None


def test_machine_description_names_processor_cores_and_libraries():
    machine = describe_machine(threads=3)
    assert machine['processor']
    assert machine['instructions']
    assert machine['cores'] == core_count() >= 1
    assert machine['threads'] == 3
    assert machine['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]
