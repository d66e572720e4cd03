# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
How the network is executed.

An engine takes padded gray images and returns the network's output; what is done with that is the
same for all engines. `create_engine` chooses one.
"""

from __future__ import annotations

from importlib.util import find_spec
import logging
import sys
from typing import Protocol

import torch

from superpoint_ros.engines import torch_engine
from superpoint_ros.engines.execution_settings import ExecutionSettings
from superpoint_ros.model.superpoint import SuperPoint, SuperPointOutput

_log = logging.getLogger(__name__)

# OpenVINO and NNCF import this module where it is there, which forks and reports over the network:
# neither is for a node on a robot. Without it they do the same work.
sys.modules.setdefault('openvino_telemetry', None)


class Engine(Protocol):
    """
    What executes the network.

    An engine may also have a method `detect`, which finds the features of whole frames by itself,
    or returns None where it cannot: see `torch_engine.CudaEngine`.
    """

    name: str
    device: torch.device
    precision: str
    has_own_threads: bool
    """Whether it runs in threads that are not PyTorch's."""

    def infer(self, images: torch.Tensor) -> SuperPointOutput:
        """
        Return the network's output, floating point on `device`.

        `images` are uint8 of shape (B, 1, H, W) in the CPU's memory, H and W multiples of 8.
        """
        ...


def create_engine(
    model: SuperPoint,
    device: str = 'auto',
    precision: str = 'auto',
    engine: str = 'auto',
    threads: int = 0,
) -> Engine:
    """
    Return the engine for a device: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    'auto' is CUDA where there is one. The engine 'auto' is PyTorch on CUDA, and on a CPU OpenVINO
    where it is installed. The precision 'auto' is float16 on CUDA, and on a CPU bfloat16 where the
    processor calculates in it, else float32. `threads` is how many a CPU uses, 0 for one a core;
    any other number holds for all that PyTorch does in this process.

    Raises ValueError where the device is not there, the precision or the engine is unknown or not
    for that device, the number of threads cannot be, or the engine is not installed.
    """
    chosen = find_device(device)
    ExecutionSettings(device=device, precision=precision, engine=engine, threads=threads)
    if precision == 'float16' and chosen.type == 'cpu':
        raise ValueError('precision float16 needs CUDA: on a CPU take float32 or bfloat16')
    if precision == 'int8' and (chosen.type != 'cpu' or engine == 'torch'):
        raise ValueError("precision int8 needs engine 'openvino' on a CPU")
    if threads:
        torch.set_num_threads(threads)
    if _takes_openvino(engine, chosen, precision):
        from superpoint_ros.engines import openvino_engine

        if precision == 'auto':
            precision = 'bfloat16' if openvino_engine.native_bfloat16() else 'float32'
        return openvino_engine.OpenVinoEngine(model, precision, threads)
    if precision == 'auto':
        precision = torch_engine.best_precision(chosen)
    if chosen.type == 'cuda':
        return torch_engine.CudaEngine(model, chosen, precision)
    return torch_engine.TorchEngine(model, chosen, precision)


def _takes_openvino(engine: str, device: torch.device, precision: str) -> bool:
    """Return whether OpenVINO is to be used; raise ValueError where it cannot but must."""
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

    Raises ValueError where there is no such device.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == 'auto':
        return torch.device('cuda:0' if there else 'cpu')
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = torch.device('meta')
    if chosen.type not in ('cpu', 'cuda'):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}")
    if chosen.type == 'cuda' and (chosen.index or 0) >= there:
        found = f'only {there} CUDA device(s)' if there else 'no CUDA device'
        raise ValueError(
            f'device {device!r} is not there: torch {torch.__version__} finds {found}; '
            "use 'cpu' or 'auto'"
        )
    return chosen
