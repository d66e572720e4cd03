# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network executed by OpenVINO, which is the fastest on the CPUs that it knows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
import math
import sys
import threading

import numpy as np
import torch

from superpoint_ros.model.pruning import prepare_for_inference
from superpoint_ros.model.superpoint import CELL, SuperPoint, SuperPointOutput

# OpenVINO imports this module where it is there, which forks and reports over the network: neither
# is for a node on a robot. Without it OpenVINO does the same work.
sys.modules.setdefault('openvino_telemetry', None)

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402
from openvino.preprocess import PrePostProcessor  # noqa: E402

SHAPES = 4
"""Shapes of batches with a network of their own, which is a tenth faster than one for all."""

PATIENCE = 30
"""Frames of another shape in a row after which it gets the place of the one used least lately."""

PRECISIONS = ('float32', 'bfloat16', 'int8')

KERNELS = '128'
"""Prepared operations that OpenVINO keeps for shapes that come again: those of half a dozen."""


@cache
def openvino_core() -> ov.Core:
    """
    Return the one OpenVINO of this process, which is never let go.

    Its plugin for CPUs gives the thread that makes it a stack for signals, and frees that stack
    when it goes, even from another thread: the next signal then ends the process. A node whose
    first network was replaced by a thread died so of the SIGTERM that was to end it.
    """
    return ov.Core()


def native_bfloat16() -> bool:
    """Return whether OpenVINO says that this processor calculates in bfloat16."""
    return 'BF16' in openvino_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


