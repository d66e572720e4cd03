# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Engines: the libraries that run the network, and the choice of one.

An engine maps padded gray images to the network's output; the detection steps that follow do not
depend on the engine. PyTorch is imported only if it runs the network, or if the device is or may
be a CUDA device: its import takes a second.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
import logging
import os
from pathlib import Path
import re
import sys
from typing import Protocol, TYPE_CHECKING

import numpy as np

from superpoint_ros.common.interruptions import raised_interruptions
from superpoint_ros.common.wording import counted
from superpoint_ros.detection.threads import set_thread_count
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.engines.processor import has_fast_int8
from superpoint_ros.model.config import SuperPointOutput
from superpoint_ros.model.network_arrays import NetworkArrays

if TYPE_CHECKING:
    import torch

    from superpoint_ros.model.superpoint import SuperPoint

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """
    A library that runs the network in one precision on one device, 'cpu' or 'cuda:N'.

    Several threads may call `infer` at the same time.
    """

    name: str
    device: str
    precision: str

    def infer(self, images: np.ndarray | torch.Tensor) -> SuperPointOutput:
        """
        Return the network's output.

        `images` are uint8 (B, 1, H, W), H and W multiples of 8. For a writable array in the CPU's
        memory the output is float32 arrays there, for a tensor it is tensors of a floating-point
        type on `device`.
        """
        ...


_first_process: int | None = None  # that has made an engine


def limit_threads_after_fork() -> bool:
    """
    Return whether this process is a fork of one that had an engine; it has one thread then.

    A fork has none of the threads that PyTorch and OpenVINO have started, and waits for them
    forever.
    """
    if _first_process in (None, os.getpid()):
        return False
    set_thread_count(1)
    return True


def create_engine(network: SuperPoint | NetworkArrays, execution: ExecutionSettings) -> Engine:
    """
    Return the engine that runs a network as the settings ask for.

    `ExecutionSettings` describes them; their `weights` are not read. A number of threads also
    applies to all of PyTorch in this process. The engine 'onnxruntime' runs in float32 and returns
    to the CPU: its device is 'cpu' or 'auto', and `providers` name the hardware, see
    `OnnxRuntimeEngine`.

    Raises ValueError if the device is not available, the engine is not installed, or device,
    engine and precision do not go together.
    """
    engine, precision, threads = execution.engine, execution.precision, execution.threads
    is_onnx = engine == 'onnxruntime'
    device = find_device('cpu' if is_onnx and execution.device == 'auto' else execution.device)
    if execution.providers and not is_onnx:
        raise ValueError(f"providers are for engine 'onnxruntime', not for {engine!r}")
    if precision == 'float16' and device == 'cpu':
        raise ValueError('precision float16 needs CUDA: on a CPU take float32 or bfloat16')
    if precision == 'int8' and (device != 'cpu' or engine not in ('auto', 'openvino')):
        raise ValueError("precision int8 needs engine 'openvino' on a CPU")
    global _first_process
    _first_process = _first_process or os.getpid()
    if limit_threads_after_fork():
        threads = 1
    if threads:
        set_thread_count(threads)
    arrays = NetworkArrays.of(network)
    if is_onnx:
        return _onnxruntime_engine(arrays, device, precision, execution.providers, threads)
    if _takes_openvino(engine, device, precision):
        return _openvino_engine(arrays, precision, threads)
    from superpoint_ros.engines import torch_engine

    if threads:  # it may have been imported just now
        set_thread_count(threads)
    if precision == 'auto':
        precision = torch_engine.best_precision(device)
    return torch_engine.TorchEngine(arrays, device, precision)


def _openvino_engine(network: NetworkArrays, precision: str, threads: int) -> Engine:
    """Return the network in OpenVINO."""
    from superpoint_ros.engines import openvino_engine
    from superpoint_ros.engines.openvino_graph import NetworkGraph

    network = network.prepare_for_inference()
    if precision == 'auto':
        if network.ranges is not None and has_fast_int8():
            precision = 'int8'
        else:
            precision = 'bfloat16' if openvino_engine.openvino_has_bfloat16() else 'float32'
    if precision == 'int8':
        from superpoint_ros.engines.int8 import quantise

        model = quantise(network)
    else:
        model = NetworkGraph(network).model()
    return openvino_engine.OpenVinoEngine(model, precision, threads, network.fine_projection)


def _onnxruntime_engine(
    network: NetworkArrays, device: str, precision: str, providers: str, threads: int
) -> Engine:
    """Return the network in ONNX Runtime; raise ValueError if that is impossible."""
    if device != 'cpu':
        raise ValueError(
            f"engine 'onnxruntime' returns to the CPU, not to {device}: take device 'cpu', and "
            'CUDAExecutionProvider in providers'
        )
    if precision not in ('auto', 'float32'):
        raise ValueError(f"engine 'onnxruntime' runs in float32, not in {precision}")
    missing = [name for name in ('onnx', 'onnxruntime') if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"engine 'onnxruntime' needs {' and '.join(missing)}, not installed: "
            "pip install onnx onnxruntime, or use 'torch'"
        )
    from superpoint_ros.engines import onnxruntime_engine

    model = onnxruntime_engine.convert(network)
    return onnxruntime_engine.OnnxRuntimeEngine(model, providers, threads)


def _takes_openvino(engine: str, device: str, precision: str) -> bool:
    """Return whether to use OpenVINO; raise ValueError if it is required but does not work."""
    must = engine == 'openvino' or precision == 'int8'
    if engine == 'torch' or (device != 'cpu' and not must):
        return False
    if device != 'cpu':
        raise ValueError(f"engine 'openvino' runs on the CPU, not on {device}; use 'torch'")
    if find_spec('openvino') is None:
        if must:
            raise ValueError(
                "engine 'openvino' is not installed: pip install openvino, or use 'torch'"
            )
        return False
    try:
        with raised_interruptions():
            from superpoint_ros.engines import openvino_engine

            openvino_engine.openvino_has_bfloat16()
    except (ImportError, RuntimeError) as error:
        if must:
            raise ValueError(f"engine 'openvino' does not work here: {error}") from error
        _log.warning('OpenVINO is installed but does not work, PyTorch is used: %s', error)
        return False
    return True


def find_device(device: str) -> str:
    """
    Return the device of a name, 'auto', 'cpu', 'cuda' or 'cuda:N', as 'cpu' or 'cuda:N'.

    Raises ValueError if there is no such device.
    """
    if device == 'cpu' or (device == 'auto' and not _may_have_cuda()):
        return 'cpu'
    found = re.fullmatch(r'cuda(?::(\d+))?', device)
    if device != 'auto' and not found:
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == 'auto':
        return 'cuda:0' if count else 'cpu'
    index = int(found[1] or 0)
    if index >= count:
        available = f'only {counted(count, "CUDA device")}' if count else 'no CUDA device'
        raise ValueError(
            f'device {device!r} is not available: torch {torch.__version__} finds {available}; '
            "use 'cpu' or 'auto'"
        )
    return f'cuda:{index}'


def _may_have_cuda() -> bool:
    """Return whether PyTorch may find a CUDA device, without importing it."""
    if sys.modules.get('torch') or sys.platform != 'linux':
        return True
    try:
        ctypes.CDLL('libcuda.so.1')  # the driver, which PyTorch loads, too
    except OSError:
        return Path('/dev/kfd').exists()  # of AMD, which PyTorch presents as CUDA
    return True
