# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A small network and its weight file, on one thread."""

from __future__ import annotations

import pytest

from superpoint_ros.benchmark.candidates import NetworkSource
from support.small_networks import write_weights


@pytest.fixture(autouse=True)
def each_benchmark_restores_threads(restore_threads):
    """Restore the numbers of threads, which benchmarks change."""


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Return a small network with the weights of a file."""
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    write_weights(path, seed=3, strong=True)
    return NetworkSource('tiny', str(path))
