# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A small network and its weight file, on one thread."""

from __future__ import annotations

import pytest
import torch

from superpoint_ros.benchmark.candidates import NetworkSource
from superpoint_ros.model.config import SuperPointConfig
from superpoint_ros.model.superpoint import SuperPoint
from superpoint_ros.model.weights import save_weights, WeightsMetadata


@pytest.fixture(autouse=True)
def each_benchmark_restores_threads(restore_threads):
    """Restore the numbers of threads, which benchmarks change."""


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Return a small network with the weights of a file."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = SuperPoint(SuperPointConfig((4, 4, 8, 8), 8, 16))
        for name, parameter in model.named_parameters():
            if name.endswith('weight'):
                torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save_weights(path, model, WeightsMetadata(recipe='random'))
    return NetworkSource('tiny', str(path))
