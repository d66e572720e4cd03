# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Engines: the libraries that run the network, and the choice of one.

An engine maps padded gray images to the network's output; the detection steps that follow do not
depend on the engine.
"""

from __future__ import annotations

from importlib.util import find_spec
import logging
import os
import sys
from typing import Protocol

import torch

from superpoint_ros.engines import torch_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.superpoint import SuperPoint, SuperPointOutput

_log = logging.getLogger(__name__)

# OpenVINO and NNCF import this module if it is installed. It starts processes and sends reports
# over the network, which a node on a robot must not do; without it they work the same.
sys.modules.setdefault('openvino_telemetry', None)


class Engine(Protocol):
    """
    A library that runs the network in one precision on one device.

    Several threads may call `infer` at the same time.
    """

    name: str
    device: torch.device
    precision: str

    def infer(self, images: torch.Tensor) -> SuperPointOutput:
        """
        Return the network's output, floating point on `device`.

        `images` are uint8 (B, 1, H, W), H and W multiples of 8, on the CPU or on `device`.
        """
        ...


_first_process: int | None = None  # that has made an engine


def limit_threads_after_fork() -> bool:
    """
    Return whether this process is a fork of one that had an engine; PyTorch has one thread then.

    A fork has none of the threads that PyTorch and OpenVINO have started, and waits for them
    forever.
    """
    if _first_process in (None, os.getpid()):
        return False
    torch.set_num_threads(1)
    return True


def create_engine(
    model: SuperPoint,
    device: str = 'auto',
    precision: str = 'auto',
    engine: str = 'auto',
    threads: int = 0,
    providers: str = '',
) -> Engine:
    """
    Return the engine for a device: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    The device 'auto' is CUDA if available. The engine 'auto' is PyTorch on CUDA, and on a CPU
    OpenVINO if it is installed. The precision 'auto' is float16 on CUDA, and on a CPU bfloat16 if
    the processor supports it, else float32. `threads` is the number of CPU threads, 0 for one per
    core; another number applies to all of PyTorch in this process.

    The engine 'onnxruntime' runs in float32 and returns to the CPU: its device is 'cpu' or 'auto',
    and `providers` name the hardware, see `OnnxRuntimeEngine`.

    Raises ValueError if the device is not available, the engine is not installed, a value is
    unknown or out of range, or device, engine and precision do not go together.
    """
    is_onnx = engine == 'onnxruntime'
    chosen = find_device('cpu' if is_onnx and device == 'auto' else device)
    ExecutionSettings(
        device=device, precision=precision, engine=engine, providers=providers, threads=threads
    )
    if providers and not is_onnx:
        raise ValueError(f"providers are for engine 'onnxruntime', not for {engine!r}")
    if precision == 'float16' and chosen.type == 'cpu':
        raise ValueError('precision float16 needs CUDA: on a CPU take float32 or bfloat16')
    if precision == 'int8' and (chosen.type != 'cpu' or engine not in ('auto', 'openvino')):
        raise ValueError("precision int8 needs engine 'openvino' on a CPU")
    global _first_process
    _first_process = _first_process or os.getpid()
    if limit_threads_after_fork():
        threads = 1
    if threads:
        torch.set_num_threads(threads)
    if is_onnx:
        return _onnxruntime_engine(model, chosen, precision, providers, threads)
    if _takes_openvino(engine, chosen, precision):
        from superpoint_ros.engines import openvino_engine

        if precision == 'auto':
            precision = 'bfloat16' if openvino_engine.native_bfloat16() else 'float32'
        if precision == 'int8':
            from superpoint_ros.engines.int8 import quantised_network

            network = quantised_network(model)
        else:
            network = openvino_engine.convert(model)
        return openvino_engine.OpenVinoEngine(network, precision, threads)
    if precision == 'auto':
        precision = torch_engine.best_precision(chosen)
    return torch_engine.TorchEngine(model, chosen, precision)


def _onnxruntime_engine(
    model: SuperPoint, device: torch.device, precision: str, providers: str, threads: int
) -> Engine:
    """Return the network in ONNX Runtime; raise ValueError if that is impossible."""
    if device.type != 'cpu':
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

    network = onnxruntime_engine.convert(model)
    return onnxruntime_engine.OnnxRuntimeEngine(network, providers, threads)


def _takes_openvino(engine: str, device: torch.device, precision: str) -> bool:
    """Return whether to use OpenVINO; raise ValueError if it is required but does not work."""
    must = engine == 'openvino' or precision == 'int8'
    if engine == 'torch' or (device.type != 'cpu' and not must):
        return False
    if device.type != 'cpu':
        raise ValueError(f"engine 'openvino' runs on the CPU, not on {device}; use 'torch'")
    if find_spec('openvino') is None:
        if must:
            raise ValueError(
                "engine 'openvino' is not installed: pip install openvino, or use 'torch'"
            )
        return False
    try:
        from superpoint_ros.engines import openvino_engine

        openvino_engine.native_bfloat16()
    except (ImportError, RuntimeError) as error:
        if must:
            raise ValueError(f"engine 'openvino' does not work here: {error}") from error
        _log.warning('OpenVINO is installed but does not work, PyTorch is used: %s', error)
        return False
    return True


def find_device(device: str) -> torch.device:
    """
    Return the torch device of a name: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Raises ValueError if there is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == 'auto':
        return torch.device('cuda:0' if count else 'cpu')
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = torch.device('meta')
    if chosen.type not in ('cpu', 'cuda'):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}")
    if chosen.type == 'cuda' and (chosen.index or 0) >= count:
        found = f'only {count} CUDA device(s)' if count else 'no CUDA device'
        raise ValueError(
            f'device {device!r} is not available: torch {torch.__version__} finds {found}; '
            "use 'cpu' or 'auto'"
        )
    return chosen
