"""
How the network is executed.

An engine takes padded gray images and returns the network's output; what is done with that is the
same for all engines. `create_engine` chooses one.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

import torch

from superpoint_ros.engines.torch_engine import TorchEngine
from superpoint_ros.network import SuperPoint, SuperPointOutput

PRECISIONS = ('auto', 'float32', 'bfloat16', 'float16')
ENGINES = ('auto', 'torch', 'openvino')


class Engine(Protocol):
    """What executes the network."""

    name: str
    device: torch.device
    precision: str

    def infer(self, images: torch.Tensor) -> SuperPointOutput:
        """
        Return the network's output, floating point on `device`.

        `images` are uint8 of shape (B, 1, H, W) in the CPU's memory, H and W multiples of 8.
        """
        ...


def create_engine(
    model: SuperPoint, device: str = 'auto', precision: str = 'auto', engine: str = 'auto'
) -> Engine:
    """
    Return the engine for a device: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    'auto' is CUDA where there is one. The precision 'auto' is float16 on CUDA and float32 on a
    CPU. The engine 'auto' is PyTorch; 'openvino', where it is installed, is faster on CPUs, but a
    node that changed its weights under load has crashed with it. Raises ValueError where the
    device is not there, the precision or the engine is unknown or not for that device, or the
    engine is not installed.
    """
    chosen = find_device(device)
    for name, value, known in (
        ('precision', precision, PRECISIONS),
        ('engine', engine, ENGINES),
    ):
        if value not in known:
            raise ValueError(f'{name} must be one of {", ".join(known)}; got {value!r}')
    if precision == 'auto':
        precision = 'float16' if chosen.type == 'cuda' else 'float32'
    if precision == 'float16' and chosen.type == 'cpu':
        raise ValueError('precision float16 needs CUDA: on a CPU take float32 or bfloat16')
    if engine in ('auto', 'torch'):
        return TorchEngine(model, chosen, precision)
    if chosen.type != 'cpu':
        raise ValueError(f"engine 'openvino' runs on the CPU, not on {chosen}; use 'torch'")
    if find_spec('openvino') is None:
        raise ValueError(
            "engine 'openvino' is not installed: pip install openvino, or use 'torch'"
        )
    from superpoint_ros.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(model, precision)


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
