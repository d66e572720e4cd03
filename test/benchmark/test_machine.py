# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The limits of the machine and its description."""

import pytest
import torch

pytest.importorskip('psutil', reason='psutil is not installed')

from superpoint_ros.benchmark.machine import describe_machine, memory_bandwidth, peak_rate
from superpoint_ros.detection.threads import core_count

CPU = torch.device('cpu')


def test_peak_rate_is_unknown_for_a_precision_without_matrix_product():
    assert peak_rate('float32', CPU, sides=[128]) > 1e6
    assert peak_rate('int8', CPU, sides=[128]) > 1e6
    assert peak_rate('int3', CPU, sides=[128]) is None


def test_memory_bandwidth_is_that_of_copies():
    assert 1e7 < memory_bandwidth('cpu', size=1 << 20) < 1e13


def test_machine_description_names_processor_cores_and_libraries():
    machine = describe_machine(threads=3)
    assert machine['processor']
    assert machine['instructions']
    assert machine['cores'] == core_count() >= 1
    assert machine['threads'] == 3
    assert machine['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]
