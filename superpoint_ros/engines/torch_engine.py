# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network executed by PyTorch, on CUDA or on a CPU."""

from __future__ import annotations

import copy

import torch

from superpoint_ros.detection.settings import DetectionSettings
from superpoint_ros.engines.cuda_graph import WholeFrames
from superpoint_ros.features import Features
from superpoint_ros.model.pruning import prepare_for_inference
from superpoint_ros.model.superpoint import SuperPoint, SuperPointOutput


def best_precision(device: torch.device) -> str:
    """Return the precision in which PyTorch is fastest on a device and finds the same."""
    if device.type == 'cuda':
        return 'float16'
    return 'bfloat16' if native_bfloat16() else 'float32'


def native_bfloat16() -> bool:
    """Return whether this processor has instructions for bfloat16, as far as PyTorch tells."""
    # Not documented, so perhaps not there in every version.
    questions = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    return any(getattr(torch.cpu, name, bool)() for name in questions)


class TorchEngine:
    """
    Run a network in PyTorch, weights and activations with the channels last in memory.

    `precision` is 'float32', 'bfloat16' or 'float16'. Batch norm is folded where it can be; the
    model that was given is left as it is.
    """

    name = 'torch'
    has_own_threads = False

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
        """Return the output of uint8 images (B, 1, H, W), H and W multiples of 8."""
        batch = images.to(self.device, non_blocking=True).to(self._dtype)
        batch = (batch / 255).contiguous(memory_format=torch.channels_last)
        return self._model(batch)


class CudaEngine(TorchEngine):
    """Run whole frames on CUDA, from images to features, each size and settings as one graph."""

    def __init__(self, model: SuperPoint, device: torch.device, precision: str = 'float16'):
        super().__init__(model, device, precision)
        self._frames = WholeFrames(self.infer, self.device)

    def detect(
        self,
        images: torch.Tensor,
        size: tuple[int, int],
        settings: DetectionSettings,
        mask: torch.Tensor | None = None,
    ) -> list[Features] | None:
        """Return the features of padded images, None where `infer` has to do: `WholeFrames`."""
        return self._frames(images, size, settings, mask)
