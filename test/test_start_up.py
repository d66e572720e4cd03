# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Commands and nodes start without libraries that they do not use, whose import takes seconds."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from support.engines import needs_openvino

SLOW = {
    *('lightning', 'matplotlib', 'nncf', 'onnx', 'onnxruntime', 'pandas', 'scipy.linalg', 'sympy'),
    'torch',
}
"""Libraries that a detection on a CPU with OpenVINO does not need."""

PRINT_MODULES = 'import sys; print(*sys.modules)'


def imported_by(code):
    """Return the names of the modules that a program has imported at its end."""
    result = subprocess.run(
        [sys.executable, '-c', f'{code}\n{PRINT_MODULES}'],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.splitlines()[-1].split())


def imported_by_second_run(code):
    """Return the same of a program whose first run has compiled what was not yet compiled."""
    imported_by(code)
    return imported_by(code)


def test_help_imports_neither_numpy_nor_opencv():
    code = 'from superpoint_ros.cli.main import _build_parser; _build_parser(None).format_help()'
    assert imported_by(code).isdisjoint(SLOW | {'cv2', 'numba', 'numpy', 'openvino'})


def test_nodes_handle_signals_before_they_import_numpy():
    modules = imported_by('import superpoint_ros.ros.run_node')
    assert modules.isdisjoint(SLOW | {'cv2', 'numba', 'numpy', 'openvino', 'rclpy'})


@needs_openvino
def test_detect_imports_no_library_that_it_does_not_use(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    arguments = ['detect', str(tmp_path / 'image.png'), '--out', str(tmp_path), '--device', 'cpu']
    code = f'from superpoint_ros.cli.main import main; assert main({arguments!r}) == 0'
    modules = imported_by_second_run(code)
    assert {'numba', 'openvino'} <= modules
    assert modules.isdisjoint(SLOW | {'rclpy'})
    assert (tmp_path / 'image.npz').is_file()


@needs_openvino
def test_the_detector_node_imports_no_library_that_it_does_not_use():
    pytest.importorskip('rclpy', reason='ROS is not installed')
    code = (
        'import superpoint_ros.ros.detector.detector_node\n'
        'from superpoint_ros.engines.execution_settings import ExecutionSettings\n'
        'from superpoint_ros.ros.detector.model_slot import ModelSlot\n'
        'slot = ModelSlot(ExecutionSettings(device="cpu"))\n'
        'slot.load("")\n'
        'assert slot.detector.engine.name == "openvino"\n'
        'slot.free_memory()'
    )
    modules = imported_by_second_run(code)
    assert {'numba', 'openvino', 'rclpy'} <= modules
    assert modules.isdisjoint(SLOW)
