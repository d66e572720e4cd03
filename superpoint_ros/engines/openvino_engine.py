"""The network executed by OpenVINO, which is the fastest on the CPUs that it knows."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
import sys
import warnings

import numpy as np
import torch

from superpoint_ros.network import fold_batch_norm, SuperPoint, SuperPointOutput

# OpenVINO imports this module where it is there, which forks and reports over the network: neither
# is for a node on a robot. Without it OpenVINO does the same work.
sys.modules.setdefault('openvino_telemetry', None)

import openvino as ov  # noqa: E402
from openvino.preprocess import PrePostProcessor  # noqa: E402

COMPILED = 8
"""Shapes of batches whose compiled networks are kept, those used last."""

HINTS = {'float32': 'f32', 'bfloat16': 'bf16'}


@cache
def openvino_core() -> ov.Core:
    """
    Return the one OpenVINO of this process, which is never let go.

    Its plugin for CPUs gives the thread that makes it a stack for signals, and frees that stack
    when it goes, even from another thread: the next signal then ends the process. A node whose
    first network was replaced by a thread died so of the SIGTERM that was to end it.
    """
    return ov.Core()


class OpenVinoEngine:
    """
    Run a network in OpenVINO on the CPU.

    `precision` is 'float32' or 'bfloat16', which is fast where the processor has instructions for
    it. `threads` is how many are used, 0 for one a core. A network is compiled for each shape of
    batch that comes, which takes part of a second; the last `COMPILED` are kept.
    """

    name = 'openvino'

    def __init__(self, model: SuperPoint, precision: str = 'float32', threads: int = 0):
        if precision not in HINTS:
            raise ValueError(f'OpenVINO runs in {" or ".join(HINTS)} here, not in {precision}')
        if model.config.normalization == 'before_relu':
            model = fold_batch_norm(model)
        self.device = torch.device('cpu')
        self.precision = precision
        self._settings = {
            'INFERENCE_PRECISION_HINT': HINTS[precision],
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': threads,
        }
        self._network = _convert(model)
        self._compiled: OrderedDict[tuple[int, ...], ov.CompiledModel] = OrderedDict()

    def infer(self, images: torch.Tensor) -> SuperPointOutput:
        """Return the output, float32, of uint8 images (B, 1, H, W), H and W multiples of 8."""
        request = self._for_shape(tuple(images.shape)).create_infer_request()
        results = request.infer([images.numpy()], share_inputs=True, share_outputs=True)
        # The request's own memory goes with it: what is returned must not.
        logits, descriptors = (torch.from_numpy(np.array(value)) for value in results.values())
        return SuperPointOutput(logits, descriptors)

    def _for_shape(self, shape: tuple[int, ...]) -> ov.CompiledModel:
        """Return the network compiled for batches of a shape."""
        if shape not in self._compiled:
            network = self._network.clone()
            network.reshape(list(shape))
            self._compiled[shape] = openvino_core().compile_model(network, 'CPU', self._settings)
            if len(self._compiled) > COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(shape)
        return self._compiled[shape]


def _convert(model: SuperPoint) -> ov.Model:
    """Return the network as OpenVINO's, for uint8 images from 0 to 255 of any size."""
    example = torch.zeros(1, 1, 64, 64)
    with warnings.catch_warnings():
        # The network checks its input's shape, which conversion says it does not write down.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        network = ov.convert_model(
            model.eval().float().cpu(), example_input=example, input=[-1, 1, -1, -1]
        )
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8)
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return steps.build()
