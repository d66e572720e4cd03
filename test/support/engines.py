# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines on the CPU, in one line."""

from __future__ import annotations

from superpoint_ros.engines.engine import create_engine, Engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import SuperPoint


def cpu_engine(
    network: SuperPoint | NetworkArrays, precision: str = 'auto', engine: str = 'auto', **settings
) -> Engine:
    """Return the engine that runs a network on the CPU; see `ExecutionSettings`."""
    execution = ExecutionSettings(device='cpu', precision=precision, engine=engine, **settings)
    return create_engine(network, execution)
