# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network in PyTorch, on CUDA or on a CPU."""

from __future__ import annotations

import copy

import torch

from superpoint_ros.model.pruning import prepare_for_inference
from superpoint_ros.model.superpoint import SuperPoint, SuperPointOutput


def best_precision(device: torch.device) -> str:
    """Return the fastest precision of PyTorch on a device that finds the same keypoints."""
    if device.type == 'cuda':
        return 'float16'
    return 'bfloat16' if native_bfloat16() else 'float32'


def native_bfloat16() -> bool:
    """Return whether PyTorch knows that this processor has bfloat16 instructions."""
    # These functions are not documented, so a version of PyTorch may lack them.
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    return any(getattr(torch.cpu, name, bool)() for name in names)


class TorchEngine:
    """
    A network in PyTorch, with weights and activations in channels-last memory format.

    `precision` is 'float32', 'bfloat16' or 'float16'. Batch norm is folded and dead channels are
    removed in a copy; the model that is passed does not change.
    """

    name = 'torch'

    def __init__(self, model: SuperPoint, device: torch.device, precision: str = 'float32'):
        model = prepare_for_inference(model)
        self.device = torch.device(device)
        self.precision = precision
        self._dtype = getattr(torch, precision)
        self._model = (
            copy.deepcopy(model)
            .eval()
            .requires_grad_(False)
            .to(self.device, self._dtype, memory_format=torch.channels_last)
        )

    @torch.inference_mode()
    def infer(self, images: torch.Tensor) -> SuperPointOutput:
        """Return the output for uint8 images (B, 1, H, W), H and W multiples of 8."""
        batch = images.to(self.device, non_blocking=True).to(self._dtype)
        batch = (batch / 255).contiguous(memory_format=torch.channels_last)
        return self._model(batch)
