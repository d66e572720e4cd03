# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines on the CPU, in one line, and marks of tests that need their libraries."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from superpoint_ros.engines.engine import create_engine, Engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import SuperPoint

needs_openvino = pytest.mark.skipif(
    find_spec('openvino') is None, reason='OpenVINO is not installed'
)
needs_onnxruntime = pytest.mark.skipif(
    not (find_spec('onnxruntime') and find_spec('onnx')), reason='ONNX Runtime is not installed'
)


def cpu_engine(
    network: SuperPoint | NetworkArrays, precision: str = 'auto', engine: str = 'auto', **settings
) -> Engine:
    """Return the engine that runs a network on the CPU; see `ExecutionSettings`."""
    execution = ExecutionSettings(device='cpu', precision=precision, engine=engine, **settings)
    return create_engine(network, execution)
