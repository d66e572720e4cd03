# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network in PyTorch, on CUDA or on a CPU."""

from __future__ import annotations

import numpy as np
import torch

from superpoint_ros.model.config import SuperPointOutput
from superpoint_ros.model.network_arrays import NetworkArrays
from superpoint_ros.model.superpoint import build_network


def best_precision(device: str) -> str:
    """Return the fastest precision of PyTorch on a device that finds the same keypoints."""
    if device != 'cpu':
        return 'float16'
    return 'bfloat16' if torch_has_bfloat16() else 'float32'


def torch_has_bfloat16() -> bool:
    """Return whether PyTorch knows that this processor has bfloat16 instructions."""
    # These functions are not documented, so a version of PyTorch may lack them.
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    return any(getattr(torch.cpu, name, bool)() for name in names)


class TorchEngine:
    """
    A network in PyTorch, with weights and activations in channels-last memory format.

    `precision` is 'float32', 'bfloat16' or 'float16'.
    """

    name = 'torch'

    def __init__(self, network: NetworkArrays, device: str, precision: str = 'float32'):
        self.device = device
        self.precision = precision
        self._dtype = getattr(torch, precision)
        self._model = (
            build_network(network.prepare_for_inference())
            .requires_grad_(False)
            .to(self.device, self._dtype, memory_format=torch.channels_last)
        )

    @torch.inference_mode()
    def infer(self, images: torch.Tensor | np.ndarray) -> SuperPointOutput:
        """Return the output for uint8 images (B, 1, H, W), see `Engine.infer`."""
        if isinstance(images, np.ndarray):
            output = self.infer(torch.from_numpy(images))
            return output.apply(lambda part: part.float().cpu().numpy())
        batch = images.to(self.device, non_blocking=True).to(self._dtype)
        batch = (batch / 255).contiguous(memory_format=torch.channels_last)
        return self._model(batch)