class OpenVinoEngine:
    """
    Run a network in OpenVINO on the CPU.

    `precision` is 'float32', 'bfloat16', which is fast where the processor has instructions for
    it, or 'int8', for which the network is quantised (see `quantisation`). `threads` is how many
    are used, 0 for one a core. The network is compiled for the first `SHAPES` shapes of batches
    that come, which takes part of a second each, and for those that stay. Batches of other shapes
    run in one network for all.
    """

    name = 'openvino'
    has_own_threads = True

    def __init__(self, model: SuperPoint, precision: str = 'float32', threads: int = 0):
        if precision not in PRECISIONS:
            raise ValueError(f'OpenVINO runs in {", ".join(PRECISIONS)} here, not in {precision}')
        self.device = torch.device('cpu')
        self.precision = precision
        self._sizes = (CELL * CELL + 1, model.config.descriptor_size)
        if precision == 'int8':
            from superpoint_ros.engines.int8 import pool_narrow_layers_first, quantised

            network = quantised(model)
            if native_bfloat16():
                pool_narrow_layers_first(network)
        else:
            network = convert(model)
        # In int8 this holds for the layers that are not quantised.
        short = precision == 'bfloat16' or (precision == 'int8' and native_bfloat16())
        self._settings = {
            'INFERENCE_PRECISION_HINT': 'bf16' if short else 'f32',
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': threads,
            # By default so many are kept that memory grows by a megabyte with each new shape.
            'CPU_RUNTIME_CACHE_CAPACITY': KERNELS,
        }
        self._network = _channels_last(network)
        self._turn = threading.Lock()
        self._own: OrderedDict[tuple[int, ...], _CompiledNetwork] = OrderedDict()
        self._for_all: _CompiledNetwork | None = None
        self._last, self._in_row = (0,), 0

    def infer(self, images: torch.Tensor) -> SuperPointOutput:
        """
        Return the output, float32, of uint8 images (B, 1, H, W), H and W multiples of 8.

        The channels are last in its memory. Threads may call this at the same time.
        """
        count, _, height, width = images.shape
        shapes = [(count, height // CELL, width // CELL, size) for size in self._sizes]
        outputs = self._for_shape(tuple(images.shape)).infer(images.contiguous().numpy(), shapes)
        return SuperPointOutput(*(torch.from_numpy(each).permute(0, 3, 1, 2) for each in outputs))

    def _for_shape(self, shape: tuple[int, ...]) -> _CompiledNetwork:
        """Return a network compiled for batches of a shape, or of any."""
        with self._turn:
            self._in_row = self._in_row + 1 if shape == self._last else 1
            self._last = shape
            if shape in self._own:
                self._own.move_to_end(shape)
            elif len(self._own) < SHAPES or self._in_row >= PATIENCE:
                network = self._network.clone()
                network.reshape(list(shape))
                self._own[shape] = self._compile(network)
                if len(self._own) > SHAPES:
                    self._own.popitem(last=False)
            else:
                self._for_all = self._for_all or self._compile(self._network)
                return self._for_all
            return self._own[shape]

    def _compile(self, network: ov.Model) -> _CompiledNetwork:
        return _CompiledNetwork(openvino_core().compile_model(network, 'CPU', self._settings))


class _CompiledNetwork:
    """
    A compiled network, and requests that are used again with the memory of their outputs.

    Fresh memory comes from the system page by page, which takes 2 ms for a frame of 640x480: a
    tenth of the small network's time in int8.
    """

    def __init__(self, network: ov.CompiledModel):
        self._network = network
        # One attribute, that threads with outputs of other shapes cannot see half changed.
        self._free: tuple[list[tuple[int, ...]], list[tuple[ov.InferRequest, np.ndarray]]]
        self._free = [], []

    def infer(self, images: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        """Return the outputs, of these shapes; nothing else writes to them while they are held."""
        of_shapes, free = self._free
        if of_shapes != shapes:
            free = []
            self._free = shapes, free
        try:
            request, memory = free.pop()
        except IndexError:  # the first, or threads use all others
            request, memory = self._make_request(shapes)
        request.set_input_tensor(ov.Tensor(images, shared_memory=True))
        request.infer()
        lent = np.asarray(_Loan(memory, lambda: free.append((request, memory))))
        return _split(lent, shapes)

    def _make_request(self, shapes: list[tuple[int, ...]]) -> tuple[ov.InferRequest, np.ndarray]:
        """Return a request and the memory that its outputs lie in, one after the other."""
        memory = np.empty(sum(math.prod(shape) for shape in shapes), np.float32)
        request = self._network.create_infer_request()
        for index, output in enumerate(_split(memory, shapes)):
            request.set_output_tensor(index, ov.Tensor(output, shared_memory=True))
        return request, memory


class _Loan:
    """Memory of an array, for NumPy; it is given back when the last array over it is gone."""

    def __init__(self, memory: np.ndarray, give_back: Callable[[], None]):
        self.__array_interface__ = memory.__array_interface__
        self._give_back = give_back

    def __del__(self):
        self._give_back()


def _split(memory: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return arrays of these shapes that lie in memory (N,) one after the other."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(s) for part, s in zip(np.split(memory, ends[:-1]), shapes, strict=True)]


def convert(model: SuperPoint) -> ov.Model:
    """
    Return the network as OpenVINO's, for uint8 images (B, 1, H, W) from 0 to 255 of any size.

    Its operations carry the names of the network's layers. They are made one by one: OpenVINO's
    own conversion traces the network, and PyTorch keeps a copy of all that it ever traced.
    """
    model = prepare_for_inference(model)
    image = ops.parameter([-1, 1, -1, -1], np.float32, name='image')
    image.output(0).tensor.names = {'image'}
    encoded = image
    for stage in (1, 2, 3, 4):
        encoded = _layer(model, f'{stage}b', _layer(model, f'{stage}a', encoded))
        if stage < 4:
            encoded = ops.max_pool(encoded, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    heads = [
        _layer(model, f'{head}b', _layer(model, f'{head}a', encoded), relu=False) for head in 'PD'
    ]
    steps = PrePostProcessor(ov.Model(heads, [image], 'superpoint'))
    steps.input().tensor().set_element_type(ov.Type.u8)
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return steps.build()


def _layer(model: SuperPoint, name: str, x: ov.Node | ov.Output, relu: bool = True) -> ov.Node:
    """Return a layer's operations on x, as `SuperPoint` has them."""
    conv = getattr(model, f'conv{name}')
    pads = list(conv.padding)
    x = ops.convolution(x, _numbers(conv.weight), [1, 1], pads, pads, [1, 1], name=f'conv{name}')
    x = ops.add(x, _numbers(conv.bias.view(1, -1, 1, 1)), name=f'conv{name}/bias')
    if relu:
        x = ops.relu(x)
    if model.config.normalization == 'after_relu':
        norm = getattr(model, f'bn{name}')
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * factor
        x = ops.multiply(x, _numbers(factor.view(1, -1, 1, 1)))
        x = ops.add(x, _numbers(shift.view(1, -1, 1, 1)), name=f'bn{name}')
    return x


def _numbers(values: torch.Tensor) -> ov.Node:
    return ops.constant(values.detach().cpu().float().numpy())


def _channels_last(network: ov.Model) -> ov.Model:
    """Return the network with outputs (B, h, w, C), as OpenVINO has them and decoding likes."""
    steps = PrePostProcessor(network)
    for index in range(len(network.outputs)):
        steps.output(index).model().set_layout(ov.Layout('NCHW'))
        steps.output(index).tensor().set_layout(ov.Layout('NHWC'))
    return steps.build()
